import { EventEmitter, once } from 'node:events'
import t, { type Test } from 'tap'
import { openStream } from '../helper/stream.js'
import { token } from '../helper/token.js'
import { isProblem, listen, openApp, type OpenApp } from './open-app.js'
import { hubOf } from '../../src/plugins/hub.js'

const admin = `Bearer ${token({ admin: true })}`
const until = '2999-01-01T00:00:00Z'

interface ScanResult {
  id: string
  subject?: string
  jti?: string
  until: string
}

function revoke({ send }: OpenApp, payload: object | string, authorization: string | null = admin) {
  return send({
    method: 'POST',
    url: '/revocations',
    headers: { authorization, 'content-type': 'application/json' },
    payload,
  })
}

async function list({ send }: OpenApp): Promise<ScanResult[]> {
  return (await send({ method: 'GET', url: '/revocations', headers: { authorization: admin } })).json<{
    revocations: ScanResult[]
  }>().revocations
}

function ask({ send }: OpenApp, bearer: string) {
  return send({
    method: 'GET',
    url: '/topics/a/events',
    headers: { accept: 'application/json', authorization: `Bearer ${bearer}` },
  })
}

async function isRevoked(t: Test, hub: OpenApp, bearer: string, what: string): Promise<void> {
  const response = await ask(hub, bearer)
  isProblem(t, response, 401, 'revoked-token', what)
  t.match(response.headers['www-authenticate'], /error="invalid_token"/)
}

await t.test('all tokens of a subject are refused, even cached ones', async (t) => {
  const hub = await openApp(t)
  const bearer = token({ sub: 'u1', subscribe: ['a'] })
  t.equal((await ask(hub, bearer)).statusCode, 200, 'before')
  const response = await revoke(hub, { subject: 'u1', until })
  t.equal(response.statusCode, 201)
  const { id, ...rest } = response.json<ScanResult>()
  t.strictSame(rest, { subject: 'u1', until: '2999-01-01T00:00:00.000Z' })
  await isRevoked(t, hub, bearer, 'a cached token')
  await isRevoked(t, hub, token({ sub: 'u1', subscribe: ['a'], jti: 'new' }), 'a new token')
  t.equal(
    (await ask(hub, token({ sub: 'u2', subscribe: ['a'] }))).statusCode,
    200,
    'a token of another subject is accepted',
  )
  t.equal((await ask(hub, token({ subscribe: ['a'] }))).statusCode, 200, 'a token without a subject is accepted')
  t.strictSame(await list(hub), [{ id, ...rest }])
  t.equal(
    (await hub.send({ method: 'DELETE', url: `/revocations/${id}`, headers: { authorization: admin } })).statusCode,
    204,
  )
  t.equal((await ask(hub, bearer)).statusCode, 200, 'accepted after the revocation was lifted')
  t.strictSame(await list(hub), [])
  isProblem(
    t,
    await hub.send({ method: 'DELETE', url: `/revocations/${id}`, headers: { authorization: admin } }),
    404,
    'not-found',
  )
})

await t.test('a revocation can apply to one token', async (t) => {
  const hub = await openApp(t)
  t.match((await revoke(hub, { jti: 'j1', until: '2999-01-01t00:00:00+02:00' })).json<ScanResult>(), {
    jti: 'j1',
    until: '2998-12-31T22:00:00.000Z',
    subject: undefined,
  })
  await isRevoked(t, hub, token({ sub: 'u1', jti: 'j1', subscribe: ['a'] }), 'the revoked token')
  t.equal((await ask(hub, token({ sub: 'u1', jti: 'j2', subscribe: ['a'] }))).statusCode, 200)
})

