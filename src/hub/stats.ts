/**
 * The statistics of the hub. They are measured all the time, for the history of the last hour: once in five seconds,
 * and once a second while a stream subscribes to `fanfare.stats`. Each stream counts its sent events and bytes anyway,
 * so the statistics cost nothing per delivery.
 */
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks'
import type { LogStats } from '../log/log.js'
import { monotonicNow, wallNow } from '../model/clock.js'
import type { Connections } from './connections.js'
import type { NewEvent } from '../model/event.js'
import type { HubFigures, Sent } from './figures.js'
import { payloadBytes } from '../model/payload.js'
import { isNumber, shapeOf } from '../model/shape.js'
import { Latency, type Timing } from './latency.js'
import { residentMemory } from './resident-memory.js'
import type { Stats, Traffic } from './stats-event.js'
import { PERIOD, StatsHistory } from './stats-history.js'

export type { Sent } from './figures.js'
export type { Stats } from './stats-event.js'

/** The topic of the statistics. */
export const STATS_TOPIC = 'fanfare.stats'

/** The time between two events of `fanfare.stats`, in milliseconds. */
const INTERVAL = 1_000
/** The time between two samples of the event loop's delay, in milliseconds: Node's default. */
const DELAY_RESOLUTION = 10

/**
 * The metrics sample one publish of so many. Without a subscriber of the statistics, no other one is timed: a reading
 * of the clock has a cost.
 */
const SAMPLED = 8
/** The maximum number of topics with rates in an event. */
const BUSIEST = 50
/** The maximum number of topics that are counted in a second. */
const COUNTED_TOPICS = 10_000

/** Whether a value of another process counts what has been sent. */
export const isSent = shapeOf<Sent>({ events: isNumber, bytes: isNumber })

/** The parts of the hub that a meter works with. */
export interface StatsSource {
  figures: HubFigures
  connections: Connections
  log: () => LogStats
  /** Called with the latency meter when measuring starts, and with `undefined` when it stops. */
  measure: (latency: Latency | undefined) => void
  /** Publishes an event of the statistics. Called only while the statistics have a subscriber. */
  tell: (stats: Stats) => void
}

interface Counts {
  /** The time of the count, on the monotonic clock. */
  at: number
  events: Traffic
  bytes: Traffic
}

export class StatsMeter {
  /** The statistics of the last hour. */
  readonly history = new StatsHistory()
  readonly #source: StatsSource
  readonly #latency: Latency
  readonly #delay: IntervalHistogram
  #isListenedTo = false
  #timer: NodeJS.Timeout | undefined
  /** The counts at the last measurement. */
  #before: Counts
  /** The number of events since `before`, by topic; only while the statistics have a subscriber. */
  readonly #byTopic = new Map<string, number>()
  #publishes = 0

  /** Starts to measure. */
  constructor(source: StatsSource) {
    this.#source = source
    this.#latency = new Latency(source.figures.latency)
    this.#delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION })
    this.#delay.enable()
    this.#before = this.#count()
    source.measure(this.#latency)
    this.#schedule()
  }

  /** Publishes the statistics once a second, or stops that. */
  listen(isListenedTo: boolean): void {
    if (isListenedTo === this.#isListenedTo || this.#timer === undefined) return
    this.#take() // the subscriber gets the statistics from now on
    this.#isListenedTo = isListenedTo
    this.#schedule()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#delay.disable()
    this.#source.measure(undefined)
  }

  /** Begins to time a publish; `undefined`: this one is not timed. */
  time(): Timing | undefined {
    const isSampled = this.#publishes++ % SAMPLED === 0
    return isSampled || this.#isListenedTo ? { since: monotonicNow(), isSampled } : undefined
  }

  /** Counts a published event. */
  published(event: NewEvent): void {
    const { dispatched } = this.#source.figures
    dispatched.events++
    dispatched.bytes += payloadBytes(event)
    if (!this.#isListenedTo) return
    const { topic } = event
    const count = this.#byTopic.get(topic)
    if (count !== undefined || this.#byTopic.size < COUNTED_TOPICS) this.#byTopic.set(topic, (count ?? 0) + 1)
  }

  /** Returns what has been sent to subscribers since the start: to streams, and in answers to requests. */
  sent(): Sent {
    const { connections, figures } = this.#source
    const { events, bytes } = connections.sent()
    return { events: events + figures.answered.events, bytes: bytes + figures.answered.bytes }
  }

  /** Sets the timer of the next measurement. Without a subscriber it is at the end of a period of the history. */
  #schedule(): void {
    clearTimeout(this.#timer)
    const wait = this.#isListenedTo ? INTERVAL : PERIOD - (wallNow() % PERIOD)
    this.#timer = setTimeout(() => {
      this.#schedule()
      const stats = this.#take()
      if (this.#isListenedTo) this.#source.tell(stats)
    }, wait).unref()
  }

  /** Measures the time since the last measurement, and keeps the statistics. */
  #take(): Stats {
    const before = this.#before
    const now = (this.#before = this.#count())
    const seconds = (now.at - before.at) / 1_000
    const rate = (name: 'events' | 'bytes'): Traffic => ({
      in: perSecond(now[name].in - before[name].in, seconds),
      out: perSecond(now[name].out - before[name].out, seconds),
    })
    const { topics, events, bytes } = this.#source.log()
    const { connections } = this.#source
    const stats = {
      time: new Date(wallNow()).toISOString(),
      connections: connections.size,
      topics,
      events: rate('events'),
      busiest: busiestOf(this.#byTopic, seconds),
      bytes: rate('bytes'),
      latency: this.#latency.take(),
      lagging: connections.lagging,
      memory: residentMemory(),
      log: { events, bytes },
      eventLoopDelay: lateness(this.#delay),
    }
    this.#delay.reset()
    this.#byTopic.clear()
    this.history.add(stats, seconds)
    return stats
  }

  #count(): Counts {
    const { dispatched } = this.#source.figures
    const out = this.sent()
    return {
      at: monotonicNow(),
      events: { in: dispatched.events, out: out.events },
      bytes: { in: dispatched.bytes, out: out.bytes },
    }
  }
}

function busiestOf(byTopic: Map<string, number>, seconds: number): Stats['busiest'] {
  const most = [...byTopic].sort(([, a], [, b]) => b - a).slice(0, BUSIEST)
  return most.map(([topic, count]) => ({ topic, rate: perSecond(count, seconds) }))
}

function perSecond(count: number, seconds: number): number {
  return seconds > 0 ? Math.round((count / seconds) * 10) / 10 : 0
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
