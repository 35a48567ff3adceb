import t, { type Test } from 'tap'
import type { Cluster } from '../../src/cluster/cluster.js'
import { Messenger } from '../../src/hub/cluster/messenger.js'
import { Connections } from '../../src/hub/connections.js'
import type { StreamInfo } from '../../src/hub/stream-info.js'
import type { Stream } from '../../src/hub/stream.js'
import { HubFigures } from '../../src/hub/figures.js'
import { SystemTopics, type SystemTopicsSource } from '../../src/hub/system-topics.js'
import { localCluster } from '../helper/local-cluster.js'
import { settle, until } from './fake-sink.js'

const CONNECTIONS = 'fanfare.connections'
const STATS = 'fanfare.stats'
const stream = {} as unknown as Stream

const info: StreamInfo = {
  id: 'c',
  subject: 'ann',
  address: '127.0.0.1',
  topics: ['a'],
  since: '2026-01-01T00:00:00.000Z',
  cursor: 'abcdefgh-1',
  expiresAt: null,
  sent: { events: 0, bytes: 0 },
  lag: 0,
}

/** The system topics of one process. */
function open(t: Test, cluster: Cluster) {
  const state = {
    /** The system topics that streams of this process have. */
    watched: [] as string[],
    /** Whether another process watches the streams of this one. */
    isFollowed: false,
    told: [] as [string, unknown][],
    described: 0,
    /** How often the other processes were told of a change. */
    announced: 0,
  }
  const messenger = new Messenger(cluster)
  const topics = new SystemTopics({
    figures: new HubFigures(),
    connections: new Connections(),
    fanout: {
      isWatched: (topic: string) => state.watched.includes(topic),
      tell: (topic: string, data: unknown) => state.told.push([topic, data]),
    },
    log: { view: { stats: () => ({ topics: 0, events: 0, bytes: 0 }) } },
    describe: () => {
      state.described++
      return info
    },
    messenger,
    peers: { some: () => state.isFollowed, changed: () => state.announced++ },
    reports: { others: () => Promise.resolve([]) },
  } as unknown as SystemTopicsSource)
  messenger.start()
  t.teardown(() => topics.stop())
  return { topics, state }
}

await t.test('a stream is described only for observers', (t) => {
  const [cluster] = localCluster(1) as [Cluster]
  const { topics, state } = open(t, cluster)
  topics.changed(stream, 'opened')
  t.equal(state.described, 0)
  state.watched = [CONNECTIONS]
  topics.changed(stream, 'changed')
  state.watched = []
  topics.changed(stream, 'closed', 'gone')
  t.equal(state.described, 1)
  t.strictSame(state.told, [[CONNECTIONS, { change: 'changed', reason: undefined, ...info }]])
  t.end()
})

await t.test('the other processes are told when the first observer comes and the last one goes', (t) => {
  const [cluster] = localCluster(1) as [Cluster]
  const { topics, state } = open(t, cluster)
  const after = (watched: string[]) => {
    state.watched = watched
    topics.changed(stream, 'changed')
    return [topics.watchesConnections, state.announced]
  }
  t.strictSame(after([]), [false, 0])
  t.strictSame(after([CONNECTIONS]), [true, 1])
  t.strictSame(after([CONNECTIONS]), [true, 1])
  t.strictSame(after([]), [false, 2])
  t.end()
})

await t.test('a change reaches the observers of another process, if it has any', async (t) => {
  const [a, b] = localCluster(2) as [Cluster, Cluster]
  const here = open(t, a)
  const there = open(t, b)
  here.state.isFollowed = true
  here.topics.changed(stream, 'opened')
  await settle()
  t.strictSame(there.state.told, [], 'no observer yet')
  there.state.watched = [CONNECTIONS]
  there.topics.changed(stream, 'opened')
  there.state.told.length = 0
  here.topics.changed(stream, 'closed', 'expired')
  await until(() => there.state.told.length > 0)
  t.strictSame(there.state.told, [[CONNECTIONS, { change: 'closed', reason: 'expired', ...info }]])
  t.strictSame(here.state.told, [], 'this process has no observer')
})

await t.test('statistics are measured while a stream or another process wants them', async (t) => {
  const [cluster] = localCluster(1) as [Cluster]
  const { topics, state } = open(t, cluster)
  t.match(topics.time(), { since: Number, isSampled: true }, 'one publish of eight is measured')
  t.equal(topics.time(), undefined)
  t.equal(topics.takeStats(), undefined, 'nothing was measured yet')
  const timed = Array.from({ length: 8 }, () => topics.time()?.isSampled)
  t.strictSame(timed, [false, false, false, false, false, false, true, false], 'each is timed, one counts in metrics')
  let stats: unknown
  await until(() => (stats = topics.takeStats()) !== undefined)
  t.match(stats, { connections: 0, topics: 0, events: { in: 0 } })
  t.strictSame(state.told, [], 'no stream of this process has the topic')
  state.watched = [STATS]
  topics.changed(stream, 'opened')
  await until(() => state.told.length > 0)
  t.match(state.told, [[STATS, { connections: 0 }]])
})
