/**
 * A hub with random publishers and subscribers, and its promises: a subscriber can resume from the last id that it has
 * read; events arrive in log order and at most once, and a resume misses and repeats none; a gap is never silent, and
 * never reported without a reason.
 */
import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { Hub } from '../../src/hub/hub.js'
import type { Receipt } from '../../src/hub/publisher.js'
import { Selection } from '../../src/model/selection.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { DelayedLog } from '../helper/delayed-log.js'
import { anybody } from './anybody.js'
import { FakeSink, settle, until } from './fake-sink.js'
import { parseStream, type Block } from './reference-parser.js'

const TOPICS = ['a', 'b', 'a.x', 'b.x', 'c']
const SELECTIONS: [patterns: string[], types: string[]][] = [
  [['a'], []],
  [['a'], []],
  [['b'], []],
  [['a', 'b'], []],
  [['**'], []],
  [['*.x'], []],
  [['a', 'a.*', '**'], []],
  [['c', 'b.*'], []],
  [['**'], ['t']],
  [['a'], ['t', 'u']],
]
const CLIENTS = 5

/** The time limit of a property in milliseconds, with its shrinking. Runs beyond the limit are left out. */
const BOUNDED = { interruptAfterTimeLimit: 6_000 }

interface Plan {
  topic: string
  type: string | undefined
  size: number
  ephemeral: boolean
}

interface Published extends Plan {
  payload: string
}

type Step =
  | { do: 'publish'; events: Plan[] }
  | { do: 'connect'; client: number; selection: number; replay: number | 'all' }
  | { do: 'disconnect'; client: number; read: number }
  | { do: 'resume'; client: number }
  | { do: 'stall'; client: number; writes: number }
  | { do: 'drain'; client: number }
  | { do: 'turns'; turns: number }

function steps(large: boolean): fc.Arbitrary<Step[]> {
  const client = fc.nat(CLIENTS - 1)
  const event = fc.record({
    topic: fc.constantFrom(...TOPICS),
    type: fc.constantFrom(undefined, undefined, 't', 'u'),
    size: large ? fc.constantFrom(0, 70_000, 1_700_000) : fc.constantFrom(0, 3_000),
    ephemeral: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
  })
  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('publish' as const),
        events: fc.array(event, { minLength: 1, maxLength: 5 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('connect' as const),
        client,
        selection: fc.nat(SELECTIONS.length - 1),
        replay: fc.constantFrom(0, 1, 3, 'all' as const),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('disconnect' as const),
        client,
        read: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('resume' as const), client }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('stall' as const), client, writes: fc.integer({ min: 1, max: 3 }) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('drain' as const), client }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('turns' as const), turns: fc.integer({ min: 1, max: 4 }) }) },
  )
  return fc.array(step, { minLength: 1, maxLength: 80, size: 'max' })
}

/** One connection of a client. */
interface Connection {
  sink: FakeSink
  selection: Selection
  /** The sequence after which it resumed; `undefined`: it was opened without a cursor. */
  after: number | undefined
  replay: number | 'all'
  /** The number of published events when it was opened, and when it was closed. */
  opened: number
  closed: number
  /** Whether its sink was never stalled, so that it gets every ephemeral event while it is open. */
  undisturbed: boolean
  /** The part of its bytes that the client has read. */
  read: number
  /** The log's head when it was opened, and at each write. */
  head: number
  heads: number[]
  /** The log's head that the hub knew when it located the start. */
  asked: number
}

interface Client {
  connection: Connection | undefined
  selection: Selection | undefined
  lastId: string | undefined
}

/** A hub that random steps control. */
class Scenario {
  readonly memory: MemoryLog
  readonly hub: Hub
  readonly clients = Array.from({ length: CLIENTS }, (): Client => ({
    connection: undefined,
    selection: undefined,
    lastId: undefined,
  }))
  readonly connections: Connection[] = []
  readonly published: (Published & { receipt: Promise<Receipt> })[] = []
  #ids = 0

  readonly errors: unknown[]

  private constructor(memory: MemoryLog, hub: Hub, errors: unknown[]) {
    this.memory = memory
    this.hub = hub
    this.errors = errors
  }

