/** Gaps. */
import { setTimeout as delay } from 'node:timers/promises'
import type { NewEvent } from '../../model/event.js'
import { Selection } from '../../model/selection.js'
import type { Retention } from '../log.js'
import { anySelection, smallEvent } from './any-event.js'
import { equal, has, same } from './assertions.js'
import { burn, event, isOf, type Numbered } from './events.js'
import type { Random } from './random.js'
import { readAll, retains, returns } from './reads.js'
import type { Case } from './trial.js'

export const gaps: readonly Case[] = [
  {
    name: 'is reported per topic, up to the newest trimmed event',
    async check(trial) {
      const { log } = await trial.start({ events: 2 })
      await log.append([event('a'), event('b'), event('a'), event('a'), event('c'), event('a')]) // a: 1 3 4 6
      await retains(log, 4)
      const gap = async (patterns: string[], after: number) => (await readAll(log, new Selection(patterns), after)).gap
      equal(await gap(['a'], 0), true)
      equal(await gap(['a'], 2), true)
      equal(await gap(['a'], 3), false, '3 is the newest trimmed event')
      equal(await gap(['b', 'c', 'nobody'], 0), false)
      equal(await gap(['b', 'a'], 0), true)
      equal(await gap(['*'], 1), true)
      equal(await gap(['*'], 3), false)
      equal(await gap(['*.*', 'b'], 0), false)
    },
  },

  {
    name: 'is remembered for a topic without events',
    needs: ['clock'],
    async check(trial) {
      const { log, clock } = await trial.start({ age: 1_000, dedupWindow: 0 })
      await log.append([event('gone'), event('gone')])
      clock.now += 5_000
      await log.append([event('other')])
      await returns(log, 1)
      has(await readAll(log, new Selection(['gone'])), { events: [], gap: true })
      has(await readAll(log, new Selection(['gone']), 1), { events: [], gap: true })
      has(await readAll(log, new Selection(['gone']), 2), { events: [], gap: false })
      has(await readAll(log, new Selection(['other'])), { gap: false })
      await log.append([event('gone')])
      has(
        await readAll(log, new Selection(['gone']), 1),
        { events: [{ sequence: 4 }], gap: true },
        'the gap stays when the topic is used again',
      )
      has(await readAll(log, new Selection(['gone']), 3), { events: [{ sequence: 4 }], gap: false })
    },
  },

  {
    name: 'is never false and never missing',
    needs: ['clock'],
    async check(trial) {
      await trial.forAny(
        80,
        (random) => ({ retention: anyRetention(random), steps: random.list(1, 25, anyStep) }),
        async ({ retention, steps }) => {
          const clock = { now: 1_000 }
          const log = await trial.open(retention, () => clock.now)
          const all: Numbered[] = []
          for (const { change, selection, part } of steps) {
            if (typeof change === 'number') clock.now += change
            else {
              for (const [index, { sequence, duplicate }] of (await log.append(change)).entries())
                if (!duplicate) all.push({ ...change[index]!, sequence })
            }
            const after = Math.round(part * log.view.head)
            const { events, gap } = await readAll(log, selection, after)
            const asked = all.filter(isOf(selection)).filter(({ sequence }) => sequence > after)
            const kept = new Set(events.map(({ sequence }) => sequence))
            same(
              [...kept].filter((sequence) => !asked.some((event) => event.sequence === sequence)),
              [],
            )
            same({ after, gap, kept }, { after, gap: asked.some(({ sequence }) => !kept.has(sequence)), kept })
          }
        },
      )
    },
  },
  {
    name: 'events that are trimmed during a read are either read or a gap',
    async check(trial) {
      const selection = new Selection(['t.*', 'nobody'])
      for (const [after, purges] of [
        [0, false],
        [2_000, false],
        [2_000, true],
        [5_900, true],
      ] as const) {
        const { log } = await trial.start({ events: 3_000 })
        await log.append(Array.from({ length: 6_000 }, (_, n) => event(`t.${n % 2}`)))
        const { head } = log.view
        const scanned: number[] = []
        const reading = log.scan(selection, { after, until: head }, ({ sequence }) => {
          scanned.push(sequence)
          if (scanned.length % 20 === 0) burn()
          return true
        })
        const going = new Set([reading])
        const done = () => going.delete(reading)
        reading.then(done, done)
        const purging = purges ? log.purge('t.1') : undefined
        while (going.size > 0) {
          await log.append(Array.from({ length: 400 }, (_, n) => event(`t.${n % 2}`)))
          await delay(0)
        }
        const { trimmedAt, position, more } = await reading
        await purging
        same({ position, more }, { position: head, more: false })
        equal(trimmedAt !== undefined, scanned.length < head - after, `${scanned.length} of ${head - after}`)
        same(
          scanned,
          scanned.toSorted((a, b) => a - b),
        )
      }
    },
  },
]

function anyRetention(random: Random): Retention {
  return {
    events: random.between(1, 4),
    age: random.pick([500, 1e9]),
    bytes: random.pick([1_000, 1e9]),
    dedupWindow: random.pick([0, 1_000]),
  }
}

/** Events to append or a time that passes, and what to read then. */
function anyStep(random: Random): { change: NewEvent[] | number; selection: Selection; part: number } {
  return {
    change: random.once(6) ? random.between(1, 900) : random.list(1, 4, smallEvent),
    selection: anySelection(random, false),
    part: random.below(101) / 100,
  }
}
