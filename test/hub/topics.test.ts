import t from 'tap'
import { openHubs } from './cluster/open-hubs.js'
import { until } from './fake-sink.js'
import { openHub } from './open-hub.js'

await t.test('a topic has the cursors of its oldest and newest retained event', async (t) => {
  const { hub } = await openHub(t, {}, { events: 2 })
  for (const topic of ['a', 'b', 'a', 'a']) await hub.publish(topic, { text: 'x' })
  t.match(await hub.topic('a'), { topic: 'a', events: 2, firstId: hub.cursor(3), lastId: hub.cursor(4) })
  t.equal(await hub.purge('a'), 2)
  t.strictSame(
    await hub.topic('a'),
    { topic: 'a', subscribers: 0, events: 0, bytes: 0, firstId: null, lastId: null },
    'without events it still exists',
  )
})

await t.test('the list has accepted topics with events, by name, page by page', async (t) => {
  const { hub } = await openHub(t)
  for (const topic of ['a.2', 'b', 'a.1', 'a.3', 'a.4']) await hub.publish(topic, { text: 'x' })
  const page = async (after: string) => {
    const { topics, more } = await hub.topics.list({ prefix: 'a.', after, limit: 2 }, (topic) => topic !== 'a.2')
    return { topics: topics.map(({ topic }) => topic), more }
  }
  t.strictSame(await page(''), { topics: ['a.1', 'a.3'], more: true })
  t.strictSame(await page('a.3'), { topics: ['a.4'], more: false })
})

await t.test('a purge refuses the topics of the hub itself, and names that no topic has', async (t) => {
  const { hub } = await openHub(t)
  await t.rejects(hub.purge('fanfare.stats'), { code: 'reserved-topic' })
  await t.rejects(hub.purge('a.*'), { code: 'invalid-topic' })
})

await t.test('the subscribers of all processes count, without a process that does not answer', async (t) => {
  const {
    hubs: [here, there],
  } = await openHubs(t, 2)
  await here!.subscribe(['a'])
  await there!.subscribe(['*'])
  await there!.subscribe(['a', 'b'])
  await here!.hub.publish('a', { text: 'x' })
  await until(() => there!.hub.head === 1)
  t.match(await here!.hub.topic('a'), { subscribers: 3 })
  t.match(await here!.hub.topic('b'), { subscribers: 2, events: 0 })
  t.match(await here!.hub.topics.list({ limit: 9 }, () => true), { topics: [{ topic: 'a', subscribers: 3 }] })
  there!.node.freeze()
  t.match(await here!.hub.topic('a'), { subscribers: 1 })
})
