import { deepStrictEqual as same, ok } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { SteadyClock, type ClockStep } from '../../src/log/steady-clock.js'

const RIGHT = 1_700_000_000_000

await t.test('ages are the elapsed time, even if the wall clock is set or the process restarts', (t) => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ pass: fc.integer({ min: 0, max: 100_000 }) }) },
    { weight: 3, arbitrary: fc.record({ set: fc.constantFrom(-3e10, -5_000, 5_000, 3e10) }) },
    { weight: 1, arbitrary: fc.constant({ restart: true }) },
  )
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        let wall = RIGHT
        let elapsed = 0
        let passed = 0
        const source = { now: () => wall, elapsed: () => elapsed }
        let clock = new SteadyClock(source)
        const stored: { sequence: number; time: number; passed: number }[] = []
        const store = () => stored.push({ sequence: stored.length + 1, time: clock.stamp(stored.length), passed })
        store()
        for (const step of steps) {
          if ('pass' in step) {
            wall += step.pass
            elapsed += step.pass
            passed += step.pass
          } else if ('set' in step) {
            clock.stamp(stored.length) // a reading just before the setting: the next step is then the setting alone
            wall += step.set
          } else {
            store() // a restarted clock continues from the last stored event
            elapsed = 5
            clock = new SteadyClock(source, JSON.parse(JSON.stringify(clock.steps)) as ClockStep[], stored.at(-1))
          }
          store()
          same(stored.at(-1)!.time, wall)
        }
        let last = -Infinity
        for (const event of stored) {
          const age = clock.time - clock.timeOf(event.sequence, event.time)
          ok(Math.abs(age - (passed - event.passed)) <= 1_000, `${age} instead of ${passed - event.passed}`)
          ok(clock.timeOf(event.sequence, event.time) >= last - 1_000)
          last = clock.timeOf(event.sequence, event.time)
        }
      }),
      { numRuns: 300 },
    ),
  )
  t.end()
})

await t.test('a clock that is set constantly keeps a limited number of steps, and no event is from the future', (t) => {
  let wall = RIGHT
  let elapsed = 0
  const clock = new SteadyClock({ now: () => wall, elapsed: () => elapsed })
  const first = clock.stamp(0)
  for (let sequence = 1; sequence < 3_000; sequence++) {
    wall += sequence % 2 === 0 ? 1e10 : -1e10
    elapsed += 1
    clock.stamp(sequence)
  }
  t.ok(clock.steps.length <= 1_000)
  for (const sequence of [1, 100, 2_999]) t.ok(clock.timeOf(sequence, first + 5e10) <= clock.time)
  t.end()
})

await t.test('the time between two processes is that of the wall clock, unless the wall clock went back', (t) => {
  const stored = { sequence: 1, time: RIGHT }
  const started = (now: number) => new SteadyClock({ now: () => now, elapsed: () => 3 }, [], stored)
  t.equal(started(RIGHT + 60_000).time, RIGHT + 60_000)
  t.equal(started(RIGHT - 60_000).time, RIGHT, 'it does not go back')
  t.end()
})
