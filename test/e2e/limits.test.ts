/** Clients with excessive or unusual requests cost little and leave nothing behind. */
import net from 'node:net'
import t from 'tap'
import { history, post, publish, request } from '../helper/http.js'
import { checkProblem } from '../helper/problem.js'
import { startHub } from '../helper/process.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { anyTopic, token } from '../helper/token.js'
import { listen, openApp, until } from '../routes/open-app.js'
import { hubOf } from '../../src/plugins/hub.js'

const bearer = anyTopic()
const admin = token({ sub: 'root', admin: true, subscribe: ['**'], publish: ['**'] })

await t.test('2,000 streams that are opened and dropped leave nothing behind', async (t) => {
  const { app } = await openApp(t)
  const port = Number(new URL(await listen(app)).port)
  const drop = (n: number) =>
    new Promise<void>((resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1')
      socket.once('error', reject)
      socket.once('data', () => (n % 2 === 0 ? socket.destroy() : socket.resetAndDestroy()))
      socket.once('close', () => resolve())
      socket.write(`GET /topics/t.${n % 300}.*/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${bearer}\r\n\r\n`)
    })
  for (let n = 0; n < 2_000; n += 50) await Promise.all(Array.from({ length: 50 }, (_, m) => drop(n + m)))
  const hub = hubOf(app)
  await until(() => hub.connections.size === 0)
  t.equal(hub.connections.fromAddress('127.0.0.1'), 0)
  for (let n = 0; n < 300; n++) t.equal((await hub.topic(`t.${n}.x`)).subscribers, 0)
  const sockets = await new Promise<number>((resolve, reject) =>
    app.server.getConnections((err, count) => (err ? reject(err) : resolve(count))),
  )
  t.equal(sockets, 0)
})

await t.test('a flood of query parameters is handled like any query, or refused', async (t) => {
  const hub = await startHub(t)
  const get = (query: string, accept: string) =>
    request(`${hub.url}/events?${query}`, { headers: { accept, authorization: `Bearer ${bearer}` } })
  for (const accept of ['application/json', 'text/event-stream']) {
    const repeat = (count: number, parameter: (n: number) => string) =>
      Array.from({ length: count }, (_, n) => parameter(n)).join('&')
    checkProblem(
      t,
      await get(
        repeat(1_000, (n) => `topic=t${n}`),
        accept,
      ),
      400,
      `1,000 topics as ${accept}`,
    )
    checkProblem(t, await get(`topic=a&${repeat(1_000, (n) => `type=t${n}`)}`, accept), 400, `1,000 types as ${accept}`)
    checkProblem(t, await get(`topic=a&${repeat(1_000, () => 'limit=1')}`, accept), 400, `1,000 limits as ${accept}`)
    checkProblem(t, await get('topic[]=a&topic[__proto__]=a', accept), 400, `invalid topic parameters as ${accept}`)
  }
  const flood = await get(
    `topic=a&${Array.from({ length: 1_000 }, (_, n) => `x${n}=y`).join('&')}&__proto__=x&constructor=y`,
    'application/json',
  )
  t.equal(flood.status, 400, 'unknown parameters')
  checkProblem(
    t,
    await request(`${hub.url}/topics?${'limit=1&'.repeat(1_000)}`, { headers: { authorization: `Bearer ${admin}` } }),
    400,
    'the list of topics',
  )
})

await t.test('members that try to pollute prototypes are data', async (t) => {
  const { app, send } = await openApp(t)
  const data = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":2}},"a":{"__proto__":null}}'
  const bodies: [url: string, type: string, body: string][] = [
    ['/topics/odd/events', 'application/json', `{"data":${data}}`],
    ['/events', 'application/json', `{"events":[{"topic":"odd","data":${data}}]}`],
    ['/events', 'application/x-ndjson', `{"topic":"odd","data":${data}}\n`],
  ]
  for (const [url, type, payload] of bodies)
    t.ok(
      (await send({ method: 'POST', url, payload, headers: { 'content-type': type } })).statusCode < 300,
      `${type} ${url}`,
    )
  for (const payload of [
    '{"data":1,"__proto__":{"type":"x"}}',
    '{"data":1,"constructor":{"prototype":{"type":"x"}}}',
    '{"__proto__":{"data":1}}',
  ]) {
    t.equal(
      (
        await send({
          method: 'POST',
          url: '/topics/odd/events',
          payload,
          headers: { 'content-type': 'application/json' },
        })
      ).statusCode,
      400,
      payload,
    )
  }
  const { body } = await send({
    method: 'GET',
    url: '/topics/odd/events?last=10',
    headers: { accept: 'application/json' },
  })
  t.equal(body.split(data).length, 1 + bodies.length, 'history returns the published data unchanged')
  t.equal(({} as Record<string, unknown>)['polluted'], undefined)
  t.equal(hubOf(app).head, bodies.length)
})

await t.test('a topic may have the name of an object member', async (t) => {
  const hub = await startHub(t, { FANFARE_LOG: `file:${t.testdir({})}/log` })
  for (const topic of ['__proto__', 'constructor', 'hasOwnProperty', 'toString.valueOf']) {
    const live = await openLive(t, streamUrl(hub, [topic]), { token: bearer })
    const { id } = await publish(hub, topic, { data: topic, id: '__proto__', type: 'constructor' }, bearer)
    t.match((await post(`${hub.url}/topics/${topic}/events`, { data: 1, id: '__proto__' }, bearer)).body, {
      duplicate: true,
      id,
    })
    await live.count(1)
    t.match(live.events, [{ id, data: JSON.stringify(topic) }])
    t.match((await history(hub, topic, 'last=5', bearer)).body.events, [
      { id, topic, type: 'constructor', data: topic },
    ])
    const get = (path: string) =>
      request<Record<string, unknown>>(`${hub.url}${path}`, { headers: { authorization: `Bearer ${admin}` } })
    t.match((await get(`/topics?prefix=${topic}`)).body, { topics: [{ topic, events: 1, firstId: id }], cursor: topic })
    t.match((await get(`/topics/${topic}`)).body, { topic, events: 1, subscribers: 1, lastId: id })
    const purged = await request(`${hub.url}/topics/${topic}/events`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${admin}` },
    })
    t.strictSame(purged.body, { purged: 1 })
    t.match((await get(`/topics/${topic}`)).body, { topic, events: 0, subscribers: 1, lastId: null })
    t.match((await history(hub, topic, `after=${id.replace(/\d+$/, '0')}`, bearer)).body, {
      events: [],
      gap: { reason: 'expired' },
    })
  }
})
