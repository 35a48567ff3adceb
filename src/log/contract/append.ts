/** Appends. */
import { setTimeout as delay } from 'node:timers/promises'
import type { StoredEvent } from '../../model/event.js'
import { anyEvent } from './any-event.js'
import { differ, equal, has, ok, same } from './assertions.js'
import { event, manyEvents, plain, range, sequences, stored } from './events.js'
import { readAll, scanAll } from './reads.js'
import { KEEP_ALL, type Case } from './trial.js'

export const append: readonly Case[] = [
  {
    name: 'a new log is empty and has an epoch of its own',
    async check(trial) {
      const { log } = await trial.start()
      const { log: other } = await trial.start()
      ok(/^[a-z0-9]{8}$/.test(log.view.epoch), `the epoch is ${log.view.epoch}`)
      differ(log.view.epoch, other.view.epoch)
      equal(log.view.head, 0)
      same(await readAll(log), { events: [], position: 0, more: false, gap: false, trimmedAt: undefined })
      has(log.view.stats(), { topics: 0, events: 0, bytes: 0 })
    },
  },

  {
    name: 'sequences are consecutive, in the order of the batch',
    async check(trial) {
      const { log } = await trial.start()
      same(await log.append([event('a'), event('b'), event('a')]), [stored(1), stored(2), stored(3)])
      equal(log.view.head, 3)
      same(await log.append([event('b')]), [stored(4)])
      equal(log.view.head, 4)
      same(sequences(await readAll(log)), [1, 2, 3, 4])
    },
  },

  {
    name: 'concurrent appends each get consecutive sequences',
    async check(trial) {
      const { log } = await trial.start()
      const batches = await Promise.all(
        Array.from({ length: 40 }, (_, n) =>
          log.append(Array.from({ length: 1 + (n % 5) }, (_, m) => event(`t.${m}`, { payload: `${n}/${m}` }))),
        ),
      )
      for (const batch of batches)
        same(
          batch.map(({ sequence }) => sequence),
          range(batch[0]!.sequence, batch.length),
        )
      const { events } = await readAll(log)
      same(
        events.map(({ sequence }) => sequence),
        range(1, batches.flat().length),
      )
      batches.forEach((batch, n) =>
        batch.forEach(({ sequence }, m) => equal(events[sequence - 1]?.payload, `${n}/${m}`)),
      )
    },
  },

  {
    name: 'a read sees a batch whole or not at all',
    async check(trial) {
      const { log } = await trial.start()
      const seen: Promise<number>[] = []
      for (let n = 0; n < 20; n++) {
        const appends = [log.append(manyEvents(7)), log.append(manyEvents(7))]
        for (let look = 0; look < 5; look++) {
          seen.push(readAll(log).then(({ events }) => events.length))
          await delay(0)
        }
        await Promise.all(appends)
      }
      same(
        (await Promise.all(seen)).filter((count) => count % 7 !== 0),
        [],
        'no read returns a part of a batch',
      )
    },
  },

  {
    name: 'a read returns the appended events unchanged',
    async check(trial) {
      await trial.forAny(
        50,
        (random) => random.list(1, 8, anyEvent),
        async (events) => {
          const clock = { now: 1_650_000_000_123 }
          const log = await trial.open(KEEP_ALL, () => clock.now)
          const told: StoredEvent[] = []
          await log.follow(({ events }) => void told.push(...events))
          await log.append(events)
          const times = trial.setsClock ? [] : told.map(({ time }) => time)
          const expected = events.map((event, index) => ({
            ...event,
            sequence: index + 1,
            time: times[index] ?? clock.now,
          }))
          same((await readAll(log)).events.map(plain), expected.map(plain))
          same((await scanAll(log)).map(plain), expected.map(plain))
          same(told.map(plain), expected.map(plain))
        },
      )
    },
  },
]
