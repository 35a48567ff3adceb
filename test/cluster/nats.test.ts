import { connect, headers } from '@nats-io/transport-node'
import t from 'tap'
import { NatsCluster } from '../../src/cluster/nats.js'
import { testCluster } from '../contract/cluster.js'
import { poll } from '../helper/deadline.js'
import { skipNats, startNats } from '../helper/nats.js'
import { startTcpProxy } from '../helper/tcp-proxy.js'

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

await t.test(
  'a node whose connection breaks while it joins has joined once it is back',
  { skip: skipNats },
  async (t) => {
    const server = await startNats(t)
    const options = server.options()
    const other = await NatsCluster.open(options)
    let cuts = 0
    const proxy = await startTcpProxy(t, server.port, (bytes) => {
      if (cuts > 0 || !bytes.includes(`HPUB ${options.prefix}.c.who`)) return
      cuts++
      proxy.cut()
      setImmediate(() => proxy.mend())
    })
    const joined = await NatsCluster.open({ ...options, servers: [`127.0.0.1:${proxy.port}`] })
    t.teardown(() => Promise.all([other.close(), joined.close()]))
    t.equal(cuts, 1, 'the connection breaks while the node announces itself')
    await poll(
      async () => (other.nodes().includes(joined.node) && joined.nodes().includes(other.node) ? true : undefined),
      () => 'the nodes do not know each other',
    )
  },
)

await t.test('messages may be larger than the server allows', { skip: skipNats }, async (t) => {
  const server = await startNats(t, 'max_payload: 10000')
  const options = server.options()
  const [a, b] = [await NatsCluster.open(options), await NatsCluster.open(options)]
  t.teardown(() => Promise.all([a.close(), b.close()]))
  const news: unknown[] = []
  a.receive({ broadcast: () => undefined, request: () => 'here' })
  b.receive({ broadcast: ({ text }) => void news.push(text), request: ({ text }) => text as unknown })
  const texts = ['é', 'é'.repeat(40_000), 'short', 'x'.repeat(30_000), 'é'.repeat(2_952)]
  const answers = texts.map((text) => {
    a.broadcast({ kind: 'news', text })
    return a.request(b.node, { kind: 'ask', text })
  })
  t.strictSame(await Promise.all(answers), texts)
  t.strictSame(news, texts)
})

await t.test('a node without a sign of life for 9 s has gone', { skip: skipNats, timeout: 30_000 }, async (t) => {
  const server = await startNats(t)
  const options = server.options()
  const [a, b] = [await NatsCluster.open(options), await NatsCluster.open(options)]
  t.teardown(() => Promise.all([a.close(), b.close()]))
  const message = headers()
  message.set('Fanfare-Node', 'silent') // a node that sends one sign of life
  const connection = await connect({ servers: server.address })
  connection.publish(`${options.prefix}.c.here`, '', { headers: message })
  await connection.flush()
  await connection.close()
  const lists = (node: NatsCluster) => node.nodes().includes('silent')
  await poll(
    async () => (lists(a) && lists(b) ? true : undefined),
    () => 'the node is not listed',
  )
  const since = performance.now()
  await poll(
    async () => (lists(a) || lists(b) ? undefined : true),
    () => 'the node stays in the list',
  )
  const time = performance.now() - since
  t.ok(time > 6_000 && time < 9_500, `it has gone after ${time} ms`)
  t.ok(a.nodes().includes(b.node), 'the others stay')
})
