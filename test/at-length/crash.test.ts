/**
 * Promises 2, 3 and 4 with processes that are killed at any moment, on each kind of log: subscribers that resume get
 * every acknowledged event, in order and once, or a gap.
 *
 * `CRASH_KILLS` is the total number of kills, `CRASH_SECONDS` the minimum time, and `CRASH_SEED` repeats the choices of
 * a run.
 */
import t, { type Test } from 'tap'
import { bearer, crash, END, type Load } from '../helper/crash-load.js'
import { crashingHub, crashingNats, crashingPair, type Crashing } from '../helper/crashing.js'
import { request, type History } from '../helper/http.js'
import { skipNats } from '../helper/nats.js'
import { difference, due, inLogOrder, sequence, type Logged } from '../helper/oracle.js'
import { streamUrl, type StreamEvent } from '../helper/stream.js'

const KILLS = fromEnvironment('CRASH_KILLS', 28)
const SECONDS = fromEnvironment('CRASH_SECONDS', 30)
const SEED = fromEnvironment('CRASH_SEED', Date.now() % 1_000_000)

/** Nothing is trimmed. */
const ALL = { FANFARE_RETAIN_EVENTS: '1000000', FANFARE_RETAIN_BYTES: '10GiB' }

t.setTimeout(SECONDS * 1_000 + KILLS * 10_000 + END)
t.comment(`${KILLS} kills, CRASH_SEED=${SEED}`)

/** Returns a share of all kills and of the time. */
function part(share: number): Load {
  return { seed: SEED, kills: Math.round(KILLS * share), time: SECONDS * share * 1_000 }
}

