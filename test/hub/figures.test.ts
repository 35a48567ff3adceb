/** What the hub counts of slow streams and gaps. */
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { until } from './fake-sink.js'
import { openHub, type Asking, type OpenHub } from './open-hub.js'

const LARGE = { text: 'x'.repeat(200_000) }

/** Returns a function that reads a labelled metric. */
function readerOf({ hub }: OpenHub) {
  return async (name: string): Promise<Record<string, number>> => {
    const family = (await hub.metrics()).find((one) => one.name === name)
    return Object.fromEntries(family!.values.map(({ labels, value }) => [Object.values(labels)[0]!, value]))
  }
}

/** Opens a stream whose socket is full after the next event. */
async function stall(open: OpenHub, asking: Asking = {}) {
  const subscriber = await open.subscribe(['a'], asking)
  await until(() => subscriber.stream.state === 'live')
  subscriber.stall()
  await open.hub.publish('a', { data: 1 })
  await until(() => subscriber.isFull)
  return subscriber
}

/** Publishes more than a feed keeps for a stream that waits. */
async function fill({ hub }: OpenHub): Promise<void> {
  for (let n = 0; n < 15; n++) {
    await hub.publish('a', LARGE)
    await turn() // a sweep drops old frames
  }
}

async function outcomesAfter(t: Test, act: (open: OpenHub) => Promise<void>): Promise<Record<string, number>> {
  const open = await openHub(t)
  await act(open)
  const outcomes = await readerOf(open)('fanfare_stalls_total')
  return Object.fromEntries(Object.entries(outcomes).filter(([, count]) => count > 0))
}

await t.test('a short stall is recovered from the frames of the feed', async (t) => {
  const outcomes = await outcomesAfter(t, async (open) => {
    const subscriber = await stall(open)
    await open.hub.publish('a', { data: 2 })
    subscriber.drain()
    await until(() => subscriber.data.length === 2)
  })
  t.strictSame(outcomes, { recovered: 1 })
})

await t.test('a stream whose feed has dropped its frames resumes from the log, or skips', async (t) => {
  for (const [slow, outcome] of [
    ['resume', 'resumed'],
    ['latest', 'skipped'],
  ] as const) {
    const outcomes = await outcomesAfter(t, async (open) => {
      const subscriber = await stall(open, { slow })
      await fill(open)
      subscriber.drain()
      await until(() => subscriber.stream.state === 'live')
    })
    t.strictSame(outcomes, { [outcome]: 1 })
  }
})

await t.test('a stalled stream is ended by the hub or by its peer', async (t) => {
  t.strictSame(await outcomesAfter(t, async (open) => (await stall(open)).stream.stalled()), { ended: 1 })
  t.strictSame(await outcomesAfter(t, async (open) => (await stall(open)).close()), { gone: 1 })
  const kept = await outcomesAfter(t, async (open) => (await stall(open, { slow: 'latest' })).stream.stalled())
  t.strictSame(kept, {}, 'a stream with `latest` is not ended')
})

await t.test('each gap that a stream is told of is counted', async (t) => {
  const open = await openHub(t, {}, { events: 2 })
  for (let n = 0; n < 5; n++) await open.hub.publish('a', { data: n })
  const ids = [open.hub.cursor(1), 'aaaaaaaa-1', open.hub.cursor(99), 'nonsense']
  for (const lastEventId of ids) {
    const subscriber = await open.subscribe(['a'], { lastEventId })
    await until(() => subscriber.stream.state === 'live')
  }
  const skipping = await stall(open, { slow: 'latest' })
  await fill(open)
  skipping.drain()
  await until(() => skipping.stream.state === 'live')
  t.strictSame(await readerOf(open)('fanfare_gaps_total'), { expired: 1, epoch: 1, future: 1, invalid: 1, skipped: 1 })
})

await t.test('the ends of streams are counted by reason', async (t) => {
  const open = await openHub(t)
  const [first, second] = [await open.subscribe(['a']), await open.subscribe(['a'])]
  first.close()
  second.stream.end('revoked')
  second.stream.end('revoked')
  const reasons = await readerOf(open)('fanfare_connections_closed_total')
  t.match(reasons, { gone: 1, revoked: 1, drain: 0 })
})
