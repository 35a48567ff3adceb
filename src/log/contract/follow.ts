/** Followers and their deltas. */
import { setTimeout as delay } from 'node:timers/promises'
import { FollowedView } from '../followed-view.js'
import type { LogDelta, Trim } from '../log.js'
import { GapSearch } from '../trim-marks.js'
import { anyChanges, anySelection } from './any-event.js'
import { equal, has, ok, same } from './assertions.js'
import { event, manyEvents, range, sequences } from './events.js'
import { readAll, type PageRead, retains } from './reads.js'
import { KEEP_ALL, type Case } from './trial.js'

export const follow: readonly Case[] = [
  {
    name: 'followers get every event, in order, exactly once, before append resolves',
    async check(trial) {
      const { log } = await trial.start()
      const told: number[][] = [[], []]
      for (const list of told) await log.follow(({ events }) => void list.push(...sequences({ events })))
      const check = async (append: Promise<{ sequence: number }[]>) => {
        const last = (await append).at(-1)!.sequence
        for (const list of told) ok(list.includes(last), `append resolved before each follower had the event ${last}`)
      }
      await Promise.all(Array.from({ length: 50 }, (_, n) => check(log.append(manyEvents(1 + (n % 3))))))
      for (const list of told) same(list, range(1, log.view.head), 'a follower gets every event once, in order')
    },
  },

  {
    name: 'an event that a follower gets can be read',
    async check(trial) {
      const { log } = await trial.start()
      const told: { sequence: number; head: number; read: Promise<PageRead> }[] = []
      await log.follow(({ events }) => {
        told.push({ sequence: events.at(-1)!.sequence, head: log.view.head, read: readAll(log) })
      })
      for (let n = 0; n < 5; n++) await log.append(manyEvents(2))
      ok(told.length > 0, 'the follower gets no event')
      for (const { sequence, head, read } of told) {
        ok(head >= sequence, `the head is still ${head} when the follower gets the event ${sequence}`)
        const { events } = await read
        ok(
          events.some((event) => event.sequence === sequence),
          `a read does not return the event ${sequence}, which the follower has`,
        )
      }
    },
  },

  {
    name: 'a follower that appends does not change the order for the others',
    async check(trial) {
      const { log } = await trial.start()
      const told: number[] = []
      const answers: Promise<unknown>[] = []
      await log.follow(({ events: [first] }) => {
        if (first?.topic === 'question') answers.push(log.append([event('answer')]))
      })
      await log.follow(({ events }) => void told.push(...sequences({ events })))
      await log.append([event('question')])
      await Promise.all(answers)
      same(told, [1, 2])
    },
  },

  {
    name: 'a follower gets no event from before it began or after it has stopped',
    async check(trial) {
      const { log } = await trial.start()
      const told: number[] = []
      await log.append([event('a')])
      const following = await log.follow(({ events }) => void told.push(...sequences({ events })))
      has(following, { head: 1, mark: 0 })
      await log.append([event('a')])
      following.stop()
      await log.append([event('a')])
      same(told, [2])
    },
  },

  {
    name: 'a follower may stop during a delta',
    async check(trial) {
      const { log } = await trial.start()
      const told: string[] = []
      const first = await log.follow(() => {
        told.push('first')
        first.stop()
      })
      await log.follow(() => void told.push('second'))
      await log.append([event('a')])
      await log.append([event('a')])
      same(told, ['first', 'second', 'second'])
    },
  },

  {
    name: 'a follower gets each trim once, and each trim raises the mark',
    needs: ['clock'],
    async check(trial) {
      const { log, clock } = await trial.start({ age: 10_000, events: 3 })
      const told: (string | undefined)[] = []
      const trims: Trim[] = []
      const sizes: number[] = []
      const marks: { trims: number; mark: number }[] = []
      const { mark } = await log.follow((delta) => {
        told.push(...delta.events.map(({ topic }) => topic))
        trims.push(...delta.trims)
        sizes.push(delta.events.length + delta.trims.length + delta.records.length)
        marks.push({ trims: trims.length, mark: log.view.mark })
      })
      equal(mark, 0)
      await log.append([event('a'), event('b')])
      same(trims, [])
      await log.purge('a')
      same(trims, [{ topic: 'a', until: 1 }], 'the follower got the trim before purge resolved')
      await log.append(manyEvents(5, 'c'))
      await retains(log, 4)
      same(trims.at(-1), { topic: 'c', until: 4 })
      clock.now += 20_000
      await retains(log, 0) // by age alone
      same(new Map(trims.map(({ topic, until }) => [topic, until])), new Map(Object.entries({ a: 1, b: 2, c: 7 })))
      same(told, ['a', 'b', 'c', 'c', 'c', 'c', 'c'])
      ok(!sizes.includes(0), 'a delta is empty')
      same(
        marks.map((at) => at.mark),
        marks.map((at) => mark + at.trims),
        'a follower finds each trim in the mark',
      )
    },
  },

  {
    name: 'a view that follows the deltas knows the same gaps as the log',
    async check(trial) {
      await trial.forAny(
        40,
        (random) => ({
          changes: anyChanges(random),
          questions: random.list(5, 10, () => ({ selection: anySelection(random), after: random.between(0, 60) })),
        }),
        async ({ changes, questions }) => {
          const clock = { now: 1 }
          const log = await trial.open({ ...KEEP_ALL, events: 4, bytes: 20_000, age: 1_000 }, () => clock.now)
          const deltas: LogDelta[] = []
          const following = await log.follow((delta) => void deltas.push(delta))
          const source = { epoch: log.view.epoch, failure: () => log.view.failure, stats: () => log.view.stats() }
          const view = new FollowedView(source, following)
          for (const change of changes) {
            clock.now += 200
            await (typeof change === 'string' ? log.purge(change) : log.append(change))
            await delay(0)
          }
          for (const { selection, after } of questions) {
            const begin = Math.min(after, log.view.head)
            const { trimmedAt, mark } = await log.scan(selection, { after: begin, until: begin }, () => true)
            for (const delta of deltas.splice(0)) view.apply(delta)
            if (mark !== view.mark) continue // another trim happened after the answer
            const gaps = new GapSearch(view, selection)
            for (const step of gaps.begin(begin)) same(step, undefined)
            same(gaps.result(begin, false), { position: begin, more: false, trimmedAt, mark })
          }
          same({ head: view.head, mark: view.mark }, { head: log.view.head, mark: log.view.mark })
        },
      )
    },
  },
]
