/**
 * Promises 2, 3 and 4 with a hub that is killed at any moment: subscribers that resume get every acknowledged event, in
 * order and once, or a gap.
 *
 * `CRASH_KILLS` is the total number of kills, `CRASH_SECONDS` the minimum time, and `CRASH_SEED` repeats the choices of
 * a run.
 */
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { within } from '../helper/deadline.js'
import { post, request, type Answer, type History, type Published } from '../helper/http.js'
import { ndjson } from '../helper/ndjson.js'
import { difference, due, inLogOrder, matches, sequence, type Logged } from '../helper/oracle.js'
import { random, type Random } from '../helper/random.js'
import { revivingHub, type RevivingHub } from '../helper/reviving-hub.js'
import { openStream, streamUrl, type EventStream, type StreamEvent } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

const KILLS = fromEnvironment('CRASH_KILLS', 50)
const SECONDS = fromEnvironment('CRASH_SECONDS', 60)
const SEED = fromEnvironment('CRASH_SEED', Date.now() % 1_000_000)

/** The maximum life of the hub, in milliseconds. */
const LIFE = 700
/** The time limit for the rest of the events after the last kill, in milliseconds. */
const END = 90_000
const PUBLISHERS = 3
const TOPICS = ['shop.orders.1', 'shop.orders.2', 'shop.stock', 'users.1', 'users.2']
const SELECTIONS = [
  ['**'],
  ['shop.orders.1'],
  ['shop.**'],
  ['users.*', 'shop.stock'],
  ['*.orders.*', 'users.2', 'users.1'],
]

const bearer = anyTopic()

t.setTimeout(SECONDS * 1_000 + KILLS * 10_000 + END)
t.comment(`${KILLS} kills, CRASH_SEED=${SEED}`)

/** An event to publish. Its data identifies it, and its publisher id is the same at each try. */
interface Wanted {
  topic: string
  id: string
  data: string
}

async function testNothingIsLost(t: Test, durability: string, share: number): Promise<void> {
  const numbers = random(SEED)
  const hub = await revivingHub(t, {
    FANFARE_LOG: `file:${t.testdir({})}`,
    FANFARE_DURABILITY: durability,
    FANFARE_RETAIN_EVENTS: '1000000',
    FANFARE_RETAIN_BYTES: '10GiB',
  })
  const epoch = await epochOf(hub)
  const { acknowledged, uploaded, retried, subscribers } = await crash(t, hub, share, numbers, {
    uploads: true,
    away: false,
  })

  const log = await readLog(hub)
  t.equal(await epochOf(hub), epoch, 'the epoch does not change')
  t.strictSame(
    log.map(({ id }) => sequence(id)),
    log.map((_, index) => index + 1),
    'sequences are consecutive',
  )
  const byData = new Map(log.map((event) => [event.data, event]))
  t.equal(
    byData.size,
    log.length,
    `each event is stored once, also the events of ${retried} requests whose answers were lost`,
  )
  t.strictSame(
    acknowledged.filter((event) => !isSame(event, byData.get(event.data))).slice(0, 3),
    [],
    'every acknowledged event has the cursor of its answer',
  )
  t.strictSame(
    uploaded.filter(({ data, topic }) => byData.get(JSON.stringify(data))?.topic !== topic).slice(0, 3),
    [],
    'every uploaded event is stored',
  )
  t.equal(log.length, acknowledged.length + uploaded.length, 'nothing else is stored')

  for (const subscriber of subscribers) {
    const told = subscriber.blocks.filter(({ type }) => type === 'fanfare.gap')
    t.strictSame(
      told.map(({ data }) => data),
      [],
      `${subscriber.name} gets no gap`,
    )
    t.equal(
      difference(eventsOf(subscriber.blocks), due(log, subscriber.topics)),
      'none',
      `${subscriber.name} gets every event, in ${subscriber.connections} connections`,
    )
  }
  t.comment(`${log.length} events, ${hub.kills} kills, ${retried} requests retried`)
}

