import t from 'tap'
import { addStats } from '../../../src/hub/cluster/add-stats.js'
import type { KnownNode } from '../../../src/hub/cluster/node-reports.js'
import type { Stats } from '../../../src/hub/stats.js'

const own: Stats = {
  time: '2026-01-01T00:00:00.000Z',
  connections: 2,
  topics: 3,
  events: { in: 10, out: 20.1 },
  busiest: [{ topic: 'a', rate: 10 }],
  bytes: { in: 100, out: 200 },
  latency: { p50: 2, p99: 9 },
  lagging: 1,
  memory: 1_000,
  log: { events: 5, bytes: 50 },
  eventLoopDelay: 4,
}

/** Returns what is known of another process. */
function known(
  connections: number,
  { stats, isReachable = true }: { stats?: Stats; isReachable?: boolean },
): KnownNode {
  const load = stats && {
    time: 0,
    topics: 0,
    lagging: 0,
    published: 0,
    sent: { events: 0, bytes: 0 },
    memory: 0,
    stats,
  }
  return {
    node: 'b',
    isReachable,
    report: { node: 'b', version: '', since: 0, connections, epoch: '', head: 0, load },
  }
}

await t.test('what each process does alone is added, and what all of them see counts once', (t) => {
  const other: Stats = { ...own, connections: 5, events: { in: 10, out: 0.2 }, latency: { p50: 1, p99: 30 } }
  t.strictSame(addStats(own, [known(5, { stats: other })]), {
    ...own,
    nodes: 2,
    connections: 7,
    events: { in: 10, out: 20.3 },
    bytes: { in: 100, out: 400 },
    latency: { p50: 2, p99: 30 },
    lagging: 2,
    memory: 2_000,
  })
  t.equal(own.events.out, 20.1, 'the statistics of the process itself stay as they are')
  t.end()
})

await t.test('of a process without statistics only the streams count', (t) => {
  t.strictSame(addStats(own, [known(4, {})]), { ...own, nodes: 2, connections: 6 })
  t.strictSame(addStats(own, [known(4, { stats: own, isReachable: false })]), { ...own, nodes: 2, connections: 6 })
  t.end()
})