/** The oracle of a log that outlives its processes. */
async function testNothingIsLost(t: Test, hub: Crashing, share: number): Promise<void> {
  const epoch = await epochOf(hub)
  const { acknowledged, uploaded, retried, subscribers } = await crash(t, hub, { ...part(share), uploads: true })

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
  const hub = await crashingHub(t, { FANFARE_LOG: `file:${t.testdir({})}`, FANFARE_RETAIN_EVENTS: '15' })
  const { acknowledged, retried, subscribers } = await crash(t, hub, { ...part(share), away: true })
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

async function testNewLogIsTold(t: Test, share: number): Promise<void> {
  const hub = await crashingHub(t, { FANFARE_LOG: 'memory', ...ALL })
  const { acknowledged, subscribers } = await crash(t, hub, part(share))
  const epochs = [...new Set(acknowledged.map(({ id }) => epochIn(id)))]
  t.ok(epochs.length > 1, `${hub.kills} kills have begun ${epochs.length} logs with events`)
  for (const subscriber of subscribers) {
    const logs = new Map(
      epochs.map((epoch) => {
        const log = inLogOrder(acknowledged.filter(({ id }) => epochIn(id) === epoch))
        return [epoch, due(log, subscriber.topics)]
      }),
    )
    t.strictSame(epochFaults(subscriber.blocks, logs).slice(0, 3), [], `${subscriber.name} has no fault`)
    t.ok(
      subscriber.blocks.some(({ type }) => type === 'fanfare.gap'),
      `${subscriber.name} gets a gap`,
    )
  }
}

/** Reads all events of the log from the history. */
async function readLog(hub: Crashing): Promise<Logged[]> {
  const url = await hub.url()
  const log: Logged[] = []
  for (let after: string | undefined, more = true; more;) {
    const page = streamUrl({ url }, ['**'], { limit: '1000', ...(after === undefined ? {} : { after }) })
    const { body } = await request<History>(page, {
      headers: { accept: 'application/json', authorization: `Bearer ${bearer}` },
    })
    log.push(...body.events.map(({ id, topic, data }) => ({ id, topic, data: JSON.stringify(data) })))
    after = body.cursor
    more = body.more
  }
  return log
}

async function epochOf(hub: Crashing): Promise<string> {
  const { body } = await request<History>(streamUrl({ url: await hub.url() }, ['**'], { limit: '1' }), {
    headers: { accept: 'application/json', authorization: `Bearer ${bearer}` },
  })
  return epochIn(body.cursor)
}

/** Returns the epoch of a cursor. */
function epochIn(cursor: string): string {
  return cursor.split('-', 1)[0]!
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

/**
 * Returns the faults of a subscriber of a log that ends with its process, in words. A new log is a gap with the reason
 * `epoch`, and there is no other gap. The subscriber has all acknowledged events of each log up to its last one, in
 * order.
 */
function epochFaults(blocks: readonly StreamEvent[], logs: ReadonlyMap<string, readonly StreamEvent[]>): string[] {
  const wrong: string[] = []
  const read = new Map<string, StreamEvent[]>()
  let now: string | undefined
  let isTold = false
  for (const block of blocks) {
    if (block.type === 'fanfare.gap') {
      if ((JSON.parse(block.data) as { reason: string }).reason !== 'epoch') wrong.push(`the gap ${block.data}`)
      isTold = true
    }
    if (block.type?.startsWith('fanfare.') === true) continue
    const epoch = epochIn(block.id!)
    if (now !== undefined && (epoch !== now) !== isTold)
      wrong.push(`${block.id!} came after the epoch ${now}, ${isTold ? 'with' : 'without'} a gap`)
    isTold = false
    now = epoch
    const before = read.get(epoch) ?? []
    if (before.length > 0 && sequence(block.id!) <= sequence(before.at(-1)!.id!))
      wrong.push(`${block.id!} came after ${before.at(-1)!.id!}`)
    read.set(epoch, [...before, block])
  }
  for (const [epoch, events] of read) {
    const acknowledged = logs.get(epoch) ?? []
    const known = new Set(acknowledged.map(({ id }) => id))
    const upTo = sequence(events.at(-1)!.id!)
    // The answer to a stored event may be lost: then only the subscriber has the event.
    const found = difference(
      events.filter(({ id }) => known.has(id)),
      acknowledged.filter(({ id }) => sequence(id!) <= upTo),
    )
    if (found !== 'none') wrong.push(`in the epoch ${epoch}, ${found}`)
  }
  return wrong
}

function fromEnvironment(name: string, fallback: number): number {
  const text = process.env[name]
  if (text === undefined || text === '') return fallback
  if (!/^\d+$/.test(text)) throw new Error(`${name}=${text} is not a whole number`)
  return Number(text)
}

await t.test('the file log, sync: every acknowledged event is received once, in order, with no gap', async (t) => {
  const hub = await crashingHub(t, { FANFARE_LOG: `file:${t.testdir({})}`, FANFARE_DURABILITY: 'sync', ...ALL })
  await testNothingIsLost(t, hub, 0.24)
})
await t.test('the file log, commit: every acknowledged event is received once, in order, with no gap', async (t) => {
  const hub = await crashingHub(t, { FANFARE_LOG: `file:${t.testdir({})}`, FANFARE_DURABILITY: 'commit', ...ALL })
  await testNothingIsLost(t, hub, 0.12)
})
await t.test('a replica: every acknowledged event is received once, in order, with no gap', async (t) => {
  const hubs = await crashingPair(t, { FANFARE_LOG: `file:${t.testdir({})}/log`, ...ALL })
  await testNothingIsLost(t, hubs, 0.24)
  t.ok(hubs.takeovers > 0, `${hubs.takeovers} times a replica took over from a killed leader`)
})
await t.test(
  'NATS: every acknowledged event is received once, in order, with no gap',
  { skip: skipNats },
  async (t) => {
    await testNothingIsLost(t, await crashingNats(t, ALL), 0.16)
  },
)
await t.test('with little retention every loss is reported as a gap, and nothing else is', (t) =>
  testLossesAreTold(t, 0.18),
)
await t.test('the memory log: each new log is reported as a gap, and nothing else is', (t) => testNewLogIsTold(t, 0.06))
