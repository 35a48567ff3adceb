import * as fc from 'fast-check'
import t from 'tap'
import { ACTIVITY_PERIOD, ACTIVITY_PERIODS, TopicActivity } from '../../src/hub/topic-activity.js'

const NOW = 1_000 * ACTIVITY_PERIOD

await t.test('a topic has its rate, its counts and the time of its newest event', (t) => {
  const activity = new TopicActivity()
  for (let n = 0; n < 30; n++) activity.count('a', NOW - 5_000)
  for (let n = 0; n < 15; n++) activity.count('a', NOW + 2_000)
  activity.count('a', NOW - 40_000) // a clock that was set back
  const { rate, counts, lastTime } = activity.read('a', NOW + 5_000)
  t.equal(rate, 3)
  t.equal(lastTime, NOW + 2_000)
  t.strictSame(counts.slice(-5), [1, 0, 0, 30, 15])
  t.equal(counts.length, ACTIVITY_PERIODS)
  t.strictSame(activity.read('b', NOW), { rate: 0, counts: counts.map(() => 0), lastTime: undefined })
  t.end()
})

await t.test('the counts are those of the last periods', (t) => {
  const time = fc.integer({ min: NOW, max: NOW + 60 * ACTIVITY_PERIOD })
  fc.assert(
    fc.property(fc.array(time, { maxLength: 60 }), (times) => {
      const activity = new TopicActivity()
      let newest = NOW / ACTIVITY_PERIOD
      const counted = new Map<number, number>()
      for (const time of times) {
        activity.count('a', time)
        const period = Math.floor(time / ACTIVITY_PERIOD)
        newest = counted.size === 0 ? period : Math.max(newest, period)
        if (period > newest - ACTIVITY_PERIODS) counted.set(period, (counted.get(period) ?? 0) + 1)
      }
      for (const last of [newest, newest + 3, newest + 100])
        t.strictSame(
          activity.read('a', last * ACTIVITY_PERIOD).counts,
          Array.from({ length: ACTIVITY_PERIODS }, (_, index) => {
            const period = last - ACTIVITY_PERIODS + 1 + index
            return period > newest - ACTIVITY_PERIODS ? (counted.get(period) ?? 0) : 0
          }),
        )
    }),
  )
  t.end()
})

await t.test('a limited number of topics is counted, and quiet topics make room', (t) => {
  const activity = new TopicActivity(2)
  for (const topic of ['a', 'b', 'c']) activity.count(topic, NOW)
  t.equal(activity.read('c', NOW).lastTime, undefined)
  const later = NOW + ACTIVITY_PERIODS * ACTIVITY_PERIOD
  activity.count('b', later)
  activity.count('c', later)
  t.equal(activity.read('a', later).lastTime, undefined)
  t.equal(activity.read('c', later).lastTime, later)
  t.equal(activity.read('b', later).lastTime, later)
  t.end()
})
