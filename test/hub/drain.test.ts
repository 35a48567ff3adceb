/** The end of all streams over a period. */
import t from 'tap'
import { endInGroups, requireDrainTime } from '../../src/hub/drain.js'
import { monotonicNow } from '../../src/model/clock.js'
import { FakeStreams } from './fake-streams.js'

function open(count: number): FakeStreams {
  const streams = new FakeStreams()
  for (let n = 0; n < count; n++) streams.add(`c${n}`)
  return streams
}

await t.test('the time is a number of milliseconds up to a day', (t) => {
  for (const time of [0, 0.5, 86_400_000]) t.doesNotThrow(() => requireDrainTime(time), String(time))
  for (const time of [-1, 86_400_001, NaN, Infinity, '1s' as unknown as number])
    t.throws(() => requireDrainTime(time), { name: 'SettingsError' }, String(time))
  t.end()
})

await t.test('without time, all streams end at once', async (t) => {
  const { connections, endings } = open(1_000)
  const ended = endInGroups(connections, 0)
  t.equal(connections.size, 0, 'in the same turn')
  t.ok(endings.every(({ reason }) => reason === 'drain'))
  await ended
})

await t.test('streams end in groups over the time, the oldest first', async (t) => {
  const { connections, endings } = open(100)
  const begun = monotonicNow()
  await endInGroups(connections, 500)
  t.equal(connections.size, 0)
  t.strictSame(
    endings.map(({ id }) => id),
    Array.from({ length: 100 }, (_, n) => `c${n}`),
  )
  t.ok(endings[0]!.time - begun < 100, 'the first group ends at once')
  t.ok(endings.at(-1)!.time - begun >= 300, 'the last one near the end of the time')
  t.ok(endings.filter(({ time }) => time - begun < 200).length < 80, 'most of them later')
})

await t.test('few streams end one after another', async (t) => {
  const { connections, endings } = open(3)
  await endInGroups(connections, 5_000)
  const [first, second, third] = endings.map(({ time }) => time)
  t.ok(second! - first! >= 25 && third! - second! >= 25)
})

await t.test('a stream that opens meanwhile ends too', async (t) => {
  const streams = open(2)
  const ended = endInGroups(streams.connections, 200)
  streams.add('late')
  await ended
  t.ok(streams.endings.some(({ id }) => id === 'late'))
  t.equal(streams.connections.size, 0)
})
