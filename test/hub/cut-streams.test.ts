/**
 * A client that is cut off at any byte of a stream resumes from its last id. It gets a gap for each missing event, and
 * no false gap (promises 1 and 4).
 */
import { createParser } from 'eventsource-parser'
import t, { type Test } from 'tap'
import { Selection } from '../../src/model/selection.js'
import type { StartRequest } from '../../src/hub/start.js'
import { FakeSink, until } from './fake-sink.js'
import { openHub, type OpenHub } from './open-hub.js'

/** The blocks that a client has read. */
interface Read {
  lastEventId: string | undefined
  data: string[]
  gaps: string[]
}

/** Reads as EventSource does: a block counts once its blank line has arrived. */
function read(bytes: Uint8Array): Read {
  const seen: Read = { lastEventId: undefined, data: [], gaps: [] }
  const parser = createParser({
    onEvent: ({ id, event, data }) => {
      seen.lastEventId = id ?? seen.lastEventId
      if (event === 'fanfare.gap') seen.gaps.push((JSON.parse(data) as { reason: string }).reason)
      else if (!event?.startsWith('fanfare.')) seen.data.push(data)
    },
  })
  parser.feed(new TextDecoder().decode(bytes))
  return seen
}

/** Ten events of a topic, four of them retained, and three retained events of another topic. */
async function start(t: Test): Promise<OpenHub> {
  const open = await openHub(t, {}, { events: 4 })
  for (let n = 1; n <= 10; n++) await open.hub.publish('a', { data: `a${n}` })
  for (let n = 1; n <= 3; n++) await open.hub.publish('b', { data: `b${n}` })
  return open
}

/** Reads a stream until it is live. */
async function whole({ subscribe }: OpenHub, topics: string[], asking: StartRequest): Promise<Buffer> {
  const sink = await subscribe(topics, asking)
  await until(() =>
    asking.lastEventId === undefined && asking.replay === undefined && asking.from === undefined
      ? sink.writes.length > 0
      : sink.told('live').length === 1,
  )
  sink.close()
  return sink.bytes
}

/** Cuts a stream at each of its bytes, and resumes. */
async function cutEverywhere(
  t: Test,
  open: OpenHub,
  topics: string[],
  asking: StartRequest,
  bytes: Buffer,
): Promise<void> {
  const uncut = read(bytes)
  const wrong: string[] = []
  for (let length = 0; length <= bytes.length; length++) {
    const before = read(bytes.subarray(0, length))
    const after = read(await whole(open, topics, { ...asking, lastEventId: before.lastEventId ?? asking.lastEventId }))
    const data = [...before.data, ...after.data]
    const gaps = [...before.gaps, ...after.gaps]
    if (data.join() !== uncut.data.join()) wrong.push(`${length}: ${data.join()}`)
    if (uncut.gaps.length > 0 ? gaps.length === 0 : gaps.length > 0) wrong.push(`${length}: ${gaps.join() || 'no gap'}`)
    if (uncut.gaps[0] !== 'expired' && before.gaps.length > 0 && after.gaps.length > 0)
      wrong.push(`${length}: the gap comes twice`)
  }
  t.strictSame(wrong, [])
}

const epoch = (open: OpenHub, sequence: number): string => `${open.hub.epoch}-${sequence}`

const REQUESTS: [what: string, asking: (open: OpenHub) => StartRequest, gap?: string][] = [
  ['nothing', () => ({})],
  ['replay=all', () => ({ replay: 'all' })],
  ['replay=2', () => ({ replay: 2 })],
  ['replay=1000', () => ({ replay: 1_000 })],
  ['replay=latest', () => ({ replay: 'latest' })],
  ['a resume', (open) => ({ lastEventId: epoch(open, 8) })],
  ['from=start', () => ({ from: 'start' }), 'expired'],
  ['from the first time', () => ({ from: 1 }), 'expired'],
  ['from now on', () => ({ from: Date.now() + 1_000 })],
  ['a resume before trimmed events', (open) => ({ lastEventId: epoch(open, 2) }), 'expired'],
  ['a resume of another log', () => ({ lastEventId: 'zzzzzzzz-3' }), 'epoch'],
  ['a resume from the future', (open) => ({ lastEventId: epoch(open, 99) }), 'future'],
  ['a resume from an invalid cursor', () => ({ lastEventId: 'x y' }), 'invalid'],
]

