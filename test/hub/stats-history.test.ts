import * as fc from 'fast-check'
import t from 'tap'
import { addPeriods, PERIOD, PERIODS, periodsOf, StatsHistory, type PeriodStats } from '../../src/hub/stats-history.js'
import type { Stats } from '../../src/hub/stats.js'

function stats(changed: Partial<Stats> = {}): Stats {
  return {
    time: '2026-01-01T00:00:00.000Z',
    connections: 2,
    topics: 3,
    events: { in: 10, out: 20 },
    busiest: [],
    bytes: { in: 100, out: 200 },
    latency: { p50: 2, p99: 9 },
    lagging: 1,
    memory: 1_000,
    log: { events: 5, bytes: 50 },
    eventLoopDelay: 4,
    ...changed,
  }
}

/** The numbers of `stats()`. */
const figures: PeriodStats = {
  connections: 2,
  lagging: 1,
  topics: 3,
  eventsIn: 10,
  eventsOut: 20,
  bytesIn: 100,
  bytesOut: 200,
  p50: 2,
  p99: 9,
  memory: 1_000,
  logEvents: 5,
  logBytes: 50,
  eventLoopDelay: 4,
}

await t.test('a period has the mean of rates, the latest amounts and the greatest delays', (t) => {
  const history = new StatsHistory()
  history.add(stats(), 1, 1_000)
  history.add(stats({ connections: 7, events: { in: 50, out: 0 }, latency: { p50: 1, p99: 30 } }), 3, 4_000)
  t.strictSame(history.read(0, 1), [{ ...figures, connections: 7, eventsIn: 40, eventsOut: 5, p50: 2, p99: 30 }, null])
  t.end()
})

await t.test('a measurement belongs to the period in which most of it lies', (t) => {
  const history = new StatsHistory()
  history.add(stats({ memory: 1 }), 5, PERIOD + 3) // the timer is a little late
  history.add(stats({ memory: 2 }), 1, 2 * PERIOD + 600)
  t.strictSame(
    history.read(0, 2).map((period) => period?.memory),
    [1, undefined, 2],
  )
  t.end()
})

await t.test('a late measurement fills the periods that it covers, and one after a long time only some', (t) => {
  const history = new StatsHistory()
  history.add(stats({ memory: 1 }), 5, 20 * PERIOD)
  history.add(stats({ memory: 2 }), 8, 20 * PERIOD + 8_000)
  history.add(stats({ memory: 3 }), 100, 41 * PERIOD + 3_000)
  t.strictSame(
    history.read(19, 42).map((period) => period?.memory),
    [1, 2, 2, ...Array<undefined>(17).fill(undefined), 3, 3, 3, undefined],
  )
  t.end()
})

await t.test('two measurements in no time are no fault', (t) => {
  const history = new StatsHistory()
  history.add(stats(), 0, 100)
  history.add(stats(), 0, 100)
  t.strictSame(history.read(0, 0), [figures])
  t.end()
})

await t.test('exactly the last hour is kept', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 1, maxLength: 40 }), (steps) => {
      const history = new StatsHistory()
      const kept = new Map<number, number>()
      let period = 1_000
      for (const [index, step] of steps.entries()) {
        period += step
        kept.set(period, index)
        history.add(stats({ memory: index }), 1, period * PERIOD + 2_000)
      }
      const first = period - PERIODS
      t.strictSame(
        history.read(first, period).map((one) => one?.memory),
        Array.from({ length: PERIODS + 1 }, (_, index) => kept.get(first + index)),
      )
    }),
    { numRuns: 50 },
  )
  t.end()
})

await t.test('a range ends with the last complete period', (t) => {
  t.strictSame(periodsOf(60_000, 100 * PERIOD + 1), { first: 88, last: 99 })
  t.strictSame(periodsOf(61_000, 100 * PERIOD), { first: 87, last: 99 })
  t.strictSame(periodsOf(1e9, 1_000 * PERIOD), { first: 280, last: 999 }, 'at most an hour')
  t.end()
})

await t.test('what each process does alone is added, and what all of them see counts once', (t) => {
  t.strictSame(addPeriods([figures, null, { ...figures, eventsIn: 11, p99: 1, memory: 5 }, undefined]), {
    ...figures,
    connections: 4,
    lagging: 2,
    eventsIn: 11,
    eventsOut: 40,
    bytesOut: 400,
    memory: 1_005,
  })
  t.equal(addPeriods([null, undefined]), null)
  t.end()
})
