/** A log that is opened again. */
import { Selection } from '../../model/selection.js'
import type { Retention } from '../log.js'
import { equal, has, rejects, same } from './assertions.js'
import { duplicate, event, manyEvents, plain, sequences, stored } from './events.js'
import { readAll, retains, retainsAtMost, returns } from './reads.js'
import { KEEP_ALL, type Case, type Trial } from './trial.js'

export const reopened: readonly Case[] = [
  {
    name: 'the log has the same events, in the same epoch',
    needs: ['reopen'],
    async check(trial) {
      const { log, again } = await startOver(trial)
      const { epoch } = log().view
      await log().append([event('a', { type: 'x', id: '1' }), event('b', { payload: 'zwölf\n€ 𝄞' })])
      const before = (await readAll(log())).events
      const stats = log().view.stats()
      await again()
      equal(log().view.epoch, epoch)
      equal(log().view.head, 2)
      same((await readAll(log())).events.map(plain), before.map(plain))
      same(log().view.stats(), stats)
      same(await log().append([event('a')]), [stored(3)])
    },
  },

  {
    name: 'a sequence is not reused, even if every event has been trimmed',
    needs: ['clock', 'reopen'],
    async check(trial) {
      const { log, clock, again } = await startOver(trial, { age: 1_000 })
      await log().append(manyEvents(3))
      clock.now += 5_000
      await returns(log(), 0)
      await again()
      equal(log().view.head, 3)
      same(await log().append([event('a')]), [stored(4)])
    },
  },

  {
    name: 'the log knows the trims',
    needs: ['reopen'],
    async check(trial) {
      const { log, again } = await startOver(trial, { events: 1 })
      await log().append([event('a'), event('b'), event('a')])
      await retains(log(), 2)
      await again()
      has(await readAll(log(), new Selection(['a'])), { gap: true })
      has(await readAll(log(), new Selection(['a']), 1), { gap: false })
      has(await readAll(log(), new Selection(['b'])), { gap: false })
    },
  },

  {
    name: 'the log knows the purges',
    needs: ['reopen'],
    async check(trial) {
      const { log, again } = await startOver(trial, { dedupWindow: 10_000 })
      await log().append([event('a', { id: 'x' }), event('b'), event('a')])
      equal(await log().purge('a'), 2)
      await again()
      same(sequences(await readAll(log())), [2])
      has(log().view.stats(), { topics: 1, events: 1 })
      has(await readAll(log(), new Selection(['a']), 2), { gap: true })
      has(await readAll(log(), new Selection(['a']), 3), { gap: false })
      same(await log().append([event('a', { id: 'x' }), event('a')]), [duplicate(1), stored(4)])
    },
  },

  {
    name: 'the log keeps more topics than a lower maximum, and refuses only new ones',
    needs: ['reopen'],
    async check(trial) {
      const limits: Partial<Retention> = { topics: 3 }
      const { log, again } = await startOver(trial, limits)
      await log().append([event('a'), event('b'), event('c')])
      limits.topics = 2
      await again()
      has(log().view.stats(), { topics: 3 })
      same(await log().append([event('a'), event('c')]), [stored(4), stored(5)])
      await rejects(log().append([event('d')]), { code: 'too-many-topics' })
      await log().purge('a')
      await log().purge('b')
      same(await log().append([event('d')]), [stored(6)])
    },
  },

  {
    name: 'the log trims only events that are too old, after restarts with a clock that was ahead or behind',
    needs: ['clock', 'reopen'],
    async check(trial) {
      const { clock, log, pass, again } = await startClocks(trial, { ...KEEP_ALL, age: 10_000 })
      await log().append([event('old')])
      pass(1_001)
      await log().append([event('ahead')])
      clock.now -= 1e10
      await again()
      pass(5_000)
      await log().append([event('right')])
      clock.now -= 1e10
      await again()
      await log().append([event('back')])
      clock.now += 1e10
      pass(4_000)
      await log().append([event('right')])
      await again()
      await retainsAtMost(log(), 4) // the trimmer has run
      same(sequences(await readAll(log())), [2, 3, 4, 5])
      pass(1_001)
      await retainsAtMost(log(), 3)
      same(sequences(await readAll(log())), [3, 4, 5])
      pass(5_000)
      await retainsAtMost(log(), 2)
      same(sequences(await readAll(log())), [5])
      pass(4_000)
      await retains(log(), 0)
    },
  },

  {
    name: 'the log has its records',
    needs: ['reopen'],
    async check(trial) {
      const { clock, log, again } = await startOver(trial)
      await Promise.all([log().records.put('a', { x: 1 }), log().records.put('b', 2)])
      await log().records.delete('b')
      await again()
      same(await log().records.list(''), [{ key: 'a', value: { x: 1 } }])
      await log().records.put('c', 3, { ttl: 1_000 })
      clock.now += 999
      await again()
      equal(await log().records.get('c'), 3)
      clock.now += 1
      equal(await log().records.get('c'), undefined)
    },
  },

  {
    name: 'the log has the properties of its topics',
    needs: ['reopen'],
    async check(trial) {
      const { log, again } = await startOver(trial)
      await log().append([event('a')])
      await Promise.all(['a', 'b', 'c'].map((topic) => log().setTopic(topic, { contentType: topic })))
      await log().setTopic('b', undefined)
      await again()
      has(await log().topic('a'), { events: 1, properties: { contentType: 'a' } })
      equal(await log().topic('b'), undefined)
      same((await log().topic('c'))!.properties, { contentType: 'c' })
    },
  },

  {
    name: 'the log remembers publisher ids',
    needs: ['reopen'],
    async check(trial) {
      const { log, clock, again } = await startOver(trial, { events: 1, dedupWindow: 10_000 })
      await log().append([event('a', { id: 'trimmed' }), event('a', { id: 'kept' })])
      await retains(log(), 1)
      await again()
      clock.now += 9_000
      same(await log().append([event('a', { id: 'trimmed' }), event('a', { id: 'kept' })]), [
        duplicate(1),
        duplicate(2),
      ])
    },
  },
]

/** Opens a log that `again` closes and opens again. */
async function startOver(trial: Trial, limits: Partial<Retention> = {}) {
  const clock = { now: 1_700_000_000_000 }
  let log = await trial.open({ ...KEEP_ALL, ...limits }, () => clock.now)
  return {
    clock,
    log: () => log,
    again: async () => (log = await trial.reopen(log, { ...KEEP_ALL, ...limits }, () => clock.now)),
  }
}

/** Opens a log that `again` closes and opens again, with a wall clock that can be set while monotonic time passes. */
async function startClocks(trial: Trial, retention: Retention) {
  const clock = { now: 1_700_000_000_000 + 1e10, elapsed: 0 }
  const now = () => clock.now
  const elapsed = () => clock.elapsed
  let log = await trial.open(retention, now, elapsed)
  return {
    clock,
    log: () => log,
    pass: (time: number) => {
      clock.now += time
      clock.elapsed += time
    },
    again: async () => {
      clock.elapsed = 77 // the monotonic clock starts again
      log = await trial.reopen(log, retention, now, elapsed)
    },
  }
}
