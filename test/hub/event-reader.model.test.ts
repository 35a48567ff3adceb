/**
 * Iterators of the application's own code under random steps: no event is lost without a gap, none comes twice, and the
 * order is kept.
 */
import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import type { EventGap, HubEvent } from '../../src/hub/event-reader.js'
import { Hub } from '../../src/hub/hub.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { DelayedLog } from '../helper/delayed-log.js'
import { Selection } from '../../src/model/selection.js'
import { settle, until } from './fake-sink.js'

const TOPICS = ['a', 'b', 'a.x', 'b.x']
const SELECTIONS: [patterns: string[], types: string[]][] = [
  [['a'], []],
  [['a', 'b'], []],
  [['**'], []],
  [['*.x'], []],
  [['**'], ['t']],
  [['a', 'b.*'], ['t']],
]
const ITERATORS = 4
/** The time limit for shrinking a counterexample. */
const BOUNDED = { interruptAfterTimeLimit: 10_000 }

type Step =
  | { do: 'publish'; events: { topic: string; type: string | undefined; size: number }[] }
  | { do: 'purge'; topic: string }
  | { do: 'open'; iterator: number; selection: number; from: 'start' | 'now' | 'time' }
  | { do: 'stop'; iterator: number }
  | { do: 'resume'; iterator: number }
  | { do: 'take'; iterator: number; count: number }
  | { do: 'turns'; turns: number }

const iterator = fc.nat(ITERATORS - 1)
const event = fc.record({
  topic: fc.constantFrom(...TOPICS),
  type: fc.constantFrom(undefined, 't', 'u'),
  size: fc.constantFrom(0, 0, 100_000),
})
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('publish' as const),
        events: fc.array(event, { minLength: 1, maxLength: 6 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('purge' as const), topic: fc.constantFrom(...TOPICS) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('open' as const),
        iterator,
        selection: fc.nat(SELECTIONS.length - 1),
        from: fc.constantFrom('start' as const, 'now' as const, 'time' as const),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('stop' as const), iterator }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('resume' as const), iterator }) },
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('take' as const), iterator, count: fc.integer({ min: 1, max: 8 }) }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('turns' as const), turns: fc.integer({ min: 1, max: 3 }) }) },
  ),
  { minLength: 1, maxLength: 100, size: 'max' },
)

interface Logged {
  sequence: number
  topic: string
  type: string | undefined
  data: string
  isGone: boolean
}

function sequenceOf(cursor: string): number {
  return Number(cursor.slice(9))
}

/** Takes items at the given pace, and checks each. */
class Consumer {
  /** The sequence up to which events have been read or reported as missing. */
  position: number
  /** The id to resume from; `undefined`: there is none yet. */
  lastId: string | undefined
  demand = 0
  failure: unknown
  readonly selection: Selection
  readonly done: Promise<void>
  readonly #items: AsyncIterableIterator<HubEvent | EventGap>
  readonly #log: readonly Logged[]
  #gapAfter: number | undefined
  #following: string | null = null
  #more: (() => void) | undefined
  #isStopped = false

  constructor(
    log: readonly Logged[],
    selection: Selection,
    position: number,
    items: AsyncIterableIterator<HubEvent | EventGap>,
  ) {
    this.#log = log
    this.selection = selection
    this.position = position
    this.#items = items
    this.done = this.#run().catch((err: unknown) => void (this.failure = err))
  }

  take(count: number): void {
    this.demand += count
    this.#more?.()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#more?.()
    await this.#items.return!()
    await this.done
  }

  async #run(): Promise<void> {
    for (;;) {
      while (this.demand === 0 && !this.#isStopped) await new Promise<void>((resolve) => (this.#more = resolve))
      const next: IteratorResult<HubEvent | EventGap, undefined> = await this.#items.next()
      if (next.done) return
      const { value } = next
      this.demand--
      if (value.gap) this.#checkGap(value)
      else this.#checkEvent(value)
      this.lastId = value.id
    }
  }

  #checkGap({ id, gap: { reason, after, oldest } }: EventGap): void {
    assert.equal(reason, 'expired')
    assert.equal(this.#following, null, 'the event after a gap follows it')
    assert.ok(sequenceOf(after) >= this.position, "a gap begins at the iterator's position or later")
    assert.ok(sequenceOf(id) >= this.position)
    const isMissing = ({ sequence, topic, isGone }: Logged) =>
      isGone && sequence > this.position && this.selection.hasTopic(topic)
    assert.ok(this.#log.some(isMissing), 'a gap has a missing event')
    this.#gapAfter = this.position
    this.#following = oldest
  }

  #checkEvent({ id, topic, type, data }: HubEvent): void {
    const sequence = sequenceOf(id)
    assert.ok(sequence > this.position, 'events are in order, and each comes once')
    for (const missing of this.#wanted()) {
      if (missing.sequence <= this.position || missing.sequence >= sequence) continue
      assert.ok(
        this.#gapAfter !== undefined && missing.sequence > this.#gapAfter && missing.isGone,
        `${missing.sequence} is missing without a gap`,
      )
    }
    const logged = this.#wanted().find((logged) => logged.sequence === sequence)
    assert.ok(logged, 'the event was requested')
    assert.deepEqual({ topic, type, data }, { topic: logged.topic, type: logged.type, data: logged.data })
    if (this.#following !== null) assert.equal(id, this.#following, 'the oldest retained event follows a gap')
    this.#following = null
    this.position = sequence
  }

  #wanted(): Logged[] {
    return this.#log.filter(({ topic, type }) => this.selection.hasTopic(topic) && this.selection.hasType(type))
  }
}

