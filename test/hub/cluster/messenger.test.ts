import t from 'tap'
import { Messenger } from '../../../src/hub/cluster/messenger.js'
import { isAnything, isString, shapeOf } from '../../../src/model/shape.js'
import { LocalCluster } from '../../helper/local-cluster.js'
import { until } from '../fake-sink.js'

/** The messengers of several nodes; each answers `name` with its name. */
function open(count: number) {
  const cluster = new LocalCluster({ timeout: 5_000 })
  const nodes = Array.from({ length: count }, () => cluster.start())
  const messengers = nodes.map((node) => {
    const messenger = new Messenger(node)
    messenger.onRequest('name', shapeOf({}), () => node.node)
    messenger.onRequest('refuse', shapeOf({}), () => {
      throw new Error('refused')
    })
    messenger.start()
    return messenger
  })
  return { cluster, nodes, messengers }
}

await t.test('a single process has nobody to ask', async (t) => {
  const {
    messengers: [alone],
  } = open(1)
  t.ok(alone!.isAlone)
  t.strictSame(alone!.others(), [])
  for (const answers of [alone!.gather({ kind: 'name' }, isAnything), alone!.askAll({ kind: 'name' }, isAnything)])
    t.strictSame(await answers, [])
})

await t.test('a broadcast reaches the handler of its kind at every other node', async (t) => {
  const { messengers } = open(3)
  const heard: unknown[] = []
  for (const messenger of messengers)
    messenger.onBroadcast(
      'note',
      shapeOf({ text: isString }),
      ({ text }, from) => void heard.push([messenger.node, text, from]),
    )
  messengers[0]!.broadcast({ kind: 'unknown kind' })
  messengers[0]!.broadcast({ kind: 'note', text: 'hello' })
  await until(() => heard.length === 2)
  t.strictSame(heard.sort(), [
    ['node-1', 'hello', 'node-0'],
    ['node-2', 'hello', 'node-0'],
  ])
})

await t.test('a request has the answer of its node, and none of a node that has ended', async (t) => {
  const {
    nodes,
    messengers: [here],
  } = open(2)
  t.strictSame(await here!.ask('node-1', { kind: 'name' }, isAnything), { value: 'node-1' })
  await t.rejects(here!.ask('node-1', { kind: 'refuse' }, isAnything), { code: 'unavailable' })
  await t.rejects(here!.ask('node-1', { kind: 'unknown kind' }, isAnything), { code: 'unavailable' })
  nodes[1]!.die()
  t.equal(await here!.ask('node-1', { kind: 'name' }, isAnything), undefined)
  nodes[0]!.die()
  await t.rejects(here!.ask('node-1', { kind: 'name' }, isAnything), { code: 'hub-closed' })
})

await t.test('all nodes have to answer, or those that do are enough', async (t) => {
  const {
    nodes,
    messengers: [here],
  } = open(3)
  const both = [
    { node: 'node-1', value: 'node-1' },
    { node: 'node-2', value: 'node-2' },
  ]
  const sorted = async (answers: Promise<{ node: string }[]>) =>
    (await answers).sort((a, b) => (a.node < b.node ? -1 : 1))
  t.strictSame(await sorted(here!.askAll({ kind: 'name' }, isAnything)), both)
  t.strictSame(await sorted(here!.gather({ kind: 'name' }, isAnything)), both)
  nodes[1]!.freeze()
  const begin = performance.now()
  t.strictSame(await here!.gather({ kind: 'name' }, isAnything), [both[1]])
  t.ok(performance.now() - begin < 4_000, 'it does not wait for the time-out of the cluster')
  nodes[1]!.thaw()
  await t.rejects(here!.askAll({ kind: 'refuse' }, isAnything), {
    code: 'unavailable',
    message: /node-1, node-2 .* do not answer/,
  })
})
