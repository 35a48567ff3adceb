import t from 'tap'
import { SingleCluster } from '../../src/cluster/single.js'
import { testCluster } from '../contract/cluster.js'
import { localCluster } from '../helper/local-cluster.js'

await testCluster(t, 'the cluster of one process', async () => [new SingleCluster()], 1)
await testCluster(t, 'the cluster that tests use', async (count) => localCluster(count), 3)
