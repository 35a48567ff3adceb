import { readFileSync } from 'node:fs'
import t from 'tap'
import { isProblem, openApp } from './open-app.js'
import { hubOf } from '../../src/plugins/hub.js'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

await t.test('the status has the numbers of streams and topics, the uptime, and the version', async (t) => {
  const { app, send, subscribe } = await openApp(t)
  const first = await send({ method: 'GET', url: '/status', headers: { authorization: null } })
  t.equal(first.statusCode, 200)
  t.match(first.headers['content-type'], /^application\/json/)
  const { uptime, ...rest } = first.json<{ uptime: number }>()
  t.strictSame(rest, { status: 'ok', clients: 0, topics: 0, version })
  t.ok(uptime >= 0 && uptime < 60, 'the uptime is in seconds')
  const sinks = [await subscribe('a'), await subscribe('**')]
  await hubOf(app).publishAll([
    { topic: 'a', data: 1 },
    { topic: 'b', data: 1 },
    { topic: 'b', data: 1 },
  ])
  t.match((await send({ method: 'GET', url: '/status' })).json(), { clients: 2, topics: 2 })
  for (const sink of sinks) sink.close()
  const last = (await send({ method: 'GET', url: '/status' })).json<{ uptime: number }>()
  t.match(last, { clients: 0, topics: 2 })
  t.ok(last.uptime >= uptime)
})

await t.test('a running hub is live and ready, without a token', async (t) => {
  const { send } = await openApp(t)
  for (const url of ['/health/live', '/health/ready']) {
    const response = await send({ method: 'GET', url, headers: { authorization: null } })
    t.equal(response.statusCode, 200, url)
    t.strictSame(response.json(), { status: 'ok' })
  }
  t.equal((await send({ method: 'HEAD', url: '/health/ready', headers: { authorization: null } })).statusCode, 200)
})

await t.test('a stopping hub is live, but not ready', async (t) => {
  const { app, send } = await openApp(t)
  const drained = hubOf(app).drain(0)
  const response = await send({ method: 'GET', url: '/health/ready' })
  isProblem(t, response, 503, 'draining')
  t.match(response.headers['retry-after'], /^\d+$/)
  t.equal((await send({ method: 'GET', url: '/health/live' })).statusCode, 200)
  await drained
})

await t.test('a hub that cannot store events is live, but not ready', async (t) => {
  const { app, send } = await openApp(t)
  t.intercept(hubOf(app), 'failure', { get: () => new Error('the disk is full') })
  isProblem(t, await send({ method: 'GET', url: '/health/ready' }), 503, 'log-unavailable')
  t.equal((await send({ method: 'GET', url: '/health/live' })).statusCode, 200)
})