  /** @param seed the seed of a late log; `undefined`: a memory log without delays */
  static async begin(retain: number, seed?: number): Promise<Scenario> {
    const memory = new MemoryLog({ events: retain, age: 1e12, bytes: 1e12, dedupWindow: 0 })
    const log = seed === undefined ? memory : await DelayedLog.open(memory, seed)
    const errors: unknown[] = []
    const hub = await Hub.open(log, {
      heartbeat: 1e9,
      maxAge: 0,
      presenceGrace: 0,
      maxCursorsPerSubject: 100,
      cursorTtl: 1e9,
      maxEventSize: 1e9,
      onError: (err) => void errors.push(err),
    })
    return new Scenario(memory, hub, errors)
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const step of steps) await this.#step(step)
    for (const client of this.clients) {
      client.connection?.sink.drain()
      if (!client.connection && client.lastId !== undefined) await this.#open(client, client.lastId, 0)
    }
  }

  async #step(step: Step): Promise<void> {
    if (step.do === 'turns') return settle(step.turns)
    if (step.do === 'publish') return this.#publish(step.events)
    const client = this.clients[step.client]!
    const { connection } = client
    switch (step.do) {
      case 'connect':
        this.#disconnect(client, 1)
        client.selection = new Selection(...SELECTIONS[step.selection]!)
        client.lastId = undefined
        return this.#open(client, undefined, step.replay)
      case 'resume':
        if (!connection && client.lastId !== undefined) return this.#open(client, client.lastId, 0)
        return
      case 'disconnect':
        return this.#disconnect(client, step.read)
      case 'stall':
        if (connection) connection.undisturbed = false
        return connection?.sink.stall(step.writes)
      case 'drain':
        return connection?.sink.drain()
    }
  }

  #publish(plans: Plan[]): void {
    const events = plans.map((plan, index) => ({
      ...plan,
      payload: `${this.published.length + index}${'.'.repeat(plan.size)}`,
    }))
    const batch = this.hub.publishAll(
      events.map(({ topic, type, payload, ephemeral }) => ({ topic, type, text: payload, ephemeral })),
    )
    events.forEach((event, index) =>
      this.published.push({ ...event, receipt: batch.then((receipts) => receipts[index]!) }),
    )
  }

  async #open(client: Client, lastId: string | undefined, replay: number | 'all'): Promise<void> {
    const selection = client.selection!
    const asked = this.hub.head
    const start = await this.hub.streams.locate(selection, { lastEventId: lastId, replay })
    const sink = new FakeSink()
    const connection: Connection = {
      sink,
      selection,
      after: lastId === undefined ? undefined : sequenceOf(lastId),
      replay,
      opened: this.published.length,
      closed: Infinity,
      undisturbed: true,
      read: 1,
      head: this.memory.view.head,
      heads: [],
      asked,
    }
    sink.onWrite = () => void connection.heads.push(this.memory.view.head)
    client.connection = connection
    this.connections.push(connection)
    const id = `c${++this.#ids}`
    this.hub.streams.subscribe({ info: { id, address: '', principal: anybody }, selection, format: 'raw', start, sink })
  }

  /** @param read the part of the sent bytes that the client has read */
  #disconnect(client: Client, read: number): void {
    const { connection } = client
    if (!connection) return
    connection.read = read
    connection.closed = this.published.length
    connection.sink.close()
    client.connection = undefined
    client.lastId = readBlocks(connection).findLast(({ id }) => id !== undefined)?.id ?? client.lastId
  }
}

interface ReadBlock extends Block {
  /** The log's head at its write. */
  head: number
}

/** Returns what the client of a connection has read, block by block. */
function readBlocks({ sink, read, heads }: Connection): ReadBlock[] {
  let left = Math.round(sink.bytes.length * read)
  return sink.writes.flatMap((bytes, index) => {
    assert.ok(sink.isClosed || bytes.subarray(-2).toString() === '\n\n', 'a write has whole blocks')
    const blocks = parseStream(bytes.subarray(0, Math.max(0, left)))
    left -= bytes.length
    return blocks.map((block) => ({ ...block, head: heads[index]! }))
  })
}

function sequenceOf(cursor: string): number {
  return Number(cursor.slice(9))
}

interface Logged extends Published {
  sequence: number
}

/**
 * Compares the blocks that a connection has read with the stored events.
 * @param trimmedAt the log's head when each event was trimmed
 */
