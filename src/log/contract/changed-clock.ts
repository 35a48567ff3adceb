/** A wall clock that is set while the log is open. */
import type { Retention } from '../log.js'
import { equal, same } from './assertions.js'
import { duplicate, event, sequences, stored } from './events.js'
import { readAll, retains, retainsAtMost } from './reads.js'
import { KEEP_ALL, type Case, type Trial } from './trial.js'

const RIGHT = 1_700_000_000_000
const YEAR = 365 * 86_400_000

/** @param wrong by how much the wall clock is wrong, in milliseconds */
function casesOf(name: string, wrong: number): Case[] {
  return [trimmedAfterChange(name, wrong), trimmedAfterStart(name, wrong), forgottenAfterChange(name, wrong)]
}

function trimmedAfterChange(name: string, wrong: number): Case {
  return {
    name: `${name} and right again: events are trimmed at the maximum age, and no sooner`,
    needs: ['clock'],
    async check(trial) {
      const { log, clock, pass } = await startClocks(trial, { age: 10_000 })
      await log.append([event('old')])
      pass(2_001)
      await log.append([event('a')])
      pass(4_000)
      clock.now += wrong
      await log.append([event('b')])
      pass(4_000)
      clock.now -= wrong
      await log.append([event('c')])
      same(
        (await readAll(log)).events.map(({ sequence, time }) => [sequence, time]),
        [
          [1, RIGHT],
          [2, RIGHT + 2_001],
          [3, RIGHT + wrong + 6_001],
          [4, RIGHT + 10_001],
        ],
        'an event has the time of the wall clock',
      )
      // the trimmer removes the oldest event
      await retainsAtMost(log, 3)
      same(sequences(await readAll(log)), [2, 3, 4])
      pass(2_001)
      await retainsAtMost(log, 2)
      same(sequences(await readAll(log)), [3, 4])
      pass(4_000)
      await retainsAtMost(log, 1)
      same(sequences(await readAll(log)), [4])
      pass(4_000)
      await retains(log, 0)
    },
  }
}

function trimmedAfterStart(name: string, wrong: number): Case {
  return {
    name: `${name} from the beginning: events are trimmed at the maximum age, and no sooner`,
    needs: ['clock'],
    async check(trial) {
      const { log, clock, pass } = await startClocks(trial, { age: 10_000 }, RIGHT + wrong)
      await log.append([event('old')])
      pass(5_001)
      await log.append([event('a')])
      clock.now -= wrong
      pass(5_000)
      await log.append([event('b')])
      await retainsAtMost(log, 2)
      same(sequences(await readAll(log)), [2, 3])
      pass(5_001)
      await retainsAtMost(log, 1)
      same(sequences(await readAll(log)), [3])
      pass(5_000)
      await retains(log, 0)
    },
  }
}

function forgottenAfterChange(name: string, wrong: number): Case {
  return {
    name: `${name}: publisher ids are remembered for their window, and forgotten after it`,
    needs: ['clock'],
    async check(trial) {
      const { log, clock, pass } = await startClocks(trial, { age: 8_999, dedupWindow: 10_000 })
      await log.append([event('old'), event('a', { id: 'x' })])
      equal(await log.purge('a'), 1)
      clock.now += wrong
      pass(4_000)
      await log.append([event('b', { id: 'x' })])
      equal(await log.purge('b'), 1)
      clock.now -= wrong
      pass(5_000)
      await retains(log, 0) // the trimmer has run
      same(await log.append([event('a', { id: 'x' }), event('b', { id: 'x' })]), [duplicate(2), duplicate(3)])
      pass(1_001)
      same(await log.append([event('a', { id: 'x' }), event('b', { id: 'x' })]), [stored(4), duplicate(3)])
      pass(4_000)
      same(await log.append([event('b', { id: 'x' })]), [stored(5)])
    },
  }
}

export const changedClock: readonly Case[] = [...casesOf('ahead', YEAR), ...casesOf('back', -YEAR)]

/** Opens a log with a wall clock that can be set while monotonic time passes. */
async function startClocks(trial: Trial, retention: Partial<Retention>, now = RIGHT) {
  const clock = { now, elapsed: 5 }
  const log = await trial.open(
    { ...KEEP_ALL, ...retention },
    () => clock.now,
    () => clock.elapsed,
  )
  const pass = (time: number) => {
    clock.now += time
    clock.elapsed += time
  }
  return { log, clock, pass }
}
