/** Event streams at the same offset of a finite topic share a wait, a read and an encoding. */
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { FiniteTopic, FiniteTopics, MessagePage } from '../../../src/hub/finite/finite-topic.js'
import { SharedPages, type SharedPage } from '../../../src/routes/streams/shared-pages.js'
import { TailFeeds, type TailFeed, type TailStream } from '../../../src/routes/streams/tail-feeds.js'
import { poll } from '../../helper/deadline.js'

/** A finite topic whose messages the test appends, and that counts what is asked of it. */
class FakeTopic {
  reads = 0
  waits = 0
  /** The number of waits that are under way. */
  waiting = 0
  status: FiniteTopic['status'] = 'open'
  incarnation = 'first'
  failure: Error | undefined
  readonly #messages: string[] = []
  #wakes: (() => void)[] = []

  append(...messages: string[]): void {
    this.#messages.push(...messages)
    this.wake()
  }

  wake(): void {
    for (const wake of this.#wakes.splice(0)) wake()
  }

  async read(_topic: string, after: number): Promise<MessagePage> {
    this.reads++
    if (this.failure) throw this.failure
    const messages = this.#messages
      .map((payload, index) => ({ kind: 'text' as const, payload, sequence: index + 1 }))
      .slice(after)
    const tail = this.#messages.length
    const { status, incarnation } = this
    const topic = { topic: 'a', contentType: 'text/plain', incarnation, status, tail } as FiniteTopic
    return { topic, messages, next: tail, isUpToDate: true } as unknown as MessagePage
  }

  async wait(_topic: string, after: number, signal: AbortSignal): Promise<void> {
    this.waits++
    if (this.#messages.length > after || this.status !== 'open' || this.failure) return
    this.waiting++
    await new Promise<void>((resolve) => {
      this.#wakes.push(resolve)
      signal.addEventListener('abort', () => resolve())
    })
    this.waiting--
  }
}

class FakeStream implements TailStream {
  tail: TailFeed | undefined
  text = ''
  blocks: unknown[] = []
  end: unknown
  isFull = false

  deliver(page: SharedPage, cursor: number): boolean {
    this.text += page.page.messages.map(({ payload }) => payload).join('')
    this.blocks.push(page.chunk(cursor))
    return !this.isFull && !page.isEnd
  }

  replaced(): void {
    this.end = 'replaced'
  }

  failed(err: unknown): void {
    this.end = err
  }
}

async function openFeeds({ heartbeat = 60_000 } = {}) {
  const topic = new FakeTopic()
  const finite = topic as unknown as FiniteTopics
  const pages = new SharedPages(finite)
  const feeds = new TailFeeds(finite, pages, heartbeat)
  const join = async (after: number): Promise<FakeStream> => {
    const stream = new FakeStream()
    feeds.join(await pages.read('a', after), stream)
    return stream
  }
  return { topic, pages, feeds, join }
}

/** Waits until all streams have a text. */
const until = (t: Test, streams: FakeStream[], text: string) =>
  poll(
    async () => (streams.every((stream) => stream.text === text) ? true : undefined),
    () => `${t.name}: ${streams.map((stream) => JSON.stringify(stream.text)).join()} in place of ${text}`,
  )

await t.test('an append costs one read and one encoding for all streams at the tail', async (t) => {
  const { topic, join } = await openFeeds()
  const streams = await Promise.all(Array.from({ length: 100 }, () => join(0)))
  const { reads } = topic
  topic.append('one')
  await until(t, streams, 'one')
  topic.append(' two')
  await until(t, streams, 'one two')
  t.equal(topic.reads - reads, 2)
  t.equal(new Set(streams.map(({ blocks }) => blocks[1])).size, 1, 'the same chunk')
  t.equal(topic.waiting, 1)
})

await t.test('streams that join during a delivery get each message once', async (t) => {
  const { topic, join } = await openFeeds()
  const first = await Promise.all(Array.from({ length: 500 }, () => join(0)))
  topic.append('one')
  await poll(
    async () => (first.some(({ text }) => text !== '') ? true : undefined),
    () => 'nothing was delivered',
  )
  const late = await Promise.all([join(1), join(1)])
  topic.append(' two')
  await until(t, first, 'one two')
  await until(t, late, ' two')
  topic.append('!')
  await until(t, first, 'one two!')
  await until(t, late, ' two!')
  t.equal(topic.waiting, 1, 'all of them are in one feed')
})

await t.test('a stream whose sink is full leaves, and the others go on', async (t) => {
  const { topic, join } = await openFeeds()
  const [slow, other] = [await join(0), await join(0)]
  slow.isFull = true
  topic.append('one')
  await until(t, [slow, other], 'one')
  t.equal(slow.tail, undefined)
  topic.append(' two')
  await until(t, [other], 'one two')
  t.equal(slow.text, 'one')
})

await t.test('a feed ends its wait with its last stream', async (t) => {
  const { topic, join } = await openFeeds()
  const streams = [await join(0), await join(0)]
  await turn()
  streams[0]!.tail!.delete(streams[0]!)
  await turn()
  t.equal(topic.waiting, 1)
  streams[1]!.tail!.delete(streams[1]!)
  await turn()
  t.equal(topic.waiting, 0)
  const again = await join(0)
  topic.append('one')
  await until(t, [again], 'one')
  t.strictSame(
    streams.map(({ text }) => text),
    ['', ''],
  )
})

await t.test('streams without messages get a block at each heartbeat', async (t) => {
  const { topic, join } = await openFeeds({ heartbeat: 20 })
  const stream = await join(0)
  await poll(
    async () => (stream.blocks.length >= 3 ? true : undefined),
    () => 'there are no heartbeats',
  )
  t.equal(stream.text, '')
  t.ok(topic.reads < 50)
  stream.tail!.delete(stream)
})

await t.test('streams end with the topic, and are told why it cannot be read', async (t) => {
  const ended = await openFeeds()
  const last = await ended.join(0)
  ended.topic.status = 'done'
  ended.topic.append('end')
  await until(t, [last], 'end')
  t.equal(last.tail, undefined)

  const replaced = await openFeeds()
  const old = await replaced.join(0)
  replaced.topic.incarnation = 'second'
  replaced.topic.append('of another topic')
  await poll(
    async () => old.end,
    () => 'the stream was not told',
  )
  t.match(old, { end: 'replaced', text: '', tail: undefined })

  const broken = await openFeeds()
  const streams = [await broken.join(0), await broken.join(0)]
  broken.topic.failure = new Error('the log is unavailable')
  broken.topic.wake()
  await poll(
    async () => streams[1]!.end,
    () => 'the streams were not told',
  )
  for (const stream of streams) t.match(stream, { end: broken.topic.failure, tail: undefined })
})
