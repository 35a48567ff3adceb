/** The view, and the end of a log. */
import { equal, has, ok, same } from './assertions.js'
import { event, manyEvents } from './events.js'
import { retains } from './reads.js'
import type { Case } from './trial.js'

export const state: readonly Case[] = [
  {
    name: 'stats have the size of the log',
    async check(trial) {
      const { log } = await trial.start({ events: 10 })
      await log.append([...manyEvents(5, 'a'), ...manyEvents(5, 'b')])
      const before = log.view.stats()
      has(before, { topics: 2, events: 10 })
      await log.append([event('a', { payload: 'x'.repeat(10_000) })])
      const grown = log.view.stats().bytes - before.bytes
      ok(grown >= 10_000, `an event of 10,000 bytes takes only ${grown}`)
      await log.append(manyEvents(20, 'a'))
      await retains(log, 15)
      ok(log.view.stats().bytes < 10_000, 'trimmed events count')
    },
  },
  {
    name: 'a healthy log has no failure',
    async check(trial) {
      const { log } = await trial.start()
      await log.append([event('a')])
      equal(log.view.failure, undefined)
    },
  },

  {
    name: 'close waits for pending appends',
    async check(trial) {
      const { log } = await trial.start()
      const appends = [log.append(manyEvents(3)), log.append(manyEvents(3))]
      await log.close()
      same(
        (await Promise.all(appends)).flat().map(({ sequence }) => sequence),
        [1, 2, 3, 4, 5, 6],
      )
    },
  },
]