function check(connection: Connection, log: readonly Logged[], trimmedAt: (sequence: number) => number): void {
  const { selection, after, head, asked } = connection
  const blocks = readBlocks(connection)
  if (blocks.length === 0) return
  const ofTopics = log.filter(({ topic }) => selection.hasTopic(topic))
  const wanted = ofTopics.filter(({ type }) => selection.hasType(type))
  const [open] = blocks
  assert.equal(open!.event?.type, 'fanfare.open')
  assert.deepEqual((JSON.parse(open!.event.data) as { topics: string[] }).topics, selection.patterns)
  assert.ok(open!.retry! >= 2_000 && open!.retry! <= 4_000)
  let position = sequenceOf(open!.id!)
  if (after !== undefined) assert.equal(position, after, 'a resumed stream begins at its cursor')
  /** A replay requests only the retained events. */
  const isReplay = after === undefined && connection.replay !== 0
  let live = after === undefined && connection.replay === 0
  let gap: { after: number; oldest: number | undefined; head: number } | undefined
  let isGapNew = false
  const seen = new Set<number>()

  for (const { event, id, extra, head: sentAt } of blocks.slice(1)) {
    assert.ok(event, 'these streams have no heartbeats')
    if (event.type === 'fanfare.gap') {
      assert.equal(id, undefined, 'a gap has no id')
      const {
        reason,
        after: told,
        oldest,
      } = JSON.parse(event.data) as { reason: string; after: string; oldest: string | null }
      assert.equal(reason, 'expired')
      if (isGapNew) assert.ok(sequenceOf(told) > gap!.after, 'a gap is reported once')
      assert.ok(sequenceOf(told) >= position, "a gap begins at the client's cursor or later")
      const isMissing = (sequence: number) =>
        sequence > position && trimmedAt(sequence) <= sentAt && (!isReplay || live || trimmedAt(sequence) > asked)
      assert.ok(
        ofTopics.some(({ sequence }) => isMissing(sequence)),
        'a gap has a missing event',
      )
      gap = { after: sequenceOf(told), oldest: oldest === null ? undefined : sequenceOf(oldest), head: sentAt }
      isGapNew = true
      continue
    }
    if (id === undefined) continue // ephemeral events are checked elsewhere
    const sequence = sequenceOf(id)
    assert.ok(sequence >= position, 'ids never go back')
    const isLive = event.type === 'fanfare.live'
    for (const { sequence: missing } of wanted) {
      if (missing <= position || (isLive ? missing > sequence : missing >= sequence)) continue
      const isTold = gap !== undefined && missing > gap.after && trimmedAt(missing) <= gap.head
      const isUnasked = isReplay && trimmedAt(missing) <= head
      assert.ok(isTold || isUnasked, `${missing} is missing without a gap`)
    }
    if (isLive) {
      assert.equal(live, false, 'the live block comes once, and only after catch-up')
      live = true
      if (isGapNew) assert.equal(gap!.oldest, undefined, 'no retained event follows')
    } else {
      const logged = wanted.find((logged) => logged.sequence === sequence)
      assert.ok(logged, 'the event was requested')
      assert.deepEqual(
        { data: event.data, type: event.type, topic: extra['topic'] },
        {
          data: logged.payload,
          type: logged.type ?? 'message',
          topic: selection.isSingleTopic ? undefined : logged.topic,
        },
      )
      assert.equal(seen.has(sequence), false, 'each event comes once at most')
      seen.add(sequence)
      // without retained events, the next event is a new one
      if (isGapNew) assert.ok([sequence, undefined].includes(gap!.oldest), 'the oldest retained event follows')
      if (isReplay && !live) assert.ok(trimmedAt(sequence) > head, 'a replay sends only retained events')
    }
    isGapNew = false
    position = sequence
  }
  if (connection.closed === Infinity) {
    assert.equal(live, true, 'an open stream becomes live')
    const isTold = (sequence: number) => gap !== undefined && sequence > gap.after && trimmedAt(sequence) <= gap.head
    assert.equal(
      wanted.some(({ sequence }) => sequence > position && !isTold(sequence)),
      false,
      'an open stream gets every event, or a gap',
    )
  }
}

/** Checks the ephemeral events of a connection. They have no id, so each payload has the number of its event. */
function checkEphemeral(connection: Connection, published: readonly Published[]): void {
  const { selection, opened, closed, undisturbed, read } = connection
  const got: string[] = []
  for (const { event, id, extra } of readBlocks(connection)) {
    if (id === undefined && event && !event.type.startsWith('fanfare.'))
      got.push(`${extra['topic'] ?? selection.topics[0]!} ${event.type} ${event.data}`)
  }
  const due = published
    .map((event, index) => ({ ...event, index }))
    .filter(
      ({ ephemeral, topic, type, index }) =>
        ephemeral && selection.hasTopic(topic) && selection.hasType(type) && index < closed,
    )
    .map(({ topic, type, payload, index }) => ({ text: `${topic} ${type ?? 'message'} ${payload}`, index }))
  // Events that were published just before the connect may still have been pending.
  let next = 0
  for (const text of got) {
    while (next < due.length && due[next]!.text !== text) next++
    assert.ok(next < due.length, `${text} was published, and comes at most once`)
    next++
  }
  const isWatched =
    undisturbed && read === 1 && closed === Infinity && connection.replay === 0 && connection.after === undefined
  if (isWatched)
    assert.deepEqual(
      got,
      due.filter(({ index }) => index >= opened).map(({ text }) => text),
      'a stream that keeps up gets every ephemeral event',
    )
}

