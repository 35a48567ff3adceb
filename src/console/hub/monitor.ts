/** What the hub tells of itself, as it comes: the last minutes of its stats, and who has come and gone. */
import { signal } from '@preact/signals'
import type { Stats } from '../../hub/stats.js'
import type { ConnectionChange } from '../../hub/stream-info.js'
import { LiveStream } from './stream.js'

/** How many seconds the charts show. */
export const WINDOW = 300
/** How many changes of connections are kept. */
const CHANGES = 30
/** The stats come once a second; when none has come for so long, in milliseconds, the connection is lost. */
const SILENCE = 10_000

/** A change of a connection, and when it came. */
export interface TimedChange extends ConnectionChange {
  time: string
}

export const monitor = signal<LiveStream | undefined>(undefined)
/** One a second, oldest first. */
export const history = signal<readonly Stats[]>([])
export const changes = signal<readonly TimedChange[]>([])

/** Listens until what it returns is called. */
export function watchHub(): () => void {
  history.value = []
  changes.value = []
  const stream = new LiveStream({
    topics: ['fanfare.stats', 'fanfare.connections'],
    silence: SILENCE,
    onEvent: ({ topic, time, data }) => {
      if (topic === 'fanfare.stats') history.value = [...history.value, data as Stats].slice(-WINDOW)
      else changes.value = [{ ...(data as ConnectionChange), time }, ...changes.value].slice(0, CHANGES)
    },
  })
  monitor.value = stream
  return () => {
    stream.close()
    monitor.value = undefined
  }
}
