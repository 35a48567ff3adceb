/**
 * What goes through the hub, measured while somebody listens to `fanfare.stats` and not otherwise. What is sent is
 * added up from what each stream counts anyway, so that nothing is added to the way of an event.
 */
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks'
import { memoryUsage } from 'node:process'
import type { LogStats } from '../log/log.js'
import { monotonicNow, wallNow } from '../model/clock.js'
import type { Connections } from './connections.js'
import type { NewEvent } from '../model/event.js'
import { payloadBytes } from '../model/payload.js'
import { Latency, type LatencyQuantiles } from './latency.js'
import type { Subscriber } from './subscriber.js'

/** The topic on which it is told. */
export const STATS_TOPIC = 'fanfare.stats'

/** How often, in milliseconds. */
const INTERVAL = 1_000
/** How often the event loop is asked whether it is late, in milliseconds: Node's own default. */
const DELAY_RESOLUTION = 10

/** Of how many topics it is told what was published to them; and of how many it is counted in a second. */
const BUSIEST = 50
const COUNTED_TOPICS = 10_000

/** What came in from publishers, and what went out to streams. */
interface Traffic {
  in: number
  out: number
}

/** One second of a hub. Times are in milliseconds, sizes in bytes, traffic is per second. */
export interface Stats {
  time: string
  /** Streams that are open. */
  connections: number
  /** Topics of which the log holds something. */
  topics: number
  events: Traffic
  /** Those of the topics with the most, by topic; the busiest first. */
  busiest: { topic: string; rate: number }[]
  /** Payloads that came in; all that went out. */
  bytes: Traffic
  /** From publishing to the sockets of all who are live. */
  latency: LatencyQuantiles
  /** Streams that are not live: they read the log, or wait for their sockets. */
  lagging: number
  /** Resident memory of the process. */
  memory: number
  log: { events: number; bytes: number }
  /** By how much the event loop was late, at the 99th percentile. */
  eventLoopDelay: number
}

/** What is measured. */
export interface StatsSource {
  connections: Connections
  log: () => LogStats
  /** Is given what measures the way of events, while somebody listens. */
  measure: (latency: Latency | undefined) => void
  /** Takes what was measured. */
  tell: (stats: Stats) => void
}

interface Counts {
  /** When it was counted, on the monotonic clock. */
  at: number
  events: Traffic
  bytes: Traffic
}

/** What there is only while somebody listens. */
interface Measuring {
  timer: NodeJS.Timeout
  latency: Latency
  delay: IntervalHistogram
  before: Counts
  /** How many events came in since then, by topic. */
  byTopic: Map<string, number>
}

export class StatsMeter {
  readonly #source: StatsSource
  readonly #in = { events: 0, bytes: 0 }
  /** What streams that have ended were sent. */
  readonly #ended = { events: 0, bytes: 0 }
  #measuring: Measuring | undefined

  constructor(source: StatsSource) {
    this.#source = source
  }

  get isMeasuring(): boolean {
    return this.#measuring !== undefined
  }

  /** Measures from now on, or no longer. */
  listen(isListenedTo: boolean): void {
    if (isListenedTo === this.isMeasuring) return
    if (isListenedTo) this.#start()
    else this.stop()
  }

  stop(): void {
    if (!this.#measuring) return
    clearInterval(this.#measuring.timer)
    this.#measuring.delay.disable()
    this.#measuring = undefined
    this.#source.measure(undefined)
  }

  /** An event was published. To be told only while it is measured. */
  published(event: NewEvent): void {
    this.#in.events++
    this.#in.bytes += payloadBytes(event)
    const { topic } = event
    const { byTopic } = this.#measuring!
    const count = byTopic.get(topic)
    if (count !== undefined || byTopic.size < COUNTED_TOPICS) byTopic.set(topic, (count ?? 0) + 1)
  }

  /** A stream has ended. */
  ended({ sentEvents, sentBytes }: Subscriber): void {
    this.#ended.events += sentEvents
    this.#ended.bytes += sentBytes
  }

  #start(): void {
    const latency = new Latency()
    const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION })
    delay.enable()
    const timer = setInterval(() => this.#tell(), INTERVAL).unref()
    this.#measuring = { timer, latency, delay, before: this.#count(), byTopic: new Map() }
    this.#source.measure(latency)
  }

  #tell(): void {
    if (!this.#measuring) return
    const { latency, delay, before, byTopic } = this.#measuring
    const now = (this.#measuring.before = this.#count())
    const seconds = (now.at - before.at) / 1_000
    const rate = (name: 'events' | 'bytes'): Traffic => ({
      in: perSecond(now[name].in - before[name].in, seconds),
      out: perSecond(now[name].out - before[name].out, seconds),
    })
    const { topics, events, bytes } = this.#source.log()
    const { connections } = this.#source
    this.#source.tell({
      time: new Date(wallNow()).toISOString(),
      connections: connections.size,
      topics,
      events: rate('events'),
      busiest: busiestOf(byTopic, seconds),
      bytes: rate('bytes'),
      latency: latency.take(),
      lagging: [...connections.values()].filter(({ state }) => state !== 'live').length,
      memory: memoryUsage.rss(),
      log: { events, bytes },
      eventLoopDelay: lateness(delay),
    })
    delay.reset()
    byTopic.clear()
  }

  #count(): Counts {
    const out = { ...this.#ended }
    for (const { sentEvents, sentBytes } of this.#source.connections.values()) {
      out.events += sentEvents
      out.bytes += sentBytes
    }
    return {
      at: monotonicNow(),
      events: { in: this.#in.events, out: out.events },
      bytes: { in: this.#in.bytes, out: out.bytes },
    }
  }
}

function busiestOf(byTopic: Map<string, number>, seconds: number): Stats['busiest'] {
  const most = [...byTopic].sort(([, a], [, b]) => b - a).slice(0, BUSIEST)
  return most.map(([topic, count]) => ({ topic, rate: perSecond(count, seconds) }))
}

function perSecond(count: number, seconds: number): number {
  return Math.round((count / seconds) * 10) / 10
}

/** Node records the time between two looks at the loop, of which the resolution was intended; in nanoseconds. */
function lateness(delay: IntervalHistogram): number {
  return delay.count === 0
    ? 0
    : Math.max(0, Math.round(delay.percentile(99) / 1_000 - DELAY_RESOLUTION * 1_000) / 1_000)
}
