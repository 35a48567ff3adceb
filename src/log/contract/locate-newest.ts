/** `locate` with a number of newest events. */
import { Selection } from '../../model/selection.js'
import { anyAppends, anySelection } from './any-event.js'
import { equal, same } from './assertions.js'
import { event, isOf, manyEvents, numbered, sequences } from './events.js'
import { EVERYTHING, locateNewest, readAll, retains } from './reads.js'
import { KEEP_ALL, type Case } from './trial.js'

export const locateNewestEvents: readonly Case[] = [
  {
    name: 'finds where the newest events of a selection begin',
    async check(trial) {
      const { log } = await trial.start()
      await log.append([event('a'), event('b', { type: 'x' }), event('a', { type: 'x' }), event('b'), event('c')])
      const newest = async (count: number, patterns: string[], types: string[] = []) => {
        const selection = new Selection(patterns, types)
        return sequences(await readAll(log, selection, await locateNewest(log, selection, count)))
      }
      same(await newest(1, ['a']), [3])
      same(await newest(2, ['a']), [1, 3])
      same(await newest(3, ['a']), [1, 3])
      same(await newest(1_000, ['nobody']), [])
      same(await newest(3, ['a', 'b']), [2, 3, 4])
      same(await newest(2, ['*']), [4, 5])
      same(await newest(1, ['*'], ['x']), [3])
      same(await newest(9, ['*'], ['x']), [2, 3])
      same(await newest(0, ['**']), [])
      equal(await locateNewest(log, new Selection(['a']), 3), 0, 'fewer events than requested')
    },
  },

  {
    name: 'agrees with a simple model',
    async check(trial) {
      await trial.forAny(
        50,
        (random) => ({ batches: anyAppends(random), selection: anySelection(random), count: random.between(0, 12) }),
        async ({ batches, selection, count }) => {
          const log = await trial.open(KEEP_ALL, () => 1)
          for (const batch of batches) await log.append(batch)
          const all = numbered(batches).filter(isOf(selection))
          const expected = count === 0 ? [] : all.slice(-count).map(({ sequence }) => sequence)
          same(sequences(await readAll(log, selection, await locateNewest(log, selection, count))), expected)
        },
      )
    },
  },

  {
    name: 'counts only events up to a sequence',
    async check(trial) {
      await trial.forAny(
        50,
        (random) => ({
          batches: anyAppends(random),
          selection: anySelection(random),
          count: random.between(0, 12),
          until: random.between(0, 40),
        }),
        async ({ batches, selection, count, until }) => {
          const log = await trial.open(KEEP_ALL, () => 1)
          for (const batch of batches) await log.append(batch)
          const upTo = numbered(batches)
            .filter(isOf(selection))
            .filter(({ sequence }) => sequence <= until)
          const first = count === 0 ? undefined : upTo.at(-count)
          equal(await locateNewest(log, selection, count, until), count === 0 ? until : first ? first.sequence - 1 : 0)
        },
      )
    },
  },

  {
    name: 'knows what has been trimmed',
    async check(trial) {
      const { log } = await trial.start({ events: 3 })
      await log.append(manyEvents(10, 'a'))
      await retains(log, 3)
      same(sequences(await readAll(log, EVERYTHING, await locateNewest(log, EVERYTHING, 2))), [9, 10])
      same(sequences(await readAll(log, EVERYTHING, await locateNewest(log, EVERYTHING, 7))), [8, 9, 10])
    },
  },
]
