import t, { type Test } from 'tap'
import type { Cluster } from '../../../src/cluster/cluster.js'
import { mergePresent } from '../../../src/hub/presence.js'
import { MemoryLog } from '../../../src/log/memory/memory-log.js'
import { localCluster } from '../../helper/local-cluster.js'
import { share } from '../../helper/shared-log.js'
import { settle, until } from '../fake-sink.js'
import { openHubOn } from '../open-hub.js'

/** Two hubs on one log, as in two processes. */
async function openTwo(t: Test) {
  const log = new MemoryLog({ events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 1e6 })
  t.teardown(() => log.close())
  const [a, b] = localCluster(2) as [Cluster, Cluster]
  return {
    log,
    here: await openHubOn(t, share(log), { cluster: a }),
    there: await openHubOn(t, share(log), { cluster: b }),
    clusters: [a, b] as const,
  }
}

await t.test('events of one hub reach the streams of the other', async (t) => {
  const { here, there } = await openTwo(t)
  const subscribers = [await here.subscribe(['a']), await there.subscribe(['*'])] as const
  for (const hub of [here.hub, there.hub]) {
    await hub.publish('a', { text: 'stored' })
    await hub.publish('a', { text: 'ephemeral', ephemeral: true })
    await hub.publishAll([
      { topic: 'a', data: { stored: true } },
      { topic: 'a', type: 'x', data: { stored: false }, ephemeral: true },
    ])
    await hub.publish('other.topic', { text: 'for nobody', ephemeral: true })
  }
  await until(() => subscribers.every(({ data }) => data.length === 8))
  const events = ['ephemeral', 'ephemeral', 'stored', 'stored', '{"stored":false}', '{"stored":false}']
  for (const { data } of subscribers)
    t.strictSame([...data].sort(), [...events, '{"stored":true}', '{"stored":true}'].sort())
  t.equal(here.hub.head, 4)
  t.equal(there.hub.head, 4, 'an ephemeral event is not stored')
  await settle()
  t.strictSame(
    subscribers.map(({ data }) => data.length),
    [8, 8],
    'each event comes once',
  )
})

await t.test('a closed hub sends and receives nothing', async (t) => {
  const { here, there } = await openTwo(t)
  const subscriber = await here.subscribe(['a'])
  await there.hub.publish('a', { text: '1', ephemeral: true })
  await there.hub.close()
  await here.hub.publish('a', { text: '2', ephemeral: true })
  await here.hub.publish('a', { text: '3' })
  await until(() => subscriber.data.length === 3)
  t.strictSame([...subscriber.data].sort(), ['1', '2', '3'])
  t.strictSame(await here.hub.present('a'), [])
})

await t.test('presence is the union over all hubs', async (t) => {
  const { here, there } = await openTwo(t)
  await here.subscribe(['room'], { subject: 'ann' })
  await there.subscribe(['room'], { subject: 'bob' })
  const second = await there.subscribe(['room', 'other'], { subject: 'ann' })
  for (const { hub } of [here, there]) {
    t.match(
      (await hub.present('room')).sort((a, b) => (a.subject < b.subject ? -1 : 1)),
      [
        { subject: 'ann', connections: 2 },
        { subject: 'bob', connections: 1 },
      ],
    )
    t.match(await hub.present('other'), [{ subject: 'ann', connections: 1 }])
    t.strictSame(await hub.present('nobody'), [])
  }
  second.close()
  t.match(await here.hub.present('room'), [
    { subject: 'ann', connections: 1 },
    { subject: 'bob', connections: 1 },
  ])
})

await t.test('a subject of two hubs has its earliest join and its latest info', (t) => {
  const merged = mergePresent([
    [
      { subject: 'ann', connections: 1, since: 10, info: 'new' },
      { subject: 'bob', connections: 2, since: 20, info: 1 },
    ],
    [
      { subject: 'zoe', connections: 0, since: 1, info: undefined },
      { subject: 'ann', connections: 2, since: 5, info: 'old' },
    ],
  ])
  t.strictSame(merged, [
    { subject: 'zoe', connections: 0, since: 1, info: undefined },
    { subject: 'ann', connections: 3, since: 5, info: 'new' },
    { subject: 'bob', connections: 2, since: 20, info: 1 },
  ])
  t.end()
})

await t.test('a message of another version is ignored, or refused', async (t) => {
  const { here, clusters } = await openTwo(t)
  const subscriber = await here.subscribe(['a'])
  clusters[1].broadcast({ kind: 'of another version' })
  await t.rejects(clusters[1].request(clusters[0].node, { kind: 'of another version' }), { code: 'refused' })
  await here.hub.publish('a', { text: 'still here' })
  await until(() => subscriber.data.length === 1)
})