for (const [what, ask, gap] of REQUESTS) {
  await t.test(`${what}: a client that is cut off at any byte loses no event without a gap`, async (t) => {
    const open = await start(t)
    const asking = ask(open)
    const bytes = await whole(open, ['a'], asking)
    t.strictSame(read(bytes).gaps, gap === undefined ? [] : [gap])
    await cutEverywhere(t, open, ['a'], asking, bytes)
  })

  await t.test(`${what}: a client can resume from the id of the first block`, async (t) => {
    const open = await start(t)
    const asking = ask(open)
    const { sequence, gap: untold } = await open.hub.streams.locate(new Selection(['a']), asking)
    if (untold) return // the header Last-Event-ID is the client's own
    const { gaps, data } = read(await whole(open, ['a'], { lastEventId: epoch(open, sequence) }))
    const uncut = read(await whole(open, ['a'], asking))
    t.strictSame([gaps, data], [uncut.gaps, uncut.data])
  })
}

await t.test('a stream without retained events gets its gap, wherever it is cut off', async (t) => {
  for (const lastEventId of ['zzzzzzzz-3', 'x']) {
    const open = await start(t)
    await open.hub.purge('a')
    await cutEverywhere(t, open, ['a'], { lastEventId }, await whole(open, ['a'], { lastEventId }))
  }
})

await t.test('an empty log', async (t) => {
  for (const asking of [
    { lastEventId: 'zzzzzzzz-3' },
    { lastEventId: 'x' },
    { replay: 'all' },
    { from: 'start' },
  ] as StartRequest[]) {
    const open = await openHub(t)
    await cutEverywhere(t, open, ['a'], asking, await whole(open, ['a'], asking))
  }
})

await t.test('a stream that is moved before its gap is reported keeps the gap, wherever it is cut off', async (t) => {
  for (const lastEventId of ['zzzzzzzz-3', 'x']) {
    const open = await start(t)
    const sink = new FakeSink()
    sink.stall()
    const { stream } = await open.subscribe(['b'], { lastEventId, sink })
    open.hub.streams.move(stream, new Selection(['a']))
    sink.drain()
    await until(() => sink.told('live').length === 1)
    t.equal(sink.told('open').length, 2)
    const own = lastEventId === 'x' ? undefined : lastEventId
    t.strictSame(
      sink.blocks
        .map(({ id, event }) => (event?.type.startsWith('fanfare.') ? [event.type, id] : []))
        .filter(([type]) => type),
      [
        ['fanfare.open', own],
        ['fanfare.open', own],
        ['fanfare.gap', epoch(open, 6)],
        ['fanfare.live', epoch(open, 13)],
      ],
    )
    sink.close()
    await cutEverywhere(t, open, ['a'], { lastEventId }, sink.bytes)
  }
})

await t.test(
  'a replay does not report earlier trims, but reports the trims of a topic that was added later',
  async (t) => {
    const open = await openHub(t, {}, { events: 4 })
    await open.hub.publish('a', { data: 'a1' })
    for (let n = 1; n <= 10; n++) await open.hub.publish('b', { data: `b${n}` })
    const sink = new FakeSink()
    sink.stall()
    const { stream } = await open.subscribe(['a'], { replay: 'all', sink })
    open.hub.streams.move(stream, new Selection(['a', 'b']))
    sink.drain()
    await until(() => sink.told('live').length === 1)
    t.match(sink.told('gap'), [{ reason: 'expired', after: epoch(open, 0) }])
    t.strictSame(sink.data, ['"a1"', '"b7"', '"b8"', '"b9"', '"b10"'])
  },
)

await t.test('a gap names the event after it, even many batches later', async (t) => {
  const open = await openHub(t)
  for (let n = 0; n < 25; n++)
    await open.hub.publishAll(Array.from({ length: 1_000 }, () => ({ topic: 'a', type: 'other', data: 1 })))
  await open.hub.publish('a', { type: 'rare', data: 2 })
  const sink = await open.subscribe(['a'], { types: ['rare'], lastEventId: 'x' })
  await until(() => sink.told('live').length === 1)
  t.strictSame(sink.told('gap'), [{ reason: 'invalid', after: 'x', oldest: epoch(open, 25_001) }])
  t.equal(sink.blocks.find(({ event }) => event?.type === 'fanfare.gap')?.id, epoch(open, 25_000))
})
