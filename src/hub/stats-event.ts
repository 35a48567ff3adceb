/** The statistics of the hub, as an event of `fanfare.stats`. */
import { arrayOf, isNumber, isString, optional, shapeOf } from '../model/shape.js'
import type { LatencyQuantiles } from './latency.js'

/** From publishers (`in`) and to streams (`out`). */
export interface Traffic {
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
})