await t.test('streams end at once, and tickets are refused', async (t) => {
  const hub = await openApp(t)
  const url = await listen(hub.app)
  const bearer = token({ sub: 'u1', subscribe: ['a'] })
  const { ticket } = (
    await hub.send({ method: 'POST', url: '/tickets', headers: { authorization: `Bearer ${bearer}` } })
  ).json<{ ticket: string }>()
  const streams = await Promise.all([
    openStream(t, `${url}/topics/a/events`, { token: bearer }),
    openStream(t, `${url}/topics/a/events?ticket=${ticket}`),
  ])
  const other = await openStream(t, `${url}/topics/a/events`, { token: token({ sub: 'u2', subscribe: ['a'] }) })
  await Promise.all([...streams, other].map((stream) => stream.told('open')))
  t.equal((await revoke(hub, { subject: 'u1', until })).statusCode, 201)
  t.equal(hubOf(hub.app).connections.size, 1, 'the streams have ended before the answer')
  for (const stream of streams) t.strictSame(await stream.told('close'), { reason: 'revoked' })
  await hubOf(hub.app).publish('a', { data: 1 })
  await other.count(1)
  isProblem(
    t,
    await hub.send({
      method: 'GET',
      url: `/topics/a/events?ticket=${ticket}`,
      headers: { authorization: null, accept: 'text/event-stream' },
    }),
    401,
    'revoked-token',
  )
})

await t.test('a stream that opens during the revocation is refused', async (t) => {
  const hub = await openApp(t)
  const events = new EventEmitter()
  const locate = hubOf(hub.app).streams.locate.bind(hubOf(hub.app).streams)
  hubOf(hub.app).streams.locate = async (...args) => {
    const released = once(events, 'release')
    events.emit('held')
    await released
    return locate(...args)
  }
  const held = once(events, 'held')
  const opening = hub.send({
    method: 'GET',
    url: '/topics/a/events',
    headers: { authorization: `Bearer ${token({ sub: 'u1', subscribe: ['a'] })}`, accept: 'text/event-stream' },
  })
  await held
  t.equal((await revoke(hub, { subject: 'u1', until })).statusCode, 201)
  events.emit('release')
  isProblem(t, await opening, 401, 'revoked-token')
  t.equal(hubOf(hub.app).connections.size, 0)
})

await t.test('a revocation survives a restart', async (t) => {
  const folder = t.testdir({})
  const first = await openApp(t, { log: `file:${folder}` })
  await revoke(first, { subject: 'u1', until })
  const before = await list(first)
  await first.app.close()
  const second = await openApp(t, { log: `file:${folder}` })
  await isRevoked(t, second, token({ sub: 'u1', subscribe: ['a'] }), 'after the restart')
  t.strictSame(await list(second), before)
})

await t.test('invalid revocations are refused', async (t) => {
  const hub = await openApp(t)
  for (const body of [
    {},
    { until },
    { subject: 'u1' },
    { subject: 'u1', jti: 'j1', until },
    { subject: '', until },
    { jti: '', until },
    { subject: 7, until },
    { subject: 'x'.repeat(257), until },
    { subject: 'u1', until, more: 1 },
    { subject: 'u1', until: '2000-01-01T00:00:00Z' },
    { subject: 'u1', until: 'tomorrow' },
    { subject: 'u1', until: '2999-01-01' },
    { subject: 'u1', until: '2999-01-01T00:00:00' },
    { subject: 'u1', until: '2999-02-30T00:00:00Z' },
    { subject: 'u1', until: '2016-12-31T23:59:60Z' },
    { subject: 'u1', until: 4_000_000_000 },
    { subject: 'u1', until: null },
    [],
    '"text"',
    'null',
  ])
    isProblem(t, await revoke(hub, body), 400, 'invalid-request', JSON.stringify(body).slice(0, 60))
  isProblem(
    t,
    await hub.send({ method: 'POST', url: '/revocations', headers: { authorization: admin } }),
    400,
    'invalid-request',
    'no body',
  )
  t.strictSame(await list(hub), [])
})

await t.test('only admins may revoke', async (t) => {
  const hub = await openApp(t)
  for (const [method, url] of [
    ['POST', '/revocations'],
    ['GET', '/revocations'],
    ['DELETE', '/revocations/x'],
  ] as const) {
    const send = (authorization: string | null) =>
      hub.send({
        method,
        url,
        headers: { authorization },
        ...(method === 'POST' ? { payload: { subject: 'u1', until } } : {}),
      })
    t.match(
      isProblem(
        t,
        await send(`Bearer ${token({ sub: 'u1', subscribe: ['**'], publish: ['**'] })}`),
        403,
        'not-granted',
        `${method}: a token without admin`,
      ).detail,
      /"admin": true.*header "Authorization"/,
    )
    t.match(
      isProblem(t, await send(null), 401, 'missing-token', `${method}: no token`).detail,
      /looked in .*Authorization.*ticket.*fanfare_token/,
    )
  }
  t.strictSame(await list(hub), [])
})
