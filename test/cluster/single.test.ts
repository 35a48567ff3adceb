import t from 'tap'
import { SingleCluster } from '../../src/cluster/single.js'
import { testCluster } from '../contract/cluster.js'
import { LocalCluster, localCluster } from '../helper/local-cluster.js'

await testCluster(t, 'the cluster of one process', async () => [new SingleCluster()], 1)
await testCluster(t, 'the cluster that tests use', async (count) => localCluster(count), 3)
await testCluster(
  t,
  'the cluster that tests use, with delays',
  async (count) => {
    const cluster = new LocalCluster({ seed: 1 })
    return Array.from({ length: count }, () => cluster.start())
  },
  3,
)