/**
 * Returns when each event was trimmed, as the head of the log at that time, if each topic retains a number of events.
 */
function trimming(log: readonly Logged[], retain: number): (sequence: number) => number {
  const heads = new Map<number, number>()
  const topics = new Map<string, number[]>()
  for (const { topic, sequence } of log) {
    const kept = topics.get(topic) ?? []
    topics.set(topic, kept)
    kept.push(sequence)
    if (kept.length > retain) heads.set(kept.shift()!, sequence)
  }
  return (sequence) => heads.get(sequence) ?? Infinity
}

async function runSteps(steps: readonly Step[], retain: number, seed?: number): Promise<void> {
  const scenario = await Scenario.begin(retain, seed)
  try {
    await scenario.run(steps)
    const receipts = await Promise.all(scenario.published.map(({ receipt }) => receipt))
    const log = scenario.published
      .map((event, index) => ({ ...event, id: receipts[index]!.id }))
      .filter(({ id }) => id !== null)
      .map((event): Logged => ({ ...event, sequence: sequenceOf(event.id!) }))
      .sort((a, b) => a.sequence - b.sequence)
    assert.deepEqual(
      log.map(({ sequence }) => sequence),
      log.map((_, index) => index + 1),
    )

    const open = scenario.connections.filter(({ closed }) => closed === Infinity)
    const trimmedAt = trimming(log, retain)
    const isDone = ({ sink, selection }: Connection) => {
      const last = log.findLast(
        ({ topic, type, sequence }) =>
          selection.hasTopic(topic) && selection.hasType(type) && trimmedAt(sequence) === Infinity,
      )
      return !last || sequenceOf(sink.lastEventId ?? '') >= last.sequence
    }
    await until(
      () => open.every(isDone),
      () => 'a stream is still waiting for published events',
    )
    await settle(seed === undefined ? 5 : 200) // a late log takes time for each call
    for (const connection of scenario.connections) {
      check(connection, log, trimmedAt)
      assert.equal(connection.sink.last, undefined, 'no stream was ended')
      assert.ok(connection.sink.overflow <= LARGEST_WRITE, 'a full sink gets at most one batch')
    }
    assert.deepEqual(scenario.errors, [])
    assert.equal(scenario.hub.connections.size, open.length)
  } finally {
    await scenario.hub.close()
  }
}

/** The largest write in bytes: a batch, or one event of any size, with the blocks of the hub around it. */
const LARGEST_WRITE = 2_000_000

await t.test('every client reads each event of the log once and in order', async (t) => {
  await t.resolves(
    fc.assert(
      fc.asyncProperty(steps(false), (steps) => runSteps(steps, 1e6)),
      { numRuns: 250, ...BOUNDED },
    ),
  )
})

await t.test('with little retention the hub reports a gap for every loss, and for nothing else', async (t) => {
  await t.resolves(
    fc.assert(
      fc.asyncProperty(steps(false), fc.integer({ min: 1, max: 4 }), (steps, retain) => runSteps(steps, retain)),
      { numRuns: 250, ...BOUNDED },
    ),
  )
})

await t.test('streams are correct on a log whose answers and deltas are late', async (t) => {
  await t.resolves(
    fc.assert(fc.asyncProperty(steps(false), fc.constantFrom(1, 2, 4, 1e6), fc.nat(), runSteps), {
      numRuns: 200,
      ...BOUNDED,
    }),
  )
})

await t.test('streams are correct with events so large that feeds keep none for waiting streams', async (t) => {
  await t.resolves(
    fc.assert(
      fc.asyncProperty(steps(true), fc.constantFrom(2, 1e6), (steps, retain) => runSteps(steps, retain)),
      { numRuns: 15, ...BOUNDED },
    ),
  )
})

await t.test('ephemeral events come at most once, in order, and to every client that keeps up', async (t) => {
  await t.resolves(
    fc.assert(
      fc.asyncProperty(steps(false), async (steps) => {
        const scenario = await Scenario.begin(1e6)
        try {
          await scenario.run(
            steps.map((step) =>
              step.do === 'publish'
                ? { ...step, events: step.events.map((event) => ({ ...event, ephemeral: true })) }
                : step,
            ),
          )
          await Promise.all(scenario.published.map(({ receipt }) => receipt))
          await settle(10)
          for (const connection of scenario.connections) checkEphemeral(connection, scenario.published)
          assert.equal(scenario.memory.view.stats().events, 0)
        } finally {
          await scenario.hub.close()
        }
      }),
      { numRuns: 150, ...BOUNDED },
    ),
  )
})
