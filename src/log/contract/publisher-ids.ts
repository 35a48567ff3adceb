/** Publisher ids. */
import { equal, same, until } from './assertions.js'
import { duplicate, event, manyEvents, sequences, stored } from './events.js'
import { readAll } from './reads.js'
import type { Case } from './trial.js'

export const publisherIds: readonly Case[] = [
  {
    name: 'an id is stored once per topic, and a duplicate gets the sequence of the first event',
    async check(trial) {
      const { log } = await trial.start()
      const told: number[] = []
      await log.follow(({ events }) => void told.push(...sequences({ events })))
      same(await log.append([event('a', { id: 'x', payload: 'first' })]), [stored(1)])
      same(await log.append([event('b', { id: 'x' })]), [stored(2)], 'the same id in another topic is not a duplicate')
      same(await log.append([event('a', { id: 'x', payload: 'second' })]), [duplicate(1)])
      same(await log.append([event('a', { id: 'X' })]), [stored(3)], 'another id is not a duplicate')
      equal(log.view.head, 3)
      same(told, [1, 2, 3], 'followers get no duplicates')
      same(
        (await readAll(log)).events.map(({ payload }) => payload),
        ['first', 'b', 'a'],
      )
    },
  },

  {
    name: 'an id is stored once within a batch, and the others stay consecutive',
    async check(trial) {
      const { log } = await trial.start()
      const ids = ['x', 'y', 'x', undefined, 'y', 'z', undefined]
      same(await log.append(ids.map((id) => event('a', { id }))), [
        stored(1),
        stored(2),
        duplicate(1),
        stored(3),
        duplicate(2),
        stored(4),
        stored(5),
      ])
      same(sequences(await readAll(log)), [1, 2, 3, 4, 5])
    },
  },

  {
    name: 'an id is stored once by concurrent appends',
    async check(trial) {
      const { log } = await trial.start()
      const answers = (
        await Promise.all(Array.from({ length: 20 }, () => log.append([event('a', { id: 'x' })])))
      ).flat()
      same(
        answers.filter((answer) => !answer.duplicate),
        [stored(1)],
      )
      same(
        answers.map(({ sequence }) => sequence),
        answers.map(() => 1),
      )
      equal(log.view.head, 1)
    },
  },

  {
    name: 'a batch of duplicates stores nothing',
    async check(trial) {
      const { log } = await trial.start()
      await log.append([event('a', { id: 'x' })])
      let told = 0
      await log.follow(({ events }) => void (told += events.length))
      same(await log.append([event('a', { id: 'x' }), event('a', { id: 'x' })]), [duplicate(1), duplicate(1)])
      equal(told, 0)
      equal(log.view.head, 1)
    },
  },

  {
    name: 'an id is remembered as long as its event is retained',
    needs: ['ids'],
    async check(trial) {
      const { log, clock } = await trial.start({ dedupWindow: 1_000 })
      await log.append([event('a', { id: 'x' })])
      clock.now += 1e9
      await log.append(manyEvents(3))
      same(await log.append([event('a', { id: 'x' })]), [duplicate(1)])
    },
  },

  {
    name: 'an id is remembered within the window even if its event is trimmed',
    needs: ['clock'],
    async check(trial) {
      const { log, clock } = await trial.start({ events: 2, dedupWindow: 10_000 })
      await log.append([event('a', { id: 'x' })])
      clock.now += 5_000
      await log.append([event('a'), event('a', { id: 'y' }), event('a')])
      await until(
        async () => (await readAll(log)).gap,
        () => 'no event is trimmed',
      )
      clock.now += 4_999
      same(await log.append([event('a', { id: 'x' })]), [duplicate(1)])
      same(await log.append([event('a', { id: 'y' })]), [duplicate(3)])
    },
  },

  {
    name: 'an id is forgotten once its event is trimmed and the window is over',
    needs: ['clock'],
    async check(trial) {
      const { log, clock } = await trial.start({ events: 2, dedupWindow: 10_000 })
      await log.append([event('a', { id: 'x' }), event('a'), event('a')])
      await until(
        async () => !sequences(await readAll(log)).includes(1),
        () => 'the event 1 is not trimmed',
      )
      clock.now += 20_001
      same(await log.append([event('a', { id: 'x' })]), [stored(4)])
      same(await log.append([event('a', { id: 'x' })]), [duplicate(4)], "the new event's id is remembered")
    },
  },
]
