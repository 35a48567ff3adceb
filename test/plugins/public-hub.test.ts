/** The public API of the hub for applications. */
import Fastify from 'fastify'
import t from 'tap'
import fanfare from '../../src/index.js'
import { NATIVE_SOCKETS } from '../helper/native-sockets.js'
import { openLive } from '../helper/stream.js'
import { anyTopic, SECRET, token } from '../helper/token.js'
import { listen, until } from '../routes/open-app.js'

await t.test('app.hub has the members in the docs, and no others', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fanfare, { prefix: '/rt', log: 'memory', jwtSecret: SECRET, nativeSockets: NATIVE_SOCKETS })
  const members = Object.keys(app.hub).sort()
  t.strictSame(members, [
    'close',
    'connections',
    'drain',
    'events',
    'halt',
    'issueToken',
    'metrics',
    'present',
    'publish',
    'publishAll',
    'purge',
    'stats',
    'streams',
    'topic',
  ])
  t.strictSame(Object.keys(app.hub.connections).sort(), ['end', 'get', 'list', 'size'])
})

await t.test('topics, present subjects, purging, and closing', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fanfare, { prefix: '/rt', log: 'memory', jwtSecret: SECRET, nativeSockets: NATIVE_SOCKETS })
  const url = await listen(app)
  const [first, second] = await app.hub.publishAll([
    { topic: 'a', data: 1 },
    { topic: 'a', data: 2 },
  ])
  const stream = await openLive(t, `${url}/rt/topics/a/events`, {
    token: token({ sub: 'u1', subscribe: ['a'], info: { name: 'Ann' } }),
  })
  t.equal(app.hub.connections.size, 1)
  t.match(await app.hub.present('a'), [{ subject: 'u1', connections: 1, since: /^\d{4}-.*Z$/, info: { name: 'Ann' } }])
  t.strictSame(await app.hub.present('b'), [])
  await t.rejects(app.hub.present('a..b'), { code: 'invalid-topic' })
  t.match(await app.hub.topic('a'), { topic: 'a', subscribers: 1, events: 2, firstId: first!.id, lastId: second!.id })
  t.match(await app.hub.topic('b'), { topic: 'b', subscribers: 0, events: 0, firstId: null, lastId: null })
  await t.rejects(app.hub.topic('a..b'), { code: 'invalid-topic' })
  t.equal(await app.hub.purge('a'), 2)
  await t.rejects(app.hub.purge('fanfare.stats'), { code: 'reserved-topic' })
  t.match(app.hub.stats(), { events: 0 })

  const read: unknown[] = []
  const reading = (async () => {
    for await (const event of app.hub.events('a', { from: first!.id! }))
      read.push(event.gap ? event.gap.reason : event.data)
  })()
  await app.hub.publish('a', { data: 3 })
  await until(() => read.length === 2)
  const closing = app.hub.close()
  t.equal(app.hub.close(), closing, 'a second close returns the same promise')
  await Promise.all([closing, reading])
  t.strictSame(read, ['expired', 3])
  await stream.closed
  await t.rejects(app.hub.publish('a', { data: 4 }), { code: 'hub-closed' })
  t.equal(
    (
      await app.inject({
        method: 'POST',
        url: '/rt/topics/a/events',
        headers: { authorization: `Bearer ${anyTopic()}` },
        payload: { data: 4 },
      })
    ).statusCode,
    503,
  )
})
