/** `locate` with a time. */
import { Selection } from '../../model/selection.js'
import type { EventLog, Retention } from '../log.js'
import { anySelection } from './any-event.js'
import { equal, ok, same } from './assertions.js'
import { event, manyEvents, sequences } from './events.js'
import type { Random } from './random.js'
import { EVERYTHING, locateTime, readAll, retains } from './reads.js'
import { KEEP_ALL, type Case, type Trial } from './trial.js'

/** The clock's step before an append, the number of events, and their topic. */
interface Step {
  step: number
  topic: string
  count: number
}

/** @param back how far the clock may go back before an append, in milliseconds */
function anyHistory(random: Random, back: number): Step[] {
  return random.list(1, 12, () => ({
    step: random.between(-back, 50),
    topic: random.pick(['a', 'b', 'a.b', 'b.c']),
    count: random.between(1, 40),
  }))
}

interface Timed {
  sequence: number
  topic: string
  time: number
}

async function play(
  trial: Trial,
  history: readonly Step[],
  retention: Retention,
): Promise<{ log: EventLog; all: Timed[]; clock: () => number }> {
  let now = 1_000
  const log = await trial.open(retention, () => now)
  const all: Timed[] = []
  for (const { step, topic, count } of history) {
    now = Math.max(0, now + step)
    for (const { sequence } of await log.append(manyEvents(count, topic))) all.push({ sequence, topic, time: now })
  }
  return { log, all, clock: () => now }
}

/** Checks where a time begins: exactly, if the clock never went back. */
async function checkTime(
  log: EventLog,
  all: readonly Timed[],
  selection: Selection,
  time: number,
  isExact: boolean,
): Promise<void> {
  const after = await locateTime(log, selection, time)
  const retained = new Set(sequences(await readAll(log, selection)))
  const wanted = all.filter(({ topic }) => selection.hasTopic(topic))
  for (const { sequence, time: at } of wanted) {
    const isLeftOut = at >= time && sequence <= after
    const isUnwanted = at < time && sequence > after && retained.has(sequence)
    if (retained.has(sequence) && isLeftOut)
      throw new Error(`the event ${sequence} of ${at} is missed: ${time} begins after ${after}`)
    if (isExact && (isLeftOut || isUnwanted))
      throw new Error(
        `${sequence} of ${at}, ${retained.has(sequence) ? 'retained' : 'trimmed'}: ${time} begins after ${after}`,
      )
  }
}

/** A history, and what to look for in it. */
function anyQuestion(
  random: Random,
  back: number,
  earliest: number,
): { history: Step[]; selection: Selection; time: number; events: number } {
  return {
    history: anyHistory(random, back),
    selection: anySelection(random, false),
    time: random.between(earliest, 1_700),
    events: random.pick([3, 30, 1e6]),
  }
}

export const locateTimes: readonly Case[] = [
  {
    name: 'finds where the events of a time begin, for any trims',
    needs: ['clock'],
    async check(trial) {
      await trial.forAny(
        60,
        (random) => anyQuestion(random, 0, 900),
        async ({ history, selection, time, events }) => {
          const { log, all } = await play(trial, history, { ...KEEP_ALL, events })
          await checkTime(log, all, selection, time, true)
        },
      )
    },
  },

  {
    name: 'includes every event of a time if the clock goes back',
    needs: ['clock'],
    async check(trial) {
      await trial.forAny(
        60,
        (random) => anyQuestion(random, 100, 0),
        async ({ history, selection, time, events }) => {
          const { log, all } = await play(trial, history, { ...KEEP_ALL, events })
          await checkTime(log, all, selection, time, false)
        },
      )
    },
  },

  {
    name: 'reports a gap if events of a time were trimmed before the clock went back',
    needs: ['clock'],
    async check(trial) {
      const { log, clock } = await trial.start({ events: 3 })
      const first = clock.now
      await log.append(manyEvents(5, 'a'))
      clock.now -= 1_000
      await log.append(manyEvents(5, 'a'))
      await retains(log, 3)
      ok(
        (await readAll(log, new Selection(['a']), await locateTime(log, new Selection(['a']), first))).gap,
        'the trimmed events are no gap',
      )
    },
  },

  {
    name: 'considers types, and begins at the head if no event is of the time',
    needs: ['clock'],
    async check(trial) {
      const { log, clock } = await trial.start()
      const first = clock.now
      await log.append([event('a', { type: 'x' }), event('a', { type: 'y' })])
      clock.now += 1_000
      await log.append([event('a', { type: 'x' }), event('a', { type: 'y' })])
      same(
        sequences(
          await readAll(
            log,
            new Selection(['a'], ['y']),
            await locateTime(log, new Selection(['a'], ['y']), first + 1),
          ),
        ),
        [4],
      )
      equal(await locateTime(log, EVERYTHING, clock.now + 1), log.view.head)
      equal(await locateTime(log, EVERYTHING, 0), 0)
    },
  },

  {
    name: 'knows the times of events from before the log was opened',
    needs: ['clock', 'reopen'],
    async check(trial) {
      await trial.forAny(
        30,
        (random) => anyQuestion(random, 0, 900),
        async ({ history, selection, time, events }) => {
          const retention = { ...KEEP_ALL, events }
          const { log: closed, all, clock } = await play(trial, history, retention)
          const log = await trial.reopen(closed, retention, () => clock() + 20)
          for (const { sequence } of await log.append(manyEvents(5, 'a')))
            all.push({ sequence, topic: 'a', time: clock() + 20 })
          const after = await locateTime(log, selection, time)
          const left = all.find(
            (timed) => selection.hasTopic(timed.topic) && timed.time >= time && timed.sequence <= after,
          )
          if (left)
            throw new Error(`the event ${left.sequence} of ${left.time} is missed: ${time} begins after ${after}`)
        },
      )
    },
  },
]