async function testLossesAreTold(t: Test, share: number): Promise<void> {
  const numbers = random(SEED + 1)
  const hub = await revivingHub(t, { FANFARE_LOG: `file:${t.testdir({})}`, FANFARE_RETAIN_EVENTS: '15' })
  const { acknowledged, retried, subscribers } = await crash(t, hub, share, numbers, { uploads: false, away: true })
  const log = inLogOrder(acknowledged)
  t.equal(new Set(log.map(({ id }) => id)).size, log.length, 'no two events have the same sequence')

  let gaps = 0
  for (const subscriber of subscribers) {
    const wrong = falsehoods(subscriber.blocks, due(log, subscriber.topics))
    t.strictSame(wrong.slice(0, 3), [], `${subscriber.name} has no fault, in ${subscriber.connections} connections`)
    gaps += subscriber.blocks.filter(({ type }) => type === 'fanfare.gap').length
  }
  t.ok(gaps > 0, `there were ${gaps} gaps`)
  t.comment(`${log.length} events, ${hub.kills} kills, ${retried} requests retried`)
}

interface Kind {
  /** Whether publishers upload NDJSON too, which does not return the cursors of its events. */
  uploads: boolean
  /** Whether subscribers stay disconnected for a while. */
  away: boolean
}

interface Run {
  acknowledged: Logged[]
  uploaded: Wanted[]
  /** The number of repeated requests. */
  retried: number
  subscribers: Subscriber[]
}

/**
 * Runs publishers and subscribers on a hub that is killed for this share of all kills. Resolves when every subscriber
 * has read the last event.
 */
async function crash(t: Test, hub: RevivingHub, share: number, numbers: Random, kind: Kind): Promise<Run> {
  const run: Run = { acknowledged: [], uploaded: [], retried: 0, subscribers: [] }
  let isOver = false
  let publish: () => void = () => undefined // wakes the tasks that wait for further events

  const subscribers = SELECTIONS.map((topics, n) => new Subscriber(t, hub, topics, random(SEED + 100 + n)))
  run.subscribers = subscribers
  const away = async (events: number): Promise<void> => {
    const until = run.acknowledged.length + events
    while (!isOver && run.acknowledged.length < until) {
      await new Promise<void>((resolve) => {
        const others = publish
        publish = () => {
          others()
          resolve()
        }
      })
    }
  }
  const reading = subscribers.map((subscriber) => subscriber.run(kind.away ? away : undefined))
  for (const promise of reading) promise.catch(() => undefined) // awaited below
  await within(
    Promise.race([Promise.all(subscribers.map(({ opened }) => opened)), ...reading]),
    () => 'a subscriber does not begin',
  )

  async function send(events: Wanted[], asUpload: boolean): Promise<void> {
    let sent = 0
    const answer = await insist(hub, () => {
      sent++
      return asUpload ? upload(hub, events) : events.length === 1 ? single(hub, events[0]!) : batch(hub, events)
    })
    run.retried += sent - 1
    if (asUpload) run.uploaded.push(...events)
    else
      receiptsOf(answer).forEach(({ id, topic }, index) =>
        run.acknowledged.push({ id, topic, data: JSON.stringify(events[index]!.data) }),
      )
    const wake = publish
    publish = () => undefined
    wake()
  }

  async function publisher(name: number): Promise<void> {
    const choose = random(SEED + 1_000 + name)
    for (let n = 0; !isOver;) {
      const how = choose.below(10)
      const count = how < 6 ? 1 : 1 + choose.below(12)
      const events = Array.from({ length: count }, () => ({
        topic: choose.pick(TOPICS),
        id: `${name}/${n}`,
        data: `${name}/${n++} ${'.'.repeat(choose.below(200))}`,
      }))
      await send(events, kind.uploads && how === 9)
    }
  }
  const publishing = Promise.all(Array.from({ length: PUBLISHERS }, (_, name) => publisher(name)))
  publishing.catch(() => undefined) // awaited below

  const kills = Math.round(KILLS * share)
  const end = performance.now() + SECONDS * share * 1_000
  for (let kill = 1; kill <= kills || performance.now() < end; kill++) {
    await delay(numbers.below(LIFE)) // a kill at any moment
    await hub.kill()
    for (; numbers.below(6) === 0; kill++) await hub.startAndKill(numbers.below(500))
    await hub.start()
  }

  isOver = true
  publish()
  await within(publishing, () => 'the publishers do not finish', END)
  await send(
    TOPICS.map((topic) => ({ topic, id: 'end', data: `end of ${topic}` })),
    false,
  )
  await within(Promise.all(reading), () => subscribers.map((subscriber) => subscriber.describe()).join('\n'), END)
  return run
}

