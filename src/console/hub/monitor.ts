/** Follows the system topics: keeps the stats of the last minutes, and the latest changes of connections. */
import { computed, effect, signal } from '@preact/signals'
import type { Stats } from '../../hub/stats.js'
import type { ConnectionChange } from '../../hub/stream-info.js'
import { LiveStream } from './stream.js'

/** How many seconds the charts show. */
export const WINDOW = 300
/** How many changes of connections are kept. */
const CHANGES = 30
/** The time without stats after which the connection counts as lost, in milliseconds. Stats arrive once a second. */
const SILENCE = 10_000
/** The time between two stats after which some count as missing, in milliseconds. */
const HOLE = 3_000

/** A change of a connection, and its time. */
export interface TimedChange extends ConnectionChange {
  time: string
}

export const monitor = signal<LiveStream | undefined>(undefined)
/** The stats at a time, in milliseconds since the Unix epoch. `null` marks a hole: stats are missing there. */
export interface Moment {
  time: number
  stats: Stats | null
}

/** One moment per second, oldest first. */
export const history = signal<readonly Moment[]>([])
/** The latest stats. */
export const latest = computed(() => history.value.at(-1)?.stats ?? undefined)
export const changes = signal<readonly TimedChange[]>([])

/** Follows the hub until the returned function is called. */
export function watchHub(): () => void {
  history.value = []
  changes.value = []
  let isInterrupted = false
  const stream = new LiveStream({
    topics: ['fanfare.stats', 'fanfare.connections'],
    silence: SILENCE,
    onEvent: ({ topic, time, data }) => {
      if (topic === 'fanfare.stats') {
        history.value = added(history.value, data as Stats, isInterrupted)
        isInterrupted = false
      } else changes.value = [{ ...(data as ConnectionChange), time }, ...changes.value].slice(0, CHANGES)
    },
  })
  const unwatch = effect(() => {
    if (stream.state.value.phase === 'down' || stream.gap.value !== undefined) isInterrupted = true
  })
  monitor.value = stream
  return () => {
    unwatch()
    stream.close()
    if (monitor.value === stream) monitor.value = undefined // a new session may have set another stream
  }
}

/** @param isInterrupted whether the stream was interrupted before these stats, even for a short time */
function added(moments: readonly Moment[], stats: Stats, isInterrupted: boolean): Moment[] {
  const time = Date.parse(stats.time)
  const last = moments.at(-1)?.time ?? time
  if (time < last) return [{ time, stats }] // the hub's clock was set back: start again
  const hole = time > last && (isInterrupted || time - last > HOLE) ? [{ time: (last + time) / 2, stats: null }] : []
  return [...moments, ...hole, { time, stats }].filter((moment) => moment.time >= time - WINDOW * 1_000)
}
