/** Purges. */
import { setTimeout as delay } from 'node:timers/promises'
import { Selection } from '../../model/selection.js'
import { equal, has, ok, same } from './assertions.js'
import { duplicate, event, sequences, stored, manyEvents } from './events.js'
import { hasTrimmed, readAll, readFrom, type PageRead, retains } from './reads.js'
import type { Case } from './trial.js'

export const purge: readonly Case[] = [
  {
    name: 'removes the events of a topic, and no others',
    async check(trial) {
      const { log } = await trial.start()
      await log.append([event('a'), event('b'), event('a', { type: 'x' }), event('a.b'), event('a')])
      const { mark: trims } = log.view
      equal(await log.purge('a'), 3)
      same(sequences(await readAll(log)), [2, 4])
      has(log.view.stats(), { events: 2 })
      equal(await log.topic('a'), undefined)
      same(
        (await log.topics({ limit: 9 })).topics.map(({ topic }) => topic),
        ['a.b', 'b'],
      )
      ok(log.view.mark > trims, 'the trim mark has not grown, although earlier reads may be outdated')
      equal(await log.purge('a'), 0)
      equal(await log.purge('nobody'), 0)
      same(await log.append([event('a')]), [stored(6)], 'sequences are not reused')
      has(await log.topic('a'), { events: 1, first: 6, last: 6 })
      equal(await log.purge('a'), 1)
      equal(await log.purge('b'), 1)
      equal(await log.purge('a.b'), 1)
      has(log.view.stats(), { events: 0, bytes: 0 })
    },
  },

  {
    name: 'is a gap for cursors before the newest purged event, and for no others',
    async check(trial) {
      const { log } = await trial.start()
      await log.append([event('a'), event('b'), event('a'), event('b')])
      const between = log.view.mark
      await log.purge('a')
      const gap = async (patterns: string[], after: number) => (await readAll(log, new Selection(patterns), after)).gap
      same(
        [await gap(['a'], 0), await gap(['a'], 2), await gap(['a'], 3), await gap(['a'], 4)],
        [true, true, false, false],
      )
      same(
        [await gap(['*'], 2), await gap(['*'], 3), await gap(['b'], 0), await gap(['nobody'], 0)],
        [true, false, false, false],
      )
      same(
        [
          await hasTrimmed(log, new Selection(['a']), 0, between),
          await hasTrimmed(log, new Selection(['a']), 3, between),
        ],
        [true, false],
      )
      await log.append([event('a')])
      same(
        [await gap(['a'], 2), await gap(['a'], 3), await gap(['a'], 5)],
        [true, false, false],
        'the gap stays when the topic is used again',
      )
    },
  },

  {
    name: 'does not forget publisher ids within their window',
    needs: ['clock'],
    async check(trial) {
      const { log, clock } = await trial.start({ dedupWindow: 10_000 })
      await log.append([event('a', { id: 'x' }), event('a', { id: 'y' })])
      await log.purge('a')
      clock.now += 5_000
      same(await log.append([event('a', { id: 'x' })]), [duplicate(1)])
      clock.now += 5_001
      same(await log.append([event('a', { id: 'x' })]), [stored(3)])
    },
  },

  {
    name: 'of many events lets others append, and keeps their events',
    async check(trial) {
      const { log } = await trial.start()
      for (let n = 0; n < 5; n++) await log.append([...manyEvents(1_000, 'a'), ...manyEvents(100, 'b')])
      const until = log.view.head
      const purge = log.purge('a')
      const going = new Set([purge])
      const done = () => going.delete(purge)
      purge.then(done, done)
      const meanwhile: number[] = []
      const seen: PageRead[] = []
      const append = async () => {
        for (; going.size > 0; await delay(0)) meanwhile.push((await log.append([event('a')]))[0]!.sequence)
      }
      const read = async () => {
        for (; going.size > 0; await delay(0))
          seen.push(await readFrom(log, new Selection(['a']), { after: 0, until, events: 1_000_000 }))
      }
      await Promise.all([append(), read()])
      ok(meanwhile.length > 0, 'no append resolves during the purge')
      equal(await purge, 5_000)
      same(sequences(await readAll(log, new Selection(['a']))), meanwhile)
      equal((await readAll(log, new Selection(['b']))).events.length, 500)
      ok(
        seen.every(({ events, gap }) => gap === events.length < 5_000),
        'a page lacks events without a gap, or has a gap and lacks none',
      )
      has(log.view.stats(), { events: 500 + meanwhile.length })
    },
  },

  {
    name: 'of several topics at once, during trims',
    async check(trial) {
      const { log } = await trial.start({ events: 20 })
      await log.append(Array.from({ length: 300 }, (_, n) => event(`t.${n % 5}`)))
      const answers = await Promise.all([
        log.purge('t.0'),
        log.purge('t.1'),
        log.purge('t.1'),
        log.purge('t.2'),
        log.append([event('t.3')]),
      ])
      for (const purged of answers.slice(0, 4))
        ok((purged as number) <= 60, `${purged as number} of 60 events are purged`)
      await retains(log, 40)
      same(
        (await log.topics({ limit: 9 })).topics.map(({ topic, events }) => [topic, events]),
        [
          ['t.3', 20],
          ['t.4', 20],
        ],
      )
    },
  },
]
