/** The one timer of all streams. */
import t, { type Test } from 'tap'
import { StreamReaper, type ReaperOptions } from '../../src/hub/stream-reaper.js'
import { monotonicNow } from '../../src/model/clock.js'
import { until } from './fake-sink.js'
import { FakeStreams } from './fake-streams.js'

/** Starts the timer, and returns a function that waits until each stream has been visited once more. */
function start(t: Test, streams: FakeStreams, options: Partial<ReaperOptions> = {}) {
  const beaten: string[] = []
  let rounds = 0
  const reaper = new StreamReaper(
    streams.connections,
    { heartbeat: 1_000, maxAge: 0, ...options },
    ({ info }) => beaten.push(info.id),
    () => rounds++,
  )
  t.teardown(() => reaper.stop())
  const round = async () => {
    const next = rounds + 2
    await until(() => rounds >= next)
  }
  return { reaper, beaten, round, rounds: () => rounds }
}

await t.test('a stream ends when its token expires, or when it is too old', async (t) => {
  const streams = new FakeStreams()
  const now = monotonicNow()
  streams.add('expired', { principal: { expiresAt: Date.now() - 1 } })
  streams.add('valid', { principal: { expiresAt: Date.now() + 60_000 } })
  streams.add('old', { openedAt: now - 10_000 })
  streams.add('young', { openedAt: now })
  streams.add('both', { principal: { expiresAt: 0 }, openedAt: now - 10_000 })
  const { round } = start(t, streams, { maxAge: 9_000 })
  await round()
  t.strictSame(
    streams.endings.map(({ id, reason }) => [id, reason]),
    [
      ['expired', 'expired'],
      ['old', 'lifetime'],
      ['both', 'expired'],
    ],
  )
})

await t.test('without a maximum age no stream is too old', async (t) => {
  const streams = new FakeStreams()
  streams.add('old', { openedAt: monotonicNow() - 1e9 })
  await start(t, streams).round()
  t.strictSame(streams.endings, [])
})

await t.test('a quiet stream gets a heartbeat, unless something else is on its way', async (t) => {
  const streams = new FakeStreams()
  const quiet = monotonicNow() - 5_000
  streams.add('quiet', { lastWrite: quiet })
  streams.add('busy', { lastWrite: monotonicNow() + 60_000 })
  streams.add('catching up', { lastWrite: quiet, state: 'catching-up' })
  streams.add('waiting', { lastWrite: quiet, state: 'waiting' })
  streams.add('due', { lastWrite: quiet, isDue: true })
  const { round, beaten } = start(t, streams)
  await round()
  t.strictSame([...new Set(beaten)], ['quiet'])
})

await t.test('a stopped timer visits no stream', async (t) => {
  const streams = new FakeStreams()
  const { reaper, round, rounds } = start(t, streams)
  await round()
  reaper.stop()
  const before = rounds()
  streams.add('expired', { principal: { expiresAt: 0 } })
  await new Promise((resolve) => setTimeout(resolve, 600)) // longer than two intervals: nothing must happen
  t.equal(rounds(), before)
  t.strictSame(streams.endings, [])
})
