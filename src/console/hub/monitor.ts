/** Follows the system topics: keeps the figures of the last hour, and the latest changes of connections. */
import { computed, effect, signal } from '@preact/signals'
import type { Stats } from '../../hub/stats.js'
import type { ConnectionChange } from '../../hub/stream-info.js'
import type { StatsHistory } from '../../schemas/stats.js'
import { call } from './api.js'
import { LiveStream } from './stream.js'

/** How long figures are kept, in milliseconds. */
const KEPT = 3_600_000
/** The length of a period of the charts, in milliseconds: that of the hub's history. */
export const PERIOD = 5_000
/** How many changes of connections are kept. */
const CHANGES = 200

/** A change of a connection, and its time. */
export interface TimedChange extends ConnectionChange {
  time: string
}

/** The figures that the charts show. */
export interface Figures {
  connections: number
  lagging: number
  eventsIn: number
  eventsOut: number
  bytesIn: number
  bytesOut: number
  p50: number
  p99: number
  memory: number
  logBytes: number
}

/** The figures of a period. `null` marks a hole: figures are missing there. */
export interface Moment {
  /** When the period began, in milliseconds since the Unix epoch, by the hub's clock. */
  time: number
  figures: Figures | null
}

export const monitor = signal<LiveStream | undefined>(undefined)
/** Whether the token is an admin's; `undefined`: not known yet. */
export const isAdmin = signal<boolean | undefined>(undefined)
/** The latest stats. */
export const latest = signal<Stats | undefined>(undefined)
export const changes = signal<readonly TimedChange[]>([])
/** The periods that the hub has kept, oldest first. */
const kept = signal<readonly Moment[]>([])
/** The periods since the page was opened, oldest first. The last one has not ended. */
const live = signal<readonly (Moment & { seconds: number })[]>([])
/** The periods of the last hour, oldest first. */
export const history = computed<readonly Moment[]>(() => {
  const end = kept.value.at(-1)?.time ?? 0
  const moments: Moment[] = [...kept.value, ...live.value.filter(({ time }) => time > end)]
  const first = (moments.at(-1)?.time ?? 0) - KEPT
  return withHoles(moments.filter(({ time }) => time >= first))
})

/** Follows the hub until the returned function is called. */
export function watchHub(): () => void {
  kept.value = []
  live.value = []
  changes.value = []
  latest.value = undefined
  isAdmin.value = undefined
  const left = new AbortController()
  const stream = new LiveStream({
    topics: ['fanfare.stats', 'fanfare.connections'],
    onEvent: ({ topic, time, data }) => {
      if (topic === 'fanfare.stats') {
        latest.value = data as Stats
        live.value = added(live.value, data as Stats)
      } else changes.value = [{ ...(data as ConnectionChange), time }, ...changes.value].slice(0, CHANGES)
    },
  })
  const unwatch = effect(() => {
    const { phase } = stream.state.value
    if (phase === 'refused') isAdmin.value = false
    if (phase !== 'live') return
    isAdmin.value = true
    void load(left.signal) // also after an outage, which the hub may have seen in full
    // The first live figures lack those of other processes, which have just begun to measure each second.
    window.setTimeout(() => void load(left.signal), 2 * PERIOD)
  })
  monitor.value = stream
  return () => {
    left.abort()
    unwatch()
    stream.close()
    if (monitor.value === stream) monitor.value = undefined // a new session may have set another stream
  }
}

/** Loads the last hour. If that fails, the charts begin with the live figures. */
async function load(signal: AbortSignal): Promise<void> {
  const loaded = await call<StatsHistory>('stats', { signal }).catch(() => undefined)
  if (loaded && !signal.aborted) kept.value = momentsOf(loaded)
}

function momentsOf({
  from,
  interval,
  connections,
  lagging,
  events,
  bytes,
  latency,
  memory,
  log,
}: StatsHistory): Moment[] {
  const start = Date.parse(from)
  return connections.map((open, index) => {
    const at = (column: (number | null)[]) => column[index] ?? 0
    const figures =
      open === null
        ? null
        : {
            connections: open,
            lagging: at(lagging),
            eventsIn: at(events.in),
            eventsOut: at(events.out),
            bytesIn: at(bytes.in),
            bytesOut: at(bytes.out),
            p50: at(latency.p50),
            p99: at(latency.p99),
            memory: at(memory),
            logBytes: at(log.bytes),
          }
    return { time: start + index * interval * 1_000, figures }
  })
}

function figuresOf({ connections, lagging, events, bytes, latency, memory, log }: Stats): Figures {
  return {
    connections,
    lagging,
    eventsIn: events.in,
    eventsOut: events.out,
    bytesIn: bytes.in,
    bytesOut: bytes.out,
    p50: latency.p50,
    p99: latency.p99,
    memory,
    logBytes: log.bytes,
  }
}

/** Adds the stats of a second to their period: means of rates, the greatest latencies, the latest amounts. */
function added(moments: typeof live.value, stats: Stats): typeof live.value {
  const figures = figuresOf(stats)
  // the second ends at its time
  const time = Math.floor((Date.parse(stats.time) - 500) / PERIOD) * PERIOD
  const last = moments.at(-1)
  if (!last?.figures || time > last.time) return [...moments, { time, figures, seconds: 1 }].slice(-KEPT / PERIOD)
  if (time < last.time) return [{ time, figures, seconds: 1 }] // the hub's clock was set back: start again
  const { figures: before, seconds } = last
  const mean = (name: keyof Figures) => (before[name] * seconds + figures[name]) / (seconds + 1)
  const merged: Figures = {
    ...figures,
    eventsIn: mean('eventsIn'),
    eventsOut: mean('eventsOut'),
    bytesIn: mean('bytesIn'),
    bytesOut: mean('bytesOut'),
    p50: Math.max(before.p50, figures.p50),
    p99: Math.max(before.p99, figures.p99),
  }
  return [...moments.slice(0, -1), { time, figures: merged, seconds: seconds + 1 }]
}

/** Adds a hole where periods are missing. */
function withHoles(moments: readonly Moment[]): Moment[] {
  return moments.flatMap((moment, index) => {
    const before = moments[index - 1]?.time ?? moment.time
    return moment.time - before > PERIOD ? [{ time: before + PERIOD, figures: null }, moment] : [moment]
  })
}
