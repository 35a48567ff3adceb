/** Appends with a condition. */
import { equal, rejects, same } from './assertions.js'
import { event, manyEvents, sequences, stored } from './events.js'
import { readAll } from './reads.js'
import type { Case } from './trial.js'

const conflict = { name: 'HubError', code: 'append-conflict' }

export const conditionalAppend: readonly Case[] = [
  {
    name: 'is stored if the topic ends with the expected event',
    async check(trial) {
      const { log } = await trial.start()
      same(await log.append(manyEvents(2, 'a'), { expected: { topic: 'a', sequence: 0 } }), [stored(1), stored(2)])
      await log.append([event('b')])
      same(await log.append([event('a')], { expected: { topic: 'a', sequence: 2 } }), [stored(4)])
      same(await log.append([event('a'), event('a')], { expected: { topic: 'a', sequence: 4 } }), [
        stored(5),
        stored(6),
      ])
    },
  },

  {
    name: 'is refused, and stores nothing, if it does not',
    async check(trial) {
      const { log } = await trial.start()
      await log.append([event('a'), event('a')])
      for (const sequence of [0, 1, 3])
        await rejects(log.append(manyEvents(3, 'a'), { expected: { topic: 'a', sequence } }), conflict)
      await rejects(log.append([event('b')], { expected: { topic: 'b', sequence: 2 } }), conflict)
      equal(log.view.head, 2)
      same(sequences(await readAll(log)), [1, 2])
    },
  },

  {
    name: 'expects no event once the topic is purged',
    async check(trial) {
      const { log } = await trial.start()
      await log.append(manyEvents(2, 'a'))
      await log.purge('a')
      await rejects(log.append([event('a')], { expected: { topic: 'a', sequence: 2 } }), conflict)
      same(await log.append([event('a')], { expected: { topic: 'a', sequence: 0 } }), [stored(3)])
    },
  },

  {
    name: 'is stored once of several at the same time',
    async check(trial) {
      const { log } = await trial.start()
      for (let round = 0, newest = 0; round < 5; round++) {
        const expected = { topic: 'a', sequence: newest }
        const answers = await Promise.allSettled(
          Array.from({ length: 8 }, () => log.append(manyEvents(1 + round, 'a'), { expected })),
        )
        const won = answers.filter((answer) => answer.status === 'fulfilled')
        equal(won.length, 1)
        for (const answer of answers)
          if (answer.status === 'rejected') equal((answer.reason as { code: string }).code, conflict.code)
        newest = won[0]!.value.at(-1)!.sequence
      }
      equal((await readAll(log)).events.length, 15)
    },
  },
]
