/**
 * One stream under random transitions and faults: moves, a sink that fills and drains, a log that answers late or
 * fails, and an end at any moment. After every step the table of `Stream` allows its state. At the end it has sent
 * every event that it owed, once and in order.
 */
import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Feed } from '../../src/hub/feed.js'
import type { Stream, StreamState } from '../../src/hub/stream.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { HubError } from '../../src/model/hub-error.js'
import { Selection } from '../../src/model/selection.js'
import type { ScanResult } from '../../src/log/log.js'
import type { FakeSink } from './fake-sink.js'
import { settle, until } from './fake-sink.js'
import { openHubOn, type OpenHub } from './open-hub.js'

const TOPICS = ['a', 'b', 'c']
/** Larger than a batch, so that it fills a sink alone. */
const LARGE = 'x'.repeat(70_000)

/** A log whose scans are late, and fail on request. */
class UnreliableLog extends MemoryLog {
  turns = 0
  fails = false

  override async scan(...args: Parameters<MemoryLog['scan']>): Promise<ScanResult> {
    await settle(this.turns)
    if (this.fails) throw new HubError('log-unavailable', 'the disk is gone')
    const scanned = await super.scan(...args)
    await settle(this.turns)
    return scanned
  }
}

type Step =
  | { do: 'publish'; topic: string; count: number; isLarge: boolean; ephemeral: boolean }
  | { do: 'move'; topics: string[]; replay: number }
  | { do: 'stall'; writes: number }
  | { do: 'drain'; writes: number }
  | { do: 'delay'; turns: number }
  | { do: 'turns'; turns: number }
  | { do: 'renew' }
  | { do: 'beat' }

const topics = fc.subarray(TOPICS, { minLength: 1 })
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('publish' as const),
        topic: fc.constantFrom(...TOPICS),
        count: fc.integer({ min: 1, max: 40 }),
        isLarge: fc.boolean(),
        ephemeral: fc.integer({ max: 3, min: 0 }).map((n) => n === 0),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('move' as const), topics, replay: fc.nat(3) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('stall' as const), writes: fc.integer({ min: 1, max: 4 }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('drain' as const), writes: fc.integer({ min: 1, max: 9 }) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('delay' as const), turns: fc.nat(4) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('turns' as const), turns: fc.integer({ min: 1, max: 5 }) }) },
    { weight: 1, arbitrary: fc.constant({ do: 'renew' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'beat' as const }) },
  ),
  { minLength: 1, maxLength: 60, size: 'max' },
)

interface Published {
  n: number
  topic: string
  sequence: number | undefined
  /** The number of the latest move at its publish. */
  moves: number
}

/** A stream that random steps control. */
class Scenario {
  readonly log = new UnreliableLog({ events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 0 })
  open!: OpenHub
  readonly published: Published[] = []
  /** The topics at the beginning and after each move, with the stream's cursor at that time. */
  readonly selections: { topics: string[]; cursor: number }[] = []
  /** Every feed that it has joined. */
  readonly #feeds = new Set<Feed>()
  stream!: Stream
  sink!: FakeSink
  /** How many times the hub was notified of the stream's end. */
  ends = 0
  #sequence = 0
  #state: StreamState = 'catching-up'

  async begin(t: Test, topics: string[], slow: 'resume' | 'latest'): Promise<void> {
    this.open = await openHubOn(t, this.log)
    this.selections.push({ topics, cursor: 0 })
    const sink = await this.open.subscribe(topics, { slow, lastEventId: `${this.open.hub.epoch}-0` })
    this.sink = sink
    this.stream = sink.stream
    const { connections } = this.open.hub
    const remove = connections.delete.bind(connections)
    connections.delete = (stream) => {
      if (stream === this.stream) this.ends++
      return remove(stream)
    }
    this.check()
  }