/** A client that reconnects with its last id until it has read the last event. */
class Subscriber {
  readonly topics: readonly string[]
  readonly name: string
  /** All received events, over all connections. */
  readonly blocks: StreamEvent[] = []
  connections = 0
  /** Settles when the subscriber has its first id. */
  readonly opened: Promise<void>
  readonly #t: Test
  readonly #hub: RevivingHub
  readonly #random: Random
  #lastId: string | undefined
  #stream: EventStream | undefined
  #begin: () => void = () => undefined

  constructor(t: Test, hub: RevivingHub, topics: readonly string[], numbers: Random) {
    this.#t = t
    this.#hub = hub
    this.topics = topics
    this.name = `the subscriber of ${topics.join(' and ')}`
    this.#random = numbers
    this.opened = new Promise((resolve) => (this.#begin = resolve))
  }

  /**
   * @param away waits until a number of further events have been published; without it, the subscriber reconnects at
   *   once
   */
  async run(away?: (events: number) => Promise<void>): Promise<void> {
    while (!this.#isAtEnd()) {
      await this.#hub.listening()
      const stream = await this.#connect()
      if (!stream) continue
      this.#stream = stream
      this.connections++
      // Sometimes the subscriber disconnects by itself.
      const enough = this.#random.below(4) === 0 ? this.#random.below(100) : Infinity
      await stream.until(() => stream.lastId !== undefined, END).then(this.#begin, () => undefined)
      await stream
        .until(() => stream.events.length >= enough || this.#isAtEnd(stream), 10 * END)
        .catch((err: unknown) => {
          if (!stream.isClosed) throw err
        })
      stream.destroy()
      this.blocks.push(...stream.all)
      this.#stream = undefined
      this.#lastId = stream.lastId ?? this.#lastId
      if (away && this.#random.below(2) === 0) await away(this.#random.below(150))
    }
  }

  describe(): string {
    return `${this.name}, last id ${this.#lastId ?? '(none)'}: ${this.#stream?.describe() ?? 'not connected'}`
  }

  async #connect(): Promise<EventStream | undefined> {
    const lastEventId = this.#lastId === undefined ? {} : { lastEventId: this.#lastId }
    return openStream(this.#t, streamUrl(this.#hub, this.topics), { token: bearer, ...lastEventId }).catch(
      (err: unknown) => {
        if (isConnectionLost(err)) return undefined
        throw err
      },
    )
  }

  #isAtEnd(stream?: EventStream): boolean {
    const wanted = TOPICS.filter((topic) => matches(this.topics, topic)).length
    const read = [...this.blocks.slice(-50), ...(stream?.all.slice(-50) ?? [])]
    return read.filter(({ data }) => data.startsWith('"end of ')).length === wanted
  }
}

/** Repeats a request until it succeeds. */
async function insist(hub: RevivingHub, send: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    await hub.listening()
    try {
      const answer = await send()
      if (answer.status < 300) return answer
      throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`)
    } catch (err) {
      if (!isConnectionLost(err)) throw err
    }
  }
}

/** Whether an error is one that a client gets when the hub is killed. */
function isConnectionLost(err: unknown): boolean {
  for (let cause = err; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(String(cause.code)))
      return true
    if (cause.message === 'terminated') return true // the message of `fetch` for an incomplete answer
  }
  return false
}

function single(hub: RevivingHub, { topic, ...event }: Wanted): Promise<Answer> {
  return post(`${hub.url}/topics/${topic}/events`, event, bearer)
}

function batch(hub: RevivingHub, events: Wanted[]): Promise<Answer> {
  return post(`${hub.url}/events`, { events }, bearer)
}

function upload(hub: RevivingHub, events: Wanted[]): Promise<Answer> {
  return post(`${hub.url}/events`, ndjson(events), bearer, { 'content-type': 'application/x-ndjson' })
}

function receiptsOf({ body }: Answer): Published[] {
  return (body as { events?: Published[] }).events ?? [body as Published]
}

/** Reads all events of the log from the history. */
async function readLog(hub: RevivingHub): Promise<Logged[]> {
  const log: Logged[] = []
  for (let after: string | undefined, more = true; more;) {
    const url = streamUrl(hub, ['**'], { limit: '1000', ...(after === undefined ? {} : { after }) })
    const { body } = await request<History>(url, {
      headers: { accept: 'application/json', authorization: `Bearer ${bearer}` },
    })
    log.push(...body.events.map(({ id, topic, data }) => ({ id, topic, data: JSON.stringify(data) })))
    after = body.cursor
    more = body.more
  }
  return log
}

async function epochOf(hub: RevivingHub): Promise<string> {
  const { body } = await request<History>(streamUrl(hub, ['**'], { limit: '1' }), {
    headers: { accept: 'application/json', authorization: `Bearer ${bearer}` },
  })
  return body.cursor.split('-', 1)[0]!
}

function isSame(a: Logged, b: Logged | undefined): boolean {
  return a.id === b?.id && a.topic === b.topic && a.data === b.data
}

function eventsOf(blocks: readonly StreamEvent[]): StreamEvent[] {
  return blocks.filter(({ type }) => type?.startsWith('fanfare.') !== true)
}

/**
 * Returns the faults of a subscriber's events in words: events that differ from the published ones, duplicates,
 * misordered events, missing events without a gap, and gaps without missing events. A gap covers the events up to the
 * block `fanfare.live`, since topics are trimmed one by one.
 */
function falsehoods(blocks: readonly StreamEvent[], expected: readonly StreamEvent[]): string[] {
  const wrong: string[] = []
  const known = new Map(expected.map((event) => [event.id, JSON.stringify(event)]))
  const received = new Set(eventsOf(blocks).map(({ id }) => id))
  const missing = expected.flatMap(({ id }) => (received.has(id) ? [] : [sequence(id!)]))
  let last = 0
  let isTold = false
  for (const [index, block] of blocks.entries()) {
    if (block.type === 'fanfare.open' || block.type === 'fanfare.live') isTold = false
    else if (block.type === 'fanfare.gap') {
      const { reason, after } = JSON.parse(block.data) as { reason: string; after: string }
      const end = blocks.slice(index).find(({ type }) => type === 'fanfare.live' || type === 'fanfare.open')
      const upTo = end?.type === 'fanfare.live' ? sequence(end.id!) : Infinity
      if (reason !== 'expired') wrong.push(`a gap because of ${reason}`)
      if (!missing.some((at) => at > sequence(after) && at <= upTo))
        wrong.push(`the gap ${block.data} has no missing event`)
      isTold = true
    } else {
      const at = sequence(block.id!)
      if (known.get(block.id) !== JSON.stringify(block))
        wrong.push(`read ${JSON.stringify(block)} instead of ${known.get(block.id) ?? 'nothing'}`)
      if (at <= last) wrong.push(`${at} came after ${last}`)
      const lost = missing.filter((sequence) => sequence > last && sequence < at)
      if (lost.length > 0 && !isTold) wrong.push(`${lost.join(', ')} are missing before ${at}, without a gap`)
      last = at
    }
  }
  return wrong
}

function fromEnvironment(name: string, fallback: number): number {
  const text = process.env[name]
  if (text === undefined || text === '') return fallback
  if (!/^\d+$/.test(text)) throw new Error(`${name}=${text} is not a whole number`)
  return Number(text)
}

await t.test('sync: every acknowledged event is received once, in order, with no gap', (t) =>
  testNothingIsLost(t, 'sync', 0.45),
)
await t.test('commit: every acknowledged event is received once, in order, with no gap', (t) =>
  testNothingIsLost(t, 'commit', 0.2),
)
await t.test('with little retention every loss is reported as a gap, and nothing else is', (t) =>
  testLossesAreTold(t, 0.35),
)
