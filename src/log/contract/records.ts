/** Records. */
import { equal, rejects, same } from './assertions.js'
import { manyEvents } from './events.js'
import type { Case } from './trial.js'

export const records: readonly Case[] = [
  {
    name: 'records are stored by key',
    async check(trial) {
      const { log } = await trial.start({ events: 1 })
      const { records } = log
      equal(await records.get('a/1'), undefined)
      same(await records.list('a/'), [])
      const value = { text: 'zwölf\n€ 𝄞\0', list: [1, null, { x: true }] }
      await Promise.all([
        records.put('a/2', 2),
        records.put('a/1', value),
        records.put('ab', 'other'),
        records.put('b/1', false),
        records.put('a/10', '10'),
      ])
      same(await records.get('a/1'), value)
      same(await records.list('a/'), [
        { key: 'a/1', value },
        { key: 'a/10', value: '10' },
        { key: 'a/2', value: 2 },
      ])
      same(
        (await records.list('')).map(({ key }) => key),
        ['a/1', 'a/10', 'a/2', 'ab', 'b/1'],
      )
      await records.put('a/2', 'again')
      await records.delete('a/10')
      await records.delete('never')
      await log.append(manyEvents(5, 'a'))
      same(await records.list('a/'), [
        { key: 'a/1', value },
        { key: 'a/2', value: 'again' },
      ])
      equal(log.view.head, 5, 'a record is not an event')
    },
  },

  {
    name: 'a record is a copy',
    async check(trial) {
      const { log } = await trial.start()
      const value = { list: [1] }
      const put = log.records.put('a', value)
      value.list.push(2)
      await put
      const got = (await log.records.get('a')) as typeof value
      same(got, { list: [1] })
      got.list.push(3)
      same(await log.records.get('a'), { list: [1] })
    },
  },

  {
    name: 'a record is swapped if it has the expected value',
    async check(trial) {
      const { log, clock } = await trial.start()
      const { records } = log
      equal(await records.swap('a', { n: 1 }, { n: 2 }), false)
      equal(await records.get('a'), undefined)
      equal(await records.swap('a', undefined, { n: 1, list: ['é'] }), true)
      equal(await records.swap('a', undefined, 'other'), false)
      equal(await records.swap('a', { n: 1 }, 'other'), false)
      same(await records.get('a'), { n: 1, list: ['é'] })
      equal(await records.swap('a', { n: 1, list: ['é'] }, 2), true)
      same(await records.get('a'), 2)
      equal(await records.swap('a', 2, undefined), true)
      equal(await records.get('a'), undefined)
      equal(await records.swap('a', undefined, undefined), true)
      equal(await records.swap('a', undefined, 'again'), true)
      await records.put('b', 1, { ttl: 1_000 })
      clock.now += 1_000
      equal(await records.swap('b', 1, 2), false, 'the record has expired')
      equal(await records.swap('b', undefined, 2), true)
      clock.now += 1e9
      equal(await records.get('b'), 2, 'a swapped record never expires')
      await rejects(records.swap('é'.repeat(513), undefined, 1), RangeError)
    },
  },

  {
    name: 'one of several swaps at the same time succeeds',
    async check(trial) {
      const { log } = await trial.start()
      const changes: unknown[] = []
      await log.records.watch('', ({ value }) => changes.push(value))
      for (let round = 0, before: unknown = undefined; round < 3; round++) {
        const swaps = Array.from({ length: 8 }, (_, n) => log.records.swap('a', before, [round, n]))
        const won = (await Promise.all(swaps)).flatMap((isSwapped, n) => (isSwapped ? [n] : []))
        equal(won.length, 1)
        same(changes, [...changes.slice(0, round), [round, won[0]]])
        before = changes.at(-1)
      }
    },
  },

  {
    name: 'a key has at most 1,024 bytes',
    async check(trial) {
      const { log } = await trial.start()
      await log.records.put('é'.repeat(512), 1)
      equal(await log.records.get('é'.repeat(512)), 1)
      await rejects(log.records.put('é'.repeat(513), 1), RangeError)
    },
  },

  {
    name: 'a record expires',
    async check(trial) {
      const { log, clock } = await trial.start()
      const { records } = log
      await Promise.all([
        records.put('a', 1, { ttl: 1_000 }),
        records.put('b', [2], { ttl: 2_000 }),
        records.put('c', [3, 4]),
        records.put('d', 5, { ttl: 1_000 }),
        records.put('e', 6, { ttl: 1_000 }),
      ])
      await records.put('d', 7, { ttl: 3_000 }) // the last write wins
      await records.put('e', 8)
      clock.now += 999
      equal((await records.list('')).length, 5)
      clock.now += 1
      equal(await records.get('a'), undefined, 'the record is removed at once')
      same(await records.list(''), [
        { key: 'b', value: [2] },
        { key: 'c', value: [3, 4] },
        { key: 'd', value: 7 },
        { key: 'e', value: 8 },
      ])
      clock.now += 1_000
      same(
        (await records.list('')).map(({ key }) => key),
        ['c', 'd', 'e'],
      )
      await records.put('a', 'again')
      clock.now += 1e9
      same(
        (await records.list('')).map(({ key }) => key),
        ['a', 'c', 'e'],
      )
    },
  },
]
