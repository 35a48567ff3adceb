/** The maximum number of topics. */
import { equal, has, rejects, same } from './assertions.js'
import { duplicate, event, stored } from './events.js'
import { readAll } from './reads.js'
import type { Case } from './trial.js'

const refusal = (index: number) => ({
  name: 'HubError',
  code: 'too-many-topics',
  index,
  message: /events of 2 topics, .*FANFARE_MAX_TOPICS/,
})

export const topicLimit: readonly Case[] = [
  {
    name: 'take more events, and new topics are refused, all or none',
    async check(trial) {
      const { log } = await trial.start({ topics: 2 })
      await rejects(log.append([event('a'), event('b'), event('a'), event('c'), event('d')]), refusal(3))
      equal(log.view.head, 0)
      await log.append([event('a', { id: 'x' }), event('b'), event('a')])
      await rejects(log.append([event('a'), event('c')]), refusal(1))
      same(await log.append([event('b'), event('a')]), [stored(4), stored(5)])
      has(log.view.stats(), { topics: 2, events: 5 })
    },
  },

  {
    name: 'do not refuse an append with a condition: a finite topic can always be appended to and ended',
    async check(trial) {
      const { log } = await trial.start({ topics: 1 })
      await log.append([event('a')])
      same(await log.append([event('b')], { expected: { topic: 'b', sequence: 0 } }), [stored(2)])
      await rejects(log.append([event('c')]), { code: 'too-many-topics', index: 0 })
      has(log.view.stats(), { topics: 2, events: 2 })
    },
  },

  {
    name: 'is a limit for concurrent appends',
    async check(trial) {
      const { log } = await trial.start({ topics: 2 })
      const answers = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) => log.append([event(`t.${n % 5}`), event(`t.${n % 5}`)])),
      )
      same(
        answers.map(({ status }) => status),
        answers.map((_, n) => (n % 5 < 2 ? 'fulfilled' : 'rejected')),
      )
      has(log.view.stats(), { topics: 2, events: 16 })
      same((await readAll(log)).events.length, 16)
    },
  },

  {
    name: 'do not count duplicates, nor topics that have no events left',
    async check(trial) {
      const { log } = await trial.start({ topics: 2 })
      await log.append([event('gone', { id: 'x' }), event('a')])
      await log.purge('gone')
      await log.append([event('b')])
      same(await log.append([event('gone', { id: 'x' }), event('a')]), [duplicate(1), stored(4)])
      await rejects(log.append([event('gone', { id: 'y' })]), refusal(0))
      await log.purge('a')
      same(await log.append([event('gone', { id: 'y' })]), [stored(5)])
    },
  },
]
