/** Retention. */
import { Selection } from '../../model/selection.js'
import { equal, has, ok, same, until } from './assertions.js'
import { event, manyEvents, range, sequences, stored } from './events.js'
import { readAll, retains, returns } from './reads.js'
import type { Case } from './trial.js'

export const retention: readonly Case[] = [
  {
    name: 'by count: each topic keeps its newest events',
    async check(trial) {
      const { log } = await trial.start({ events: 5 })
      await log.append([...manyEvents(2, 'quiet'), ...manyEvents(12, 'busy')])
      for (let n = 0; n < 8; n++) await log.append(manyEvents(1, 'busy'))
      await retains(log, 7)
      same(sequences(await readAll(log, new Selection(['busy']))), [18, 19, 20, 21, 22])
      same(sequences(await readAll(log, new Selection(['quiet']))), [1, 2])
    },
  },

  {
    name: 'by age: older events are trimmed, younger ones stay',
    needs: ['clock'],
    async check(trial) {
      const { log, clock } = await trial.start({ age: 10_000 })
      await log.append([event('a'), event('b')])
      clock.now += 6_000
      await log.append([event('a'), event('a')])
      clock.now += 6_000
      await returns(log, 2)
      same(sequences(await readAll(log)), [3, 4])
      has(await readAll(log, new Selection(['b'])), { events: [], gap: true })
      clock.now += 6_000
      await returns(log, 0)
      equal(log.view.head, 4, 'sequences are not reused')
      same(await log.append([event('b')]), [stored(5)])
    },
  },

  {
    name: 'by bytes: the log as a whole keeps its newest events',
    async check(trial) {
      const limit = 200_000
      const { log } = await trial.start({ bytes: limit })
      const payload = 'x'.repeat(5_000)
      for (let n = 0; n < 20; n++) await log.append(Array.from({ length: 5 }, (_, m) => event(`t.${m}`, { payload })))
      await until(
        async () => log.view.stats().bytes <= limit,
        () => `the log has ${log.view.stats().bytes} bytes of ${limit}`,
      )
      const kept = sequences(await readAll(log))
      same(kept, range(101 - kept.length, kept.length), 'the newest events of all topics')
      ok(
        kept.length * payload.length >= limit / 2,
        `only ${kept.length} events are retained, fewer than the maximum size allows`,
      )
      equal((await readAll(log)).gap, true)
    },
  },

  {
    name: 'an event that is larger than the log is delivered and trimmed',
    async check(trial) {
      const { log } = await trial.start({ bytes: 10_000 })
      const told: number[] = []
      await log.follow(({ events }) => void told.push(...sequences({ events })))
      await log.append([event('a'), event('a', { payload: 'x'.repeat(20_000) }), event('b')])
      same(told, [1, 2, 3])
      await until(
        async () => !sequences(await readAll(log)).includes(2),
        () => 'the event 2 is not trimmed',
      )
      has(await readAll(log, new Selection(['a']), 1), { events: [], gap: true })
    },
  },
]