async function runSteps(steps: readonly Step[], retain: number, seed?: number): Promise<void> {
  const memory = new MemoryLog({ events: retain, age: 1e12, bytes: 1e12, dedupWindow: 0 })
  const log = seed === undefined ? memory : await DelayedLog.open(memory, seed)
  const hub = await Hub.open(log, {
    heartbeat: 1e9,
    maxAge: 0,
    presenceGrace: 0,
    maxCursorsPerSubject: 100,
    cursorTtl: 1e9,
    maxEventSize: 1e9,
  })
  const logged: Logged[] = []
  await memory.follow(({ events, trims }) => {
    for (const { sequence, topic, type, payload } of events)
      logged.push({ sequence, topic, type, data: JSON.parse(payload) as string, isGone: false })
    for (const { topic, until } of trims)
      for (const event of logged) if (event.topic === topic && event.sequence <= until) event.isGone = true
  })
  const consumers: (Consumer | undefined)[] = Array.from({ length: ITERATORS }, () => undefined)
  const isStopped = Array.from({ length: ITERATORS }, () => false)
  const all: Consumer[] = []

  function open(iterator: number, selection: Selection, from: string | Date | undefined, position: number): void {
    const items = hub.events(selection.patterns, { from, types: [...(selection.types ?? [])] })
    all.push((consumers[iterator] = new Consumer(logged, selection, position, items)))
    isStopped[iterator] = false
  }

  async function stop(iterator: number): Promise<void> {
    await consumers[iterator]?.stop()
    isStopped[iterator] = true
  }

  try {
    for (const step of steps) {
      switch (step.do) {
        case 'publish':
          void hub.publishAll(
            step.events.map(({ size, ...event }, index) => ({
              ...event,
              data: `${logged.length + index}${'.'.repeat(size)}`,
            })),
          )
          break
        case 'purge':
          void hub.purge(step.topic)
          break
        case 'turns':
          await settle(step.turns)
          break
        case 'open': {
          await stop(step.iterator)
          const { from } = step
          open(
            step.iterator,
            new Selection(...SELECTIONS[step.selection]!),
            from === 'start' ? 'start' : from === 'now' ? undefined : new Date(0),
            from === 'now' ? hub.head : 0,
          )
          break
        }
        case 'stop':
          await stop(step.iterator)
          break
        case 'resume': {
          const before = consumers[step.iterator]
          if (before?.lastId !== undefined && isStopped[step.iterator])
            open(step.iterator, before.selection, before.lastId, sequenceOf(before.lastId))
          break
        }
        case 'take':
          if (!isStopped[step.iterator]) consumers[step.iterator]?.take(step.count)
      }
    }
    const open_ = consumers.filter(
      (consumer, iterator): consumer is Consumer => consumer !== undefined && !isStopped[iterator],
    )
    for (const consumer of open_) consumer.take(Infinity)
    await hub.publishAll(TOPICS.map((topic) => ({ topic, type: 't', data: 'last' })))
    const isDone = ({ failure, position, selection }: Consumer) =>
      failure !== undefined || position === logged.findLast(({ topic }) => selection.hasTopic(topic))!.sequence
    await until(
      () => open_.every(isDone),
      () => 'an iterator still waits for events that were published',
    )
    for (const { failure } of all) if (failure !== undefined) throw failure as Error
  } finally {
    await hub.close()
  }
  for (const consumer of all) {
    if (consumer.demand > 0) await consumer.done
  }
}

await t.test('iterators are correct if every event is retained unless purged', async (t) => {
  await t.resolves(
    fc.assert(
      fc.asyncProperty(steps, (steps) => runSteps(steps, 1e6)),
      { numRuns: 200, ...BOUNDED },
    ),
  )
})

await t.test('iterators are correct on a log whose answers and deltas are late', async (t) => {
  await t.resolves(
    fc.assert(fc.asyncProperty(steps, fc.constantFrom(1, 2, 4, 1e6), fc.nat(), runSteps), { numRuns: 200, ...BOUNDED }),
  )
})

await t.test('iterators are correct with little retention', async (t) => {
  await t.resolves(
    fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 4 }), (steps, retain) => runSteps(steps, retain)),
      { numRuns: 300, ...BOUNDED },
    ),
  )
})
