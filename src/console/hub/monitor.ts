/** What the hub tells of itself, as it comes: the last minutes of its stats, and who has come and gone. */
import { computed, effect, signal } from '@preact/signals'
import type { Stats } from '../../hub/stats.js'
import type { ConnectionChange } from '../../hub/stream-info.js'
import { LiveStream } from './stream.js'

/** How many seconds the charts show. */
export const WINDOW = 300
/** How many changes of connections are kept. */
const CHANGES = 30
/** The stats come once a second; when none has come for so long, in milliseconds, the connection is lost. */
const SILENCE = 10_000
/** When none has come for so long, in milliseconds, some are missing. */
const HOLE = 3_000

/** A change of a connection, and when it came. */
export interface TimedChange extends ConnectionChange {
  time: string
}

export const monitor = signal<LiveStream | undefined>(undefined)
/** How the hub was at a time, in milliseconds; without stats: some are missing there. */
export interface Moment {
  time: number
  stats: Stats | null
}

/** One a second, oldest first. */
export const history = signal<readonly Moment[]>([])
/** The newest. */
export const latest = computed(() => history.value.at(-1)?.stats ?? undefined)
export const changes = signal<readonly TimedChange[]>([])

/** Listens until what it returns is called. */
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
    if (monitor.value === stream) monitor.value = undefined // whoever has signed in meanwhile has another one
  }
}

/** @param isInterrupted whether something is missing before the stats, however short it was */
function added(moments: readonly Moment[], stats: Stats, isInterrupted: boolean): Moment[] {
  const time = Date.parse(stats.time)
  const last = moments.at(-1)?.time ?? time
  if (time < last) return [{ time, stats }] // the hub's clock was put back: there is no going on from here
  const hole = time > last && (isInterrupted || time - last > HOLE) ? [{ time: (last + time) / 2, stats: null }] : []
  return [...moments, ...hole, { time, stats }].filter((moment) => moment.time >= time - WINDOW * 1_000)
}
