/** Finite topics: those with a record. */
import { Selection } from '../../model/selection.js'
import { FINITE_PREFIX, type EventLog } from '../log.js'
import { equal, ok, rejects, same, until } from './assertions.js'
import { event, manyEvents, range, sequences, stored } from './events.js'
import { readAll, retains, retainsAtMost } from './reads.js'
import type { Case } from './trial.js'

const ANSWER = new Selection(['answer'])

async function begin(log: EventLog, count: number): Promise<void> {
  await log.records.put(`${FINITE_PREFIX}answer`, { any: 'value' })
  if (count > 0) await log.append(manyEvents(count, 'answer'), { expected: { topic: 'answer', sequence: 0 } })
}

export const finiteTopics: readonly Case[] = [
  {
    name: 'takes only conditional appends',
    async check(trial) {
      const { log } = await trial.start()
      await begin(log, 1)
      await rejects(log.append([event('a'), event('answer')]), { code: 'finite-topic', index: 1 })
      equal(log.view.head, 1)
      same(await log.append([event('answer')], { expected: { topic: 'answer', sequence: 1 } }), [stored(2)])
      await log.records.delete(`${FINITE_PREFIX}answer`)
      same(await log.append([event('answer')]), [stored(3)])
    },
  },

  {
    name: 'keeps all events, however many they are',
    async check(trial) {
      const { log } = await trial.start({ events: 3 })
      await begin(log, 20)
      for (let newest = 20; newest < 23; newest++)
        await log.append([event('answer')], { expected: { topic: 'answer', sequence: newest } })
      await log.append(manyEvents(10, 'other'))
      await retains(log, 26)
      same(sequences(await readAll(log, ANSWER)), range(1, 23))
      equal((await readAll(log, ANSWER)).gap, false)
    },
  },

  {
    name: 'keeps its events while others are trimmed by bytes',
    async check(trial) {
      const limit = 200_000
      const { log } = await trial.start({ bytes: limit })
      const payload = 'x'.repeat(5_000)
      await begin(log, 0)
      const answer = Array.from({ length: 5 }, () => event('answer', { payload }))
      await log.append(answer, { expected: { topic: 'answer', sequence: 0 } })
      for (let n = 0; n < 20; n++) await log.append(Array.from({ length: 5 }, (_, m) => event(`t.${m}`, { payload })))
      await until(
        async () => log.view.stats().bytes <= limit,
        () => `the log has ${log.view.stats().bytes} bytes of ${limit}`,
      )
      same(sequences(await readAll(log, ANSWER)), range(1, 5))
      const others = sequences(await readAll(log, new Selection(['t.*'])))
      same(others, range(106 - others.length, others.length), 'the newest events of all other topics')
      ok(others.length > 10, `only ${others.length} other events are retained`)
    },
  },

  {
    name: 'keeps its events while others are trimmed by age',
    needs: ['clock'],
    async check(trial) {
      const { log, clock } = await trial.start({ age: 1_000 })
      await begin(log, 2)
      await log.append(manyEvents(3, 'other'))
      clock.now += 5_000
      await retains(log, 2)
      same(sequences(await readAll(log)), [1, 2])
      await log.append(manyEvents(2, 'other'))
      clock.now += 5_000
      await retains(log, 2)
    },
  },

  {
    name: 'is trimmed again once it has no record',
    async check(trial) {
      const { log } = await trial.start({ events: 3 })
      await begin(log, 10)
      await log.append(manyEvents(3, 'other'))
      await retains(log, 13)
      await log.records.delete(`${FINITE_PREFIX}answer`)
      await log.append([event('answer')])
      await until(
        async () => {
          await log.append([event('answer')])
          return log.view.stats().events <= 7
        },
        () => 'the events of the topic stay',
      )
    },
  },

  {
    name: 'can be purged',
    async check(trial) {
      const { log } = await trial.start({ events: 3 })
      await begin(log, 10)
      equal(await log.purge('answer'), 10)
      await retains(log, 0)
      same(await log.append([event('answer')], { expected: { topic: 'answer', sequence: 0 } }), [stored(11)])
    },
  },

  {
    name: 'stays finite in a log that is opened again',
    needs: ['reopen'],
    async check(trial) {
      const { log, clock } = await trial.start({ events: 3 })
      await begin(log, 10)
      await log.append(manyEvents(10, 'other'))
      await retainsAtMost(log, 13)
      const again = await trial.reopen(log, { events: 3, age: 1e12, bytes: 1e12, dedupWindow: 0 }, () => clock.now)
      await rejects(again.append([event('answer')]), { code: 'finite-topic', index: 0 })
      await again.append(manyEvents(10, 'other'))
      await retains(again, 13)
      same(sequences(await readAll(again, ANSWER)), range(1, 10))
    },
  },
]
