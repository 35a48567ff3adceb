/** The cluster of processes that share a folder: the contract, with one log for each node. */
import t from 'tap'
import { FolderCluster } from '../../src/cluster/folder.js'
import { FileLog } from '../../src/log/lmdb/lmdb-log.js'
import { testCluster } from '../contract/cluster.js'
import { poll } from '../helper/deadline.js'

const RETENTION = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 }
// the logs and their sockets do not keep the process alive
const alive = setInterval(() => undefined, 60_000)
t.teardown(() => clearInterval(alive))

const root = t.testdir({})
let count = 0

/** Opens the nodes one after the other. The first one leads. */
async function open(nodes: number): Promise<FolderCluster[]> {
  const folder = `${root}/${++count}`
  const logs: FileLog[] = []
  for (let n = 0; n < nodes; n++)
    logs.push(
      await FileLog.open({ folder, durability: 'commit', retention: RETENTION, shared: true, sameProcess: true }),
    )
  await poll(
    async () => (logs.every(({ peers }) => peers.nodes.length === nodes) ? true : undefined),
    () => 'the nodes do not know each other',
  )
  return logs.map((log) => {
    const cluster = new FolderCluster(log.peers, 1_000)
    const close = cluster.close.bind(cluster)
    cluster.close = async () => {
      await close()
      await log.close()
    }
    return cluster
  })
}

await testCluster(t, 'the processes of a folder', open, 5)
