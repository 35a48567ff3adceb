/** Random appends to a finite topic, compared with a model: by one process, and by two that share a folder. */
import * as fc from 'fast-check'
import t, { type Test } from 'tap'
import { FolderCluster } from '../../../src/cluster/folder.js'
import type { AppendRequest, FiniteTopics, Producer } from '../../../src/hub/finite/finite-topic.js'
import { FileLog } from '../../../src/log/lmdb/lmdb-log.js'
import { openHub, openHubOn } from '../open-hub.js'

const RETENTION = { events: 3, age: 1e12, bytes: 1e9, dedupWindow: 60_000 }

interface Step {
  hub: number
  request: AppendRequest
}

/** What a topic has to do with an append, written down as plainly as possible. */
class Model {
  readonly messages: string[] = []
  end: string | undefined
  order = ''
  last: Producer | undefined
  readonly producers = new Map<string, { epoch: number; seq: number }>()

  append({ messages, end, producer, order }: AppendRequest): string {
    if (this.end !== undefined) {
      if (producer && JSON.stringify(producer) === JSON.stringify(this.last)) return 'duplicate'
      return end !== undefined && messages.length === 0 && !producer ? 'stored' : 'stream-closed'
    }
    const known = producer && this.producers.get(producer.id)
    if (producer) {
      const fault = faultOf(producer, known)
      if (fault !== undefined) return fault
    }
    if (order !== undefined && order <= this.order) return 'order-regression'
    if (messages.length === 0 && end === undefined) return 'stored'
    if (producer) this.producers.set(producer.id, producer)
    if (order !== undefined) this.order = order
    this.messages.push(...messages.map(({ payload }) => payload))
    if (end !== undefined) {
      this.end = end
      this.last = producer
    }
    return 'stored'
  }
}

function faultOf({ epoch, seq }: Producer, known: { epoch: number; seq: number } | undefined): string | undefined {
  if (!known) return seq === 0 ? undefined : 'producer-gap'
  if (epoch < known.epoch) return 'producer-fenced'
  if (epoch > known.epoch) return seq === 0 ? undefined : 'invalid-producer'
  if (seq <= known.seq) return 'duplicate'
  return seq === known.seq + 1 ? undefined : 'producer-gap'
}

const producer = fc.record({ id: fc.constantFrom('p', 'q'), epoch: fc.nat(2), seq: fc.nat(3) })
const request: fc.Arbitrary<AppendRequest> = fc
  .record({
    texts: fc.array(fc.string({ maxLength: 3 }), { maxLength: 3 }),
    end: fc.option(fc.constantFrom('done' as const, 'error' as const), { nil: undefined, freq: 12 }),
    producer: fc.option(producer, { nil: undefined }),
    order: fc.option(fc.constantFrom('a', 'b', 'c', 'd'), { nil: undefined, freq: 4 }),
  })
  .map(({ texts, ...rest }) => ({ ...rest, messages: texts.map((payload) => ({ kind: 'text', payload })) }))
const steps: fc.Arbitrary<Step[]> = fc.array(fc.record({ hub: fc.nat(1), request }), { minLength: 1, maxLength: 25 })

async function outcomeOf(finite: FiniteTopics, topic: string, request: AppendRequest): Promise<string> {
  try {
    return (await finite.append(topic, request)).duplicate ? 'duplicate' : 'stored'
  } catch (err) {
    return (err as { code: string }).code
  }
}

async function contentOf(finite: FiniteTopics, topic: string): Promise<unknown> {
  const { messages, topic: state } = await finite.read(topic, 0, Infinity)
  return { messages: messages.map(({ payload }) => payload), status: state.status, size: state.size }
}

let topics = 0

async function check(t: Test, finite: readonly FiniteTopics[], runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const topic = `t.${++topics}`
      const model = new Model()
      const of = ({ hub }: Step) => finite[hub % finite.length]!
      await of(sequence[0]!).create(topic, { contentType: 'text/plain' })
      for (const step of sequence) {
        const expected = model.append(step.request)
        const got = await outcomeOf(of(step), topic, step.request)
        if (got !== expected) throw new Error(`${got} instead of ${expected}: ${JSON.stringify(step)}`)
      }
      const size = Buffer.byteLength(model.messages.join(''))
      for (const one of finite)
        t.strictSame(await contentOf(one, topic), { messages: model.messages, status: model.end ?? 'open', size })
      await finite[0]!.delete(topic)
    }),
    { numRuns: runs },
  )
}

/** Two hubs on one folder: one writes it, the other asks it to. */
async function openPair(t: Test): Promise<FiniteTopics[]> {
  const folder = t.testdir({})
  const hubs = []
  for (let n = 0; n < 2; n++) {
    const log = await FileLog.open({
      folder,
      durability: 'commit',
      retention: RETENTION,
      shared: true,
      sameProcess: true,
    })
    hubs.push((await openHubOn(t, log, { cluster: new FolderCluster(log.peers) })).hub.finite)
  }
  return hubs
}

await t.test('in memory, each append has the outcome of the model', async (t) => {
  const { hub } = await openHub(t, {}, RETENTION)
  await check(t, [hub.finite], 60)
})

await t.test('with two processes, each append has the outcome of the model', async (t) => {
  await check(t, await openPair(t), 15)
})

await t.test('what two processes append at the same time is stored once, and ends once', async (t) => {
  const [one, other] = (await openPair(t)) as [FiniteTopics, FiniteTopics]
  const creations = await Promise.all([one, other].map((finite) => finite.create('a', { contentType: 'text/plain' })))
  t.equal(creations.filter(({ created }) => created).length, 1)
  const produce = (finite: FiniteTopics, seq: number) =>
    outcomeOf(finite, 'a', {
      messages: [{ kind: 'text', payload: `${seq};` }],
      producer: { id: 'p', epoch: 0, seq },
    })
  for (let seq = 0; seq < 20; seq++) {
    const outcomes = await Promise.all([produce(one, seq), produce(other, seq), produce(one, seq)])
    t.strictSame(outcomes.sort(), ['duplicate', 'duplicate', 'stored'])
  }
  const ends = await Promise.all(
    [one, other].flatMap((finite) => [
      outcomeOf(finite, 'a', { messages: [{ kind: 'text', payload: 'end' }], end: 'done' }),
      finite.cancel('a').then(
        ({ status }) => status,
        () => 'refused',
      ),
    ]),
  )
  const { messages, status } = (await contentOf(one, 'a')) as { messages: string[]; status: string }
  t.ok(['done', 'cancelled'].includes(status), ends.join())
  t.equal(
    messages.join(''),
    `${Array.from({ length: 20 }, (_, seq) => `${seq};`).join('')}${status === 'done' ? 'end' : ''}`,
  )
  t.strictSame(await contentOf(other, 'a'), await contentOf(one, 'a'))
})

await t.test('a cancellation by another process is told to the writer at once', async (t) => {
  const [one, other] = (await openPair(t)) as [FiniteTopics, FiniteTopics]
  await one.create('a', { contentType: 'text/plain' })
  const { tail } = (await one.get('a'))!
  const told = one.wait('a', tail, new AbortController().signal)
  await other.cancel('a')
  await told
  t.match(await one.get('a'), { status: 'cancelled' })
  t.equal(await outcomeOf(one, 'a', { messages: [{ kind: 'text', payload: 'x' }] }), 'cancelled')
})
