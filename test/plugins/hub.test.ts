import Fastify from 'fastify'
import t from 'tap'
import { hubOf } from '../../src/plugins/hub.js'
import hubPlugin from '../../src/plugins/hub.js'
import { nativeSockets } from '../../src/server/native.js'
import { resolveSettings } from '../../src/settings.js'
import { openStream } from '../helper/stream.js'
import { anyTopic, SECRET } from '../helper/token.js'
import { listen, openApp, until } from '../routes/open-app.js'

await t.test('an application has one hub, which is closed with it', async (t) => {
  const app = Fastify()
  await app.register(hubPlugin, {
    ...resolveSettings({ log: 'memory', jwtSecret: SECRET }),
    native: nativeSockets('auto').paths,
  })
  const hub = hubOf(app)
  t.match(await hub.publish('a', { data: 1 }), { duplicate: false })
  t.equal(hub.draining, false)
  await app.close()
  t.equal(hub.draining, true)
})

await t.test('the hub has the settings', async (t) => {
  const { app } = await openApp(t, { retainEvents: 2, maxEventSize: 100, heartbeat: 50, maxConnectionAge: 800 })
  for (let n = 0; n < 5; n++) await hubOf(app).publish('a', { data: n })
  t.equal(hubOf(app).stats().events, 2)
  await t.rejects(hubOf(app).publish('a', { text: 'x'.repeat(101) }), { code: 'event-too-large' })
  const stream = await openStream(t, `${await listen(app)}/topics/a/events`, { token: anyTopic() })
  await stream.until(() => stream.heartbeats > 0)
  t.equal(stream.lastId, hubOf(app).cursor(5))
  await stream.told('close')
  await stream.closed
})

await t.test('the application closes with many open streams, each of which gets a closing block', async (t) => {
  const { app } = await openApp(t)
  const url = await listen(app)
  const streams = await Promise.all(
    Array.from({ length: 60 }, (_, n) => openStream(t, `${url}/topics/a.${n}/events`, { token: anyTopic() })),
  )
  await Promise.all(streams.map((stream) => stream.told('open')))
  streams.slice(0, 5).forEach((stream) => stream.pause())
  const begun = performance.now()
  await app.close()
  t.ok(performance.now() - begun < 8_000)
  streams.slice(0, 5).forEach((stream) => stream.resume())
  for (const stream of streams) {
    t.match(await stream.told('close'), { reason: 'drain' })
    await stream.closed
  }
})

await t.test('a stream that opens while the application closes does not prevent closing', async (t) => {
  const { app } = await openApp(t)
  const url = await listen(app)
  const first = await openStream(t, `${url}/topics/a/events`, { token: anyTopic() })
  await first.told('open')
  const coming = { opened: 0, isOver: false }
  const opening = (async () => {
    while (!coming.isOver)
      await openStream(t, `${url}/topics/a/events`, { token: anyTopic() }).then(
        () => coming.opened++,
        () => undefined,
      )
  })()
  await until(() => coming.opened > 0)
  await app.close()
  coming.isOver = true
  await opening
  t.equal(hubOf(app).connections.size, 0)
})

await t.test('requests in flight are answered', async (t) => {
  const { app } = await openApp(t)
  const url = await listen(app)
  const answers = Array.from({ length: 20 }, (_, n) =>
    fetch(`${url}/topics/a/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${anyTopic()}` },
      body: JSON.stringify({ data: n }),
    }).then(async (response) => {
      await response.text()
      return response.status
    }),
  )
  await until(() => hubOf(app).head > 0)
  await app.close()
  const statuses = await Promise.allSettled(answers)
  for (const answer of statuses)
    if (answer.status === 'fulfilled') t.ok(answer.value === 201 || answer.value === 503, String(answer.value))
  t.equal(
    statuses.filter((answer) => answer.status === 'fulfilled' && answer.value === 201).length,
    hubOf(app).head,
    'every stored event was acknowledged',
  )
})
