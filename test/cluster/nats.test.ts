import t from 'tap'
import { NatsCluster } from '../../src/cluster/nats.js'
import { testCluster } from '../contract/cluster.js'
import { poll } from '../helper/deadline.js'
import { skipNats, startNats } from '../helper/nats.js'

await t.test('on a NATS server', { skip: skipNats }, async (t) => {
  const server = await startNats(t)

  await testCluster(
    t,
    'the cluster on NATS',
    async (count) => {
      const options = server.options()
      const nodes: NatsCluster[] = []
      for (let n = 0; n < count; n++) nodes.push(await NatsCluster.open(options))
      return nodes
    },
    3,
  )

  await t.test('nodes with another prefix belong to another cluster', async (t) => {
    const nodes = await Promise.all([NatsCluster.open(server.options()), NatsCluster.open(server.options())])
    t.teardown(() => Promise.all(nodes.map((node) => node.close())))
    for (const { node, nodes: list } of nodes.map((cluster) => ({ node: cluster.node, nodes: cluster.nodes() })))
      t.strictSame(list, [node])
  })
})

await t.test('a cluster outlives its NATS server', { skip: skipNats }, async (t) => {
  const server = await startNats(t)
  const options = server.options({ timeout: 500 })
  const [a, b] = [await NatsCluster.open(options), await NatsCluster.open(options)]
  t.teardown(() => Promise.all([a.close(), b.close()]))
  for (const node of [a, b]) node.receive({ broadcast: () => undefined, request: () => 'here' })
  t.equal(await a.request(b.node, { kind: 'ask' }), 'here')
  await server.kill()
  await t.rejects(a.request(b.node, { kind: 'ask' }), { code: 'node-gone' })
  a.broadcast({ kind: 'news' })
  t.strictSame(await a.survey({ kind: 'ask' }), [])
  await server.start()
  await poll(
    async () => ((await a.survey({ kind: 'ask' })).length === 1 ? true : undefined),
    () => 'the node does not answer after the server has come back',
  )
})
