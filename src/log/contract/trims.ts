/** Trims and the trim mark. */
import { Selection } from '../../model/selection.js'
import { equal, ok, same } from './assertions.js'
import { event } from './events.js'
import { hasTrimmed, readAll, retains } from './reads.js'
import type { Case } from './trial.js'

export const trims: readonly Case[] = [
  {
    name: 'the trim mark grows with each trim, and only then',
    async check(trial) {
      const { log } = await trial.start({ events: 2 })
      const { mark: trims } = log.view
      await log.append([event('a'), event('a'), event('b')])
      await readAll(log)
      equal(log.view.mark, trims)
      for (let n = 1, last = trims; n <= 3; n++, last = log.view.mark) {
        await log.append([event('a')])
        await retains(log, 3)
        ok(log.view.mark > last, `a trim changes the mark ${last} to ${log.view.mark}`)
      }
    },
  },

  {
    name: 'trims since a mark are known per topic',
    async check(trial) {
      const { log } = await trial.start({ events: 2 })
      const [a, b, any] = [new Selection(['a']), new Selection(['b', 'nobody']), new Selection(['*'])]
      const before = log.view.mark
      await log.append([event('a'), event('b'), event('a'), event('a'), event('a')]) // a: 1 and 3 are trimmed
      await retains(log, 3)
      const between = log.view.mark
      same(await Promise.all([a, b, any].map((selection) => hasTrimmed(log, selection, 0, before))), [
        true,
        false,
        true,
      ])
      same(
        await Promise.all([a, b, any].map((selection) => hasTrimmed(log, selection, 2, before))),
        [true, false, true],
        'the trimmed event 3 is after 2',
      )
      same(
        await Promise.all([a, b, any].map((selection) => hasTrimmed(log, selection, 3, before))),
        [false, false, false],
        'no trimmed event is after 3',
      )
      same(
        await Promise.all([a, b, any].map((selection) => hasTrimmed(log, selection, 0, between))),
        [false, false, false],
        'no trim since the mark',
      )
      await log.append([event('b'), event('b')]) // b: 2 is trimmed
      await retains(log, 4)
      same(await Promise.all([a, b, any].map((selection) => hasTrimmed(log, selection, 0, between))), [
        false,
        true,
        true,
      ])
      same(await Promise.all([a, b, any].map((selection) => hasTrimmed(log, selection, 0, log.view.mark))), [
        false,
        false,
        false,
      ])
    },
  },
]
