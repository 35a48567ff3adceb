import t from 'tap'
import { AllHistory } from '../../../src/hub/cluster/all-history.js'
import { Messenger } from '../../../src/hub/cluster/messenger.js'
import { PERIOD, StatsHistory } from '../../../src/hub/stats-history.js'
import type { Stats } from '../../../src/hub/stats.js'
import { LocalCluster } from '../../helper/local-cluster.js'

const measured: Stats = {
  time: '',
  connections: 1,
  topics: 1,
  events: { in: 5, out: 5 },
  busiest: [],
  bytes: { in: 0, out: 0 },
  latency: { p50: 0, p99: 0 },
  lagging: 0,
  memory: 1_000,
  log: { events: 1, bytes: 1 },
  eventLoopDelay: 0,
}

await t.test('the history is that of all processes, from the first measurement to the last', async (t) => {
  const cluster = new LocalCluster()
  const processes = [cluster.start(), cluster.start()].map((node) => {
    const messenger = new Messenger(node)
    const own = new StatsHistory()
    const all = new AllHistory(messenger, own)
    messenger.start()
    return { node, own, all }
  })
  const [a, b] = processes as [(typeof processes)[0], (typeof processes)[0]]
  t.match(await a.all.read(3_600_000), { periods: [], nodes: 2 })

  const period = Math.floor(Date.now() / PERIOD) - 10
  const measure = (history: StatsHistory, ago: number) => history.add(measured, 1, (period - ago) * PERIOD + PERIOD / 2)
  for (const ago of [3, 0]) measure(a.own, ago)
  for (const ago of [2, 0]) measure(b.own, ago)
  for (const { all } of processes) {
    const { first, periods, nodes } = await all.read(3_600_000)
    t.equal(first, period - 3)
    t.equal(nodes, 2)
    t.strictSame(
      periods.map((one) => one && [one.memory, one.eventsIn, one.eventsOut]),
      [[1_000, 5, 5], [1_000, 5, 5], null, [2_000, 5, 10]],
    )
  }
  measure(a.own, -1)
  t.equal((await a.all.read(3_600_000)).periods.length, 4, 'without the period that one of them has yet to measure')
  b.node.die()
  t.match(await a.all.read(3_600_000), {
    periods: [{ memory: 1_000 }, null, null, { memory: 1_000 }, { memory: 1_000 }],
    nodes: 1,
  })
})
