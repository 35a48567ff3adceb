/**
 * The events of `fanfare.stats`, measured only while a stream subscribes to it. Each stream counts its sent events and
 * bytes anyway, so the statistics cost nothing per delivery.
 */
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks'
import { memoryUsage } from 'node:process'
import type { LogStats } from '../log/log.js'
import { monotonicNow, wallNow } from '../model/clock.js'
import type { Connections } from './connections.js'
import type { NewEvent } from '../model/event.js'
import { payloadBytes } from '../model/payload.js'
import { arrayOf, isNumber, isString, optional, shapeOf, type Check } from '../model/shape.js'
import { Latency, type LatencyQuantiles } from './latency.js'
import type { Stream } from './stream.js'

/** The topic of the statistics. */
export const STATS_TOPIC = 'fanfare.stats'

/** The time between two events, in milliseconds. */
const INTERVAL = 1_000
/** The time between two samples of the event loop's delay, in milliseconds: Node's default. */
const DELAY_RESOLUTION = 10

/** The maximum number of topics with rates in an event. */
const BUSIEST = 50
/** The maximum number of topics that are counted in a second. */
const COUNTED_TOPICS = 10_000

/** What has been sent to streams. */
export interface Sent {
  events: number
  bytes: number
}

/** Whether a value of another process counts what has been sent. */
export const isSent = shapeOf<Sent>({ events: isNumber, bytes: isNumber })

/** From publishers (`in`) and to streams (`out`). */
interface Traffic {
  in: number
  out: number
}

/** One second of a hub. Times are in milliseconds, sizes in bytes, traffic is per second. */
export interface Stats {
  time: string
  /** Open streams. */
  connections: number
  /** Topics with retained events. */
  topics: number
  events: Traffic
  /** The topics with the most published events, the busiest first. */
  busiest: { topic: string; rate: number }[]
  /** Payloads that came in, and all bytes that went out. */
  bytes: Traffic
  /** From the publish to the sockets of all live streams. */
  latency: LatencyQuantiles
  /** Streams that are not live: they read the log, or wait for their sockets. */
  lagging: number
  /** Resident memory of the process. */
  memory: number
  log: { events: number; bytes: number }
  /** The delay of the event loop at the 99th percentile. */
  eventLoopDelay: number
  /** The number of processes, if there are several. */
  nodes?: number
}

const isTraffic = shapeOf<Traffic>({ in: isNumber, out: isNumber })

/** Whether a value of another process is one second of a hub. */
export const isStats = shapeOf<Stats>({
  time: isString,
  connections: isNumber,
  topics: isNumber,
  events: isTraffic,
  busiest: arrayOf(shapeOf({ topic: isString, rate: isNumber })),
  bytes: isTraffic,
  latency: shapeOf({ p50: isNumber, p99: isNumber }),
  lagging: isNumber,
  memory: isNumber,
  log: shapeOf({ events: isNumber, bytes: isNumber }),
  eventLoopDelay: isNumber,
  nodes: optional(isNumber),
}) as Check<Stats>

/** The parts of the hub that a meter works with. */
export interface StatsSource {
  connections: Connections
  log: () => LogStats
  /** Called with the latency meter when measuring starts, and with `undefined` when it stops. */
  measure: (latency: Latency | undefined) => void
  /** Publishes an event of the statistics. */
  tell: (stats: Stats) => void
}

interface Counts {
  /** The time of the count, on the monotonic clock. */
  at: number
  events: Traffic
  bytes: Traffic
}

/** The state of a measurement. */
interface Measuring {
  timer: NodeJS.Timeout
  latency: Latency
  delay: IntervalHistogram
  before: Counts
  /** The number of events since `before`, by topic. */
  byTopic: Map<string, number>
}

export class StatsMeter {
  readonly #source: StatsSource
  readonly #in = { events: 0, bytes: 0 }
  /** The sums over ended streams. */
  readonly #ended: Sent = { events: 0, bytes: 0 }
  #measuring: Measuring | undefined

  constructor(source: StatsSource) {
    this.#source = source
  }

  get isMeasuring(): boolean {
    return this.#measuring !== undefined
  }

  /** Starts or stops measuring. */
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

  /** Counts a published event. Call it only while `isMeasuring`. */
  published(event: NewEvent): void {
    this.#in.events++
    this.#in.bytes += payloadBytes(event)
    const { topic } = event
    const { byTopic } = this.#measuring!
    const count = byTopic.get(topic)
    if (count !== undefined || byTopic.size < COUNTED_TOPICS) byTopic.set(topic, (count ?? 0) + 1)
  }

  /** Returns what has been sent to streams since the start, whether it is measured or not. */
  sent(): Sent {
    const sum = { ...this.#ended }
    for (const { sentEvents, sentBytes } of this.#source.connections.values()) {
      sum.events += sentEvents
      sum.bytes += sentBytes
    }
    return sum
  }

  /** Keeps the counts of an ended stream. */
  ended({ sentEvents, sentBytes }: Stream): void {
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
      lagging: connections.lagging,
      memory: memoryUsage.rss(),
      log: { events, bytes },
      eventLoopDelay: lateness(delay),
    })
    delay.reset()
    byTopic.clear()
  }

  #count(): Counts {
    const out = this.sent()
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

/**
 * Returns the delay of the event loop. Node records the whole time between two samples, in nanoseconds, so the
 * resolution is subtracted.
 */
function lateness(delay: IntervalHistogram): number {
  return delay.count === 0
    ? 0
    : Math.max(0, Math.round(delay.percentile(99) / 1_000 - DELAY_RESOLUTION * 1_000) / 1_000)
}