  async take(step: Step): Promise<void> {
    const { hub } = this.open
    switch (step.do) {
      case 'publish':
        await this.#publish(step)
        break
      case 'move':
        this.#move(step.topics, step.replay)
        break
      case 'stall':
        this.sink.stall(step.writes)
        break
      case 'drain':
        this.sink.drain(step.writes)
        break
      case 'delay':
        this.log.turns = step.turns
        break
      case 'turns':
        await settle(step.turns)
        break
      case 'renew':
        hub.streams.renew(this.stream, { ...this.stream.info.principal, expiresAt: 5e12 })
        break
      case 'beat':
        if (this.stream.state === 'live' && !this.stream.feed.isDue) this.stream.beat(hub.head)
    }
    this.check()
  }

  async #publish({ topic, count, isLarge, ephemeral }: Step & { do: 'publish' }): Promise<void> {
    const { hub } = this.open
    const moves = this.selections.length - 1
    const receipts = Array.from({ length: count }, async () => {
      const n = this.published.length
      const event: Published = { n, topic, sequence: undefined, moves }
      this.published.push(event)
      const { id } = await hub.publish(topic, { data: isLarge ? { n, LARGE } : { n }, ephemeral })
      if (id !== null) event.sequence = Number(id.split('-')[1])
    })
    await Promise.all(receipts)
  }

  #move(topics: string[], replay: number): void {
    const { hub } = this.open
    const { selection } = this.stream.feed
    const added = topics.filter((topic) => !selection.patterns.includes(topic))
    const wanted = added.length > 0 && replay > 0 ? { selection: new Selection(added), count: replay } : undefined
    if (this.stream.isClosed) return
    hub.streams.move(this.stream, selection.of(topics), wanted)
    this.selections.push({ topics, cursor: this.stream.sequence })
  }

  /** Checks the invariants of any moment. */
  check(): void {
    const { state, feed, sequence, isFull } = this.stream
    this.#feeds.add(feed)
    for (const known of this.#feeds)
      assert.equal(known.live.has(this.stream), state === 'live' && known === feed, 'a live stream reads one feed')
    if (state === 'waiting') assert.ok(isFull && this.sink.isFull, 'a stream waits for a full sink')
    if (state === 'live') assert.ok(!isFull, 'a stream with a full sink is not live')
    assert.ok(sequence >= this.#sequence, 'a cursor never moves backwards')
    assert.ok(sequence <= this.open.hub.head, 'a cursor is never ahead of the log')
    if (this.#state === 'closed') assert.equal(state, 'closed', 'a closed stream stays closed')
    assert.equal(this.sink.late, 0, 'no write after the end')
    assert.equal(this.ends, state === 'closed' ? 1 : 0, 'the hub is notified of the end once')
    assert.equal(this.open.hub.connections.get(this.stream.info.id) === this.stream, state !== 'closed')
    this.#sequence = sequence
    this.#state = state
  }

  /** The sent events: the number of each, and its sequence unless it was sent without an id. */
  get sent(): { n: number; id: number | undefined }[] {
    return this.sink.blocks.flatMap(({ event, id }) =>
      event && !event.type.startsWith('fanfare.')
        ? [{ n: (JSON.parse(event.data) as { n: number }).n, id: id === undefined ? undefined : sequenceOf(id) }]
        : [],
    )
  }

  /** Checks that every required event was sent, and no forbidden one. */
  checkSent(): void {
    const withId = this.sent.filter(({ id }) => id !== undefined)
    withId.forEach(({ n, id }, index) => {
      assert.ok(index === 0 || withId[index - 1]!.id! < id!, 'events with ids are in order')
      assert.equal(this.published[n]!.sequence, id, 'an event has its own id')
    })
    const sent = new Set(withId.map(({ n }) => n))
    for (const { n, topic, sequence, moves } of this.published) {
      if (sequence === undefined) continue
      const later = this.selections.slice(moves)
      if (later.every(({ topics }) => !topics.includes(topic)))
        assert.ok(!sent.has(n), `event ${n} of ${topic} is not sent: the stream never has the topic after the publish`)
      const dropped = this.selections.findLastIndex(({ topics }) => !topics.includes(topic))
      const since = this.selections[dropped + 1]
      if (since && sequence > since.cursor)
        assert.ok(
          sent.has(n),
          `event ${n} of ${topic} came after the cursor at which the topic was added, so it is sent`,
        )
    }
    const ephemeral = this.sent.filter(({ n }) => this.published[n]!.sequence === undefined).map(({ n }) => n)
    assert.equal(new Set(ephemeral).size, ephemeral.length, 'an ephemeral event is sent at most once')
  }

  async drain(): Promise<void> {
    this.log.turns = 0
    const settled = () => {
      this.sink.drain()
      return this.stream.isClosed || (this.stream.state === 'live' && this.stream.lag(this.open.hub.head) === 0)
    }
    await until(settled, () => `the stream is ${this.stream.state} at ${this.stream.sequence}`)
    this.check()
  }
}

function sequenceOf(id: string): number {
  return Number(id.split('-')[1])
}

await t.test('a stream sends every event that it owes', async (t) => {
  await t.resolves(
    fc.assert(
      fc.asyncProperty(topics, steps, async (topics, steps) => {
        const scenario = new Scenario()
        await scenario.begin(t, topics, 'resume')
        for (const step of steps) await scenario.take(step)
        await scenario.drain()
        scenario.checkSent()
        await scenario.open.hub.close()
        scenario.check()
      }),
      { numRuns: 120, interruptAfterTimeLimit: 60_000 },
    ),
  )
})

await t.test('with `latest` a stream ends up with the newest event of each topic', async (t) => {
  await t.resolves(
    fc.assert(
      fc.asyncProperty(topics, steps, async (topics, steps) => {
        const scenario = new Scenario()
        await scenario.begin(t, topics, 'latest')
        for (const step of steps) await scenario.take(step)
        await scenario.drain()
        const sent = new Set(scenario.sent.filter(({ id }) => id !== undefined).map(({ n }) => n))
        const stored = scenario.published.filter(({ sequence }) => sequence !== undefined)
        for (const topic of topics.filter((name) => scenario.selections.every((each) => each.topics.includes(name)))) {
          const newest = stored.findLast((event) => event.topic === topic)
          if (newest) assert.ok(sent.has(newest.n), `the newest event of ${topic} was sent`)
        }
        await scenario.open.hub.close()
        scenario.check()
      }),
      { numRuns: 60, interruptAfterTimeLimit: 40_000 },
    ),
  )
})

await t.test('a stream ends once, at any moment and for any reason', async (t) => {
  const ending = fc.constantFrom('admin' as const, 'peer' as const, 'log' as const)
  await t.resolves(
    fc.assert(
      fc.asyncProperty(topics, steps, steps, ending, async (topics, before, after, ending) => {
        const scenario = new Scenario()
        await scenario.begin(t, topics, 'resume')
        for (const step of before) await scenario.take(step)
        if (ending === 'admin') scenario.stream.end('revoked')
        if (ending === 'peer') scenario.sink.close()
        if (ending === 'log') scenario.log.fails = true
        scenario.check()
        for (const step of after) if (step.do !== 'renew') await scenario.take(step)
        if (!scenario.stream.isClosed) await scenario.drain()
        if (ending === 'log' && scenario.stream.isClosed)
          assert.deepEqual(
            scenario.sink.told('close').map((block) => (block as { reason: string }).reason),
            ['busy'],
          )
        if (ending === 'admin') assert.ok(scenario.stream.isClosed && scenario.sink.told('close').length === 1)
        await scenario.open.hub.close()
        scenario.check()
      }),
      { numRuns: 120, interruptAfterTimeLimit: 60_000 },
    ),
  )
})
