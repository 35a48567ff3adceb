/** The contract of clusters: tests the promises of `src/cluster/cluster.ts`. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Cluster, ClusterMessage } from '../../src/cluster/cluster.js'

/** Opens the nodes of one cluster. The suite closes them. */
export type OpenCluster = (count: number) => Promise<Cluster[]>

/** The time limit for a condition, in milliseconds. */
const DEADLINE = 10_000

/**
 * Runs the suite.
 * @param largest the maximum number of nodes
 */
export async function testCluster(t: Test, name: string, open: OpenCluster, largest: number): Promise<void> {
  interface Node {
    cluster: Cluster
    /** The received broadcasts: the sender and the message. */
    broadcasts: [from: string, message: ClusterMessage][]
    /** The kinds of the received requests and surveys. */
    asked: string[]
  }

  /**
   * Starts nodes that answer a request with their name and the message. They refuse `fail`, and never answer `never`.
   */
  async function start(t: Test, count: number): Promise<Node[]> {
    const clusters = await open(count)
    t.teardown(() => Promise.all(clusters.map((cluster) => cluster.close())))
    return clusters.map((cluster) => {
      const broadcasts: Node['broadcasts'] = []
      const asked: string[] = []
      cluster.receive({
        broadcast: (message, from) => void broadcasts.push([from, message as ClusterMessage]),
        request: async (message, from) => {
          const { kind } = message as ClusterMessage
          asked.push(kind)
          if (kind === 'fail') throw new Error('not today')
          if (kind === 'never') await new Promise(() => undefined)
          await delay(1)
          return { by: cluster.node, from, message }
        },
      })
      return { cluster, broadcasts, asked }
    })
  }

  await t.test(name, async (t) => {
    await t.test('nodes() lists each node', async (t) => {
      const nodes = await start(t, largest)
      const names = nodes.map(({ cluster }) => cluster.node).sort()
      t.equal(new Set(names).size, largest)
      for (const { cluster } of nodes) t.strictSame(cluster.nodes(), names)
      for (const name of names) t.match(name, /^[\w-]+$/, 'the ids of connections contain it')
    })

    await t.test('a node can send a request to itself', async (t) => {
      const [{ cluster }] = (await start(t, 1)) as [Node]
      const { node } = cluster
      const message = { kind: 'ask', list: [1, { x: null }], left: undefined }
      t.strictSame(await cluster.request(node, message), {
        by: node,
        from: node,
        message: { kind: 'ask', list: [1, { x: null }] },
      })
      await t.rejects(cluster.request(node, { kind: 'fail' }), { code: 'refused', message: /not today/ })
    })

    await t.test('a request to an unknown node is refused', async (t) => {
      const [{ cluster }] = (await start(t, 1)) as [Node]
      await t.rejects(cluster.request('nobody', { kind: 'ask' }), { code: 'node-gone' })
    })

    await t.test('a request waits until the node receives', async (t) => {
      const [cluster] = (await open(1)) as [Cluster]
      t.teardown(() => cluster.close())
      const answer = cluster.request(cluster.node, { kind: 'ask' })
      await delay(1) // the request is on its way before the node receives
      cluster.receive({ broadcast: () => undefined, request: () => 'late' })
      t.equal(await answer, 'late')
    })

    await t.test('a node that has left refuses calls', async (t) => {
      const [{ cluster, broadcasts }] = (await start(t, 1)) as [Node]
      const waiting = t.rejects(cluster.request(cluster.node, { kind: 'never' }), { code: 'closed' })
      await cluster.close()
      await waiting
      cluster.broadcast({ kind: 'news' })
      await t.rejects(cluster.request(cluster.node, { kind: 'ask' }), { code: 'closed' })
      await t.rejects(cluster.survey({ kind: 'ask' }), { code: 'closed' })
      await t.resolves(cluster.close(), 'closing twice is allowed')
      t.strictSame(broadcasts, [])
    })

    await t.test('a broadcast and a survey reach every other node, and not the sender', async (t) => {
      const nodes = await start(t, largest)
      const [{ cluster, broadcasts }, ...others] = nodes as [Node, ...Node[]]
      const numbers = Array.from({ length: 100 }, (_, n) => n)
      for (const n of numbers) cluster.broadcast({ kind: 'news', n })
      await until(() => others.every(({ broadcasts }) => broadcasts.length === numbers.length))
      for (const { broadcasts } of others)
        t.strictSame(
          broadcasts,
          numbers.map((n) => [cluster.node, { kind: 'news', n }]),
        )
      const message = { kind: 'ask' }
      t.strictSame(
        await cluster.survey(message),
        others
          .map(({ cluster: { node } }) => ({ node, value: { by: node, from: cluster.node, message } }))
          .sort((a, b) => (a.node < b.node ? -1 : 1)),
      )
      t.strictSame(await cluster.survey({ kind: 'fail' }), [], 'a node that refuses is left out')
      t.strictSame(broadcasts, [])
    })

    if (largest < 2) return

    await t.test('a node answers the request of another one', async (t) => {
      const [a, b] = (await start(t, 2)) as [Node, Node]
      const message = { kind: 'ask', text: 'zwölf\n€ 𝄞' }
      t.strictSame(await a.cluster.request(b.cluster.node, message), {
        by: b.cluster.node,
        from: a.cluster.node,
        message,
      })
      await t.rejects(a.cluster.request(b.cluster.node, { kind: 'fail' }), { code: 'refused', message: /not today/ })
    })

    await t.test('a message is a copy', async (t) => {
      const [a, b] = (await start(t, 2)) as [Node, Node]
      const message = { kind: 'news', list: [1] }
      a.cluster.broadcast(message)
      message.list.push(2)
      await until(() => b.broadcasts.length > 0)
      t.strictSame(b.broadcasts, [[a.cluster.node, { kind: 'news', list: [1] }]])
    })

    await t.test('a node that leaves answers no request, and is left out of surveys', async (t) => {
      const [a, b] = (await start(t, 2)) as [Node, Node]
      const waiting = t.rejects(a.cluster.request(b.cluster.node, { kind: 'never' }), { code: 'node-gone' })
      const survey = a.cluster.survey({ kind: 'never' })
      await until(() => b.asked.length === 2)
      await b.cluster.close()
      await waiting
      t.strictSame(await survey, [])
      await until(() => a.cluster.nodes().length === 1)
      await t.rejects(a.cluster.request(b.cluster.node, { kind: 'ask' }), { code: 'node-gone' })
      t.strictSame(await a.cluster.survey({ kind: 'ask' }), [])
    })
  })
}

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + DEADLINE
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${DEADLINE} ms`)
    await delay(2)
  }
}
