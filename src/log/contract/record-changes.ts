/** The changes of records. */
import { setTimeout as delay } from 'node:timers/promises'
import type { RecordChange } from '../log.js'
import { equal, same, until } from './assertions.js'
import type { Case } from './trial.js'

/**
 * Checks that a watcher has got the current value of each record last, and no value twice.
 * @param seen the values of each record, which grow
 */
function isEachChangeOnce(
  seen: ReadonlyMap<string, number[]>,
  listed: readonly { key: string; value: unknown }[],
): void {
  same([...seen.keys()].sort(), listed.map(({ key }) => key).sort())
  for (const { key, value } of listed) equal(seen.get(key)!.at(-1), value)
  for (const [key, values] of seen) {
    equal(new Set(values).size, values.length, `no value of ${key} is delivered twice`)
    same(
      values,
      values.toSorted((a, b) => a - b),
    )
  }
}

export const recordChanges: readonly Case[] = [
  {
    name: 'a follower and a watcher get the expiry of a record',
    async check(trial) {
      const { log, clock } = await trial.start()
      const { records } = log
      const keys = Array.from({ length: 700 }, (_, n) => `a/${n}`)
      await Promise.all(keys.map((key) => records.put(key, 1, { ttl: 1_000 })))
      await records.put('a/stays', 2, { ttl: 10_000 })
      const followed: RecordChange[] = []
      const watched: RecordChange[] = []
      await log.follow((delta) => void followed.push(...delta.records))
      await records.watch('a/', (change) => void watched.push(change))
      equal(watched.splice(0).length, 701)
      clock.now += 1_000
      await records.put('a/0', 3, { ttl: 10_000 })
      await until(
        async () => watched.length === 700,
        () => `the watcher gets ${watched.length} of 700 changes`,
      )
      const expected = [...keys.slice(1), 'a/0'].sort()
      for (const changes of [followed, watched]) same(changes.map(({ key }) => key).sort(), expected)
      same(
        watched.filter(({ value }) => value !== undefined),
        [{ key: 'a/0', value: 3 }],
      )
    },
  },

  {
    name: 'a watcher gets the existing records, and then each change once',
    async check(trial) {
      const { log } = await trial.start()
      const { records } = log
      const keys = Array.from({ length: 400 }, (_, n) => `a/${n}`)
      await Promise.all([...keys, 'b/1', 'ab'].map((key) => records.put(key, 0)))
      const told: RecordChange[] = []
      const seen = new Map<string, number[]>()
      const watching = records.watch('a/', ({ key, value }) => {
        told.push({ key, value })
        if (value !== undefined) seen.set(key, [...(seen.get(key) ?? []), value as number])
        else seen.delete(key)
      })
      const changes: Promise<void>[] = []
      for (let n = 1; n <= 30; n++) {
        changes.push(records.put(`a/${n * 13}`, n), records.put(`a/new-${n}`, n), records.put('b/1', n))
        await delay(0)
      }
      changes.push(records.delete('a/1'))
      const stop = await watching
      await Promise.all(changes)
      isEachChangeOnce(seen, await records.list('a/'))
      told.length = 0
      await records.put('a/1', 1)
      await records.delete('a/1')
      await records.delete('a/1')
      await records.put('b/1', 99)
      same(told, [
        { key: 'a/1', value: 1 },
        { key: 'a/1', value: undefined },
      ])
      stop()
      await records.put('a/1', 2)
      equal(told.length, 2)
    },
  },

  {
    name: 'a follower gets each change of a record, in order',
    async check(trial) {
      const { log } = await trial.start()
      const told: RecordChange[] = []
      await log.follow(({ records }) => void told.push(...records))
      const value = { list: [1] }
      const put = log.records.put('a', value)
      value.list.push(2)
      await Promise.all([put, log.records.delete('a'), log.records.put('a', 2), log.records.delete('b')])
      same(told, [
        { key: 'a', value: { list: [1] } },
        { key: 'a', value: undefined },
        { key: 'a', value: 2 },
      ])
    },
  },
]
