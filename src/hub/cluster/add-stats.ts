/** Adds up the statistics of all processes. */
import type { Stats } from '../stats.js'
import type { KnownNode } from './node-reports.js'

/**
 * Returns the statistics of all processes. Each process counts every published event, so the incoming events and bytes
 * of one process are those of all. The slowest process decides latency and delay. A process that does not answer counts
 * with its last number of streams.
 */
export function addStats(own: Stats, others: readonly KnownNode[]): Stats {
  const sum: Stats = { ...own, events: { ...own.events }, bytes: { ...own.bytes }, latency: { ...own.latency } }
  sum.nodes = others.length + 1
  for (const { report, isReachable } of others) {
    sum.connections += report?.connections ?? 0
    const stats = isReachable ? report?.load?.stats : undefined
    if (!stats) continue
    sum.events.out = rounded(sum.events.out + stats.events.out)
    sum.bytes.out = rounded(sum.bytes.out + stats.bytes.out)
    sum.latency.p50 = Math.max(sum.latency.p50, stats.latency.p50)
    sum.latency.p99 = Math.max(sum.latency.p99, stats.latency.p99)
    sum.lagging += stats.lagging
    sum.memory += stats.memory
    sum.eventLoopDelay = Math.max(sum.eventLoopDelay, stats.eventLoopDelay)
  }
  return sum
}

/** Rates have one decimal, as in the statistics of one process. */
function rounded(rate: number): number {
  return Math.round(rate * 10) / 10
}
