import { createHmac } from 'node:crypto'
import { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.js'
import { hubOf } from '../../src/plugins/hub.js'
import { openStream } from '../helper/stream.js'
import { SECRET, sign, token, type Grants } from '../helper/token.js'
import { isProblem, listen, openApp, type OpenApp } from './open-app.js'

const ORIGIN = 'https://app.example.com'
const STREAM = { accept: 'text/event-stream', authorization: null }

interface Issued {
  ticket: string
  expiresAt: string
}

async function issue(
  t: Test,
  { send }: OpenApp,
  grants: Grants = { sub: 'u1', subscribe: ['a'], publish: ['a'] },
): Promise<Issued> {
  const response = await send({
    method: 'POST',
    url: '/tickets',
    headers: { authorization: `Bearer ${token(grants)}` },
  })
  t.equal(response.statusCode, 201)
  t.equal(response.headers['cache-control'], 'no-store')
  return response.json<Issued>()
}

/** Requests the head of a stream. */
function open({ send }: OpenApp, ticket: string, topic = 'a') {
  return send({ method: 'HEAD', url: `/topics/${topic}/events?ticket=${ticket}`, headers: STREAM })
}

/** Returns the refusal of a stream, with GET, whose answer has a body. */
function refused({ send }: OpenApp, ticket: string, topic = 'a') {
  return send({ method: 'GET', url: `/topics/${topic}/events?ticket=${ticket}`, headers: STREAM })
}

function decode(jwt: string): [header: Record<string, unknown>, claims: Record<string, unknown>] {
  return jwt
    .split('.')
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>) as [
    Record<string, unknown>,
    Record<string, unknown>,
  ]
}

await t.test('a ticket opens the streams that its token would open', async (t) => {
  const hub = await openApp(t)
  const { ticket, expiresAt } = await issue(t, hub, { sub: 'u1', subscribe: ['a', 'users.{sub}.*'] })
  t.match(expiresAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  const ttl = Date.parse(expiresAt) - Date.now()
  t.ok(ttl > 50_000 && ttl <= 60_000)
  for (const topic of ['a', 'users.u1.x', 'users.u1.*'])
    t.equal((await open(hub, ticket, topic)).statusCode, 200, topic)
  for (const topic of ['b', 'users.u2.x', 'users.*.x'])
    t.match(
      isProblem(t, await refused(hub, ticket, topic), 403, 'not-granted', topic).detail,
      /the ticket was found in the query/i,
    )
  const url = await listen(hub.app)
  const [one, several] = [
    await openStream(t, `${url}/topics/a/events?ticket=${ticket}`),
    await openStream(t, `${url}/events?topic=a&topic=users.u1.*&ticket=${ticket}`),
  ]
  await Promise.all([one.told('open'), several.told('open')])
  await hubOf(hub.app).publish('a', { data: 1 })
  await Promise.all([one.count(1), several.count(1)])
  t.match([...hubOf(hub.app).connections.values()][0]!.info.principal, {
    subject: 'u1',
    grants: { subscribe: ['a', 'users.u1.*'] },
  })
})

await t.test('a ticket has the grants of its token', async (t) => {
  const hub = await openApp(t, { anonymousSubscribe: ['public'] })
  const exp = Math.floor(Date.now() / 1_000) + 3_600
  const { ticket } = await issue(t, hub, {
    sub: 'u1',
    jti: 'j1',
    exp,
    admin: true,
    info: { name: 'x' },
    subscribe: ['a'],
    publish: ['b'],
    presence: ['c'],
  })
  await (await openStream(t, `${await listen(hub.app)}/topics/a/events?ticket=${ticket}`)).told('open')
  t.match(
    [...hubOf(hub.app).connections.values()][0]!.info.principal,
    {
      anonymous: false,
      subject: 'u1',
      tokenId: 'j1',
      expiresAt: exp * 1_000,
      admin: true,
      info: { name: 'x' },
      grants: { subscribe: ['a', 'public'], publish: [], presence: ['c'] },
    },
    'except the publish grants',
  )
  t.equal(
    (await hub.send({ method: 'HEAD', url: `/topics/fanfare.stats/events?ticket=${ticket}`, headers: STREAM }))
      .statusCode,
    200,
  )
})

await t.test('a token with too many grants is refused, and every issued ticket can be used', async (t) => {
  const hub = await openApp(t)
  const tokenWith = (count: number) =>
    token({ sub: 'u'.repeat(64), subscribe: Array.from({ length: count }, (_, n) => `{sub}.${n}`) })
  const refused = await hub.send({
    method: 'POST',
    url: '/tickets',
    headers: { authorization: `Bearer ${tokenWith(200)}` },
  })
  t.match(isProblem(t, refused, 400, 'invalid-request').detail, /fewer grants/)
  const { ticket } = (
    await hub.send({ method: 'POST', url: '/tickets', headers: { authorization: `Bearer ${tokenWith(100)}` } })
  ).json<{ ticket: string }>()
  t.ok(ticket.length > 8_000)
  await (
    await openStream(t, `${await listen(hub.app)}/topics/${'u'.repeat(64)}.1/events?ticket=${ticket}`)
  ).told('open')
})

await t.test('a ticket only opens streams', async (t) => {
  const hub = await openApp(t, { corsOrigins: [ORIGIN] })
  const { ticket } = await issue(t, hub, { sub: 'u1', admin: true, subscribe: ['**'], publish: ['**'] })
  for (const [method, url, payload] of [
    ['POST', '/topics/a/events', { data: 1 }],
    ['POST', '/events', { events: [{ topic: 'a', data: 1 }] }],
    ['POST', '/sessions', undefined],
    ['POST', '/tickets', undefined],
    ['POST', '/revocations', { subject: 'u2', until: '2999-01-01T00:00:00Z' }],
    ['GET', '/revocations', undefined],
    ['DELETE', '/revocations/x', undefined],
  ] as const) {
    const { detail } = isProblem(
      t,
      await hub.send({
        method,
        url: `${url}?ticket=${ticket}`,
        headers: { authorization: null, origin: ORIGIN },
        ...(payload ? { payload } : {}),
      }),
      401,
      'invalid-ticket',
      `${method} ${url}`,
    )
    t.match(detail, /only opens event streams/)
  }
  for (const method of ['GET', 'HEAD'] as const) {
    t.equal(
      (
        await hub.send({
          method,
          url: `/topics/a/events?ticket=${ticket}`,
          headers: { authorization: null, accept: 'application/json' },
        })
      ).statusCode,
      401,
      `${method}: history`,
    )
  }
  t.equal(hubOf(hub.app).stats().events, 0)
})

await t.test('a ticket expires after its time, and with its token', async (t) => {
  const hub = await openApp(t, { ticketTtl: 100 })
  const { ticket, expiresAt } = await issue(t, hub)
  t.equal((await open(hub, ticket)).statusCode, 200)
  await delay(Date.parse(expiresAt) - Date.now() + 5)
  t.match(isProblem(t, await refused(hub, ticket), 401, 'invalid-ticket').detail, /expired/)
  const lasting = await openApp(t, { ticketTtl: 3_600_000 })
  const exp = (Date.now() + 200) / 1_000
  const short = await issue(t, lasting, { subscribe: ['a'], exp })
  t.equal(Date.parse(short.expiresAt), Math.floor(exp * 1_000), 'the token expires first')
  const stream = await openStream(t, `${await listen(lasting.app)}/topics/a/events?ticket=${short.ticket}`)
  t.equal((await stream.told('close')).reason, 'expired', 'the stream ends with the token')
  isProblem(t, await refused(lasting, short.ticket), 401, 'invalid-ticket')
})

await t.test('a stream continues when its ticket expires', async (t) => {
  const hub = await openApp(t, { ticketTtl: 2_000 })
  const { ticket, expiresAt } = await issue(t, hub)
  const stream = await openStream(t, `${await listen(hub.app)}/topics/a/events?ticket=${ticket}`)
  await stream.told('open')
  await delay(Date.parse(expiresAt) - Date.now() + 600) // the hub has twice looked for streams to end
  await hubOf(hub.app).publish('a', { data: 1 })
  await stream.count(1)
  t.notOk(stream.isClosed)
})

await t.test('a ticket is not accepted as a token, nor a token as a ticket', async (t) => {
  const hub = await openApp(t)
  const { ticket } = await issue(t, hub)
  isProblem(
    t,
    await hub.send({
      method: 'GET',
      url: '/topics/a/events',
      headers: { authorization: `Bearer ${ticket}`, accept: 'application/json' },
    }),
    401,
    'invalid-ticket',
    'as Bearer',
  )
  isProblem(
    t,
    await hub.send({
      method: 'GET',
      url: '/topics/a/events',
      headers: { authorization: null, cookie: `fanfare_token=${ticket}`, accept: 'application/json' },
    }),
    401,
    'invalid-ticket',
    'as a cookie',
  )
  isProblem(t, await refused(hub, token({ subscribe: ['a'] })), 401, 'invalid-ticket', 'a token as ticket')
  for (const text of ['', 'x', 'a.b.c', `${ticket}x`, ticket.slice(0, -1), `${ticket}&ticket=${ticket}`])
    isProblem(t, await refused(hub, text), 401, 'invalid-ticket', text.slice(0, 10))
})

await t.test('a ticket of another hub is refused, even if both hubs have the same key', async (t) => {
  const hub = await openApp(t)
  const { ticket } = await issue(t, hub)
  await hubOf(hub.app).records.put('ticket-key', SECRET)
  const same = await openApp(t)
  await hubOf(same.app).records.put('ticket-key', SECRET)
  const issued = await issue(t, same)
  t.equal((await open(same, issued.ticket)).statusCode, 200)
  isProblem(t, await refused(same, ticket), 401, 'invalid-ticket', 'a ticket of another hub')
  const [header, claims] = decode(issued.ticket)
  t.equal(
    issued.ticket.split('.')[2],
    createHmac('sha256', SECRET).update(issued.ticket.split('.').slice(0, 2).join('.')).digest('base64url'),
  )
  isProblem(
    t,
    await same.send({
      method: 'GET',
      url: '/topics/a/events',
      headers: { authorization: `Bearer ${issued.ticket}`, accept: 'application/json' },
    }),
    401,
    'invalid-ticket',
  )
  for (const typ of ['FANFARE-TICKET+JWT', 'application/fanfare-ticket+jwt']) {
    isProblem(
      t,
      await same.send({
        method: 'GET',
        url: '/topics/a/events',
        headers: {
          authorization: `Bearer ${sign({ ...header, typ }, { ...claims, fanfare: { subscribe: ['a'] } }, SECRET)}`,
          accept: 'application/json',
        },
      }),
      401,
      'invalid-ticket',
      typ,
    )
  }
  isProblem(t, await refused(same, token({ subscribe: ['a'], exp: 4_000_000_000 })), 401, 'invalid-ticket')
  for (const [what, forged] of [
    ['another typ', sign({ ...header, typ: 'JWT' }, claims, SECRET)],
    ['no typ', sign({ alg: 'HS256' }, claims, SECRET)],
    ['another aud', sign(header, { ...claims, aud: 'x' }, SECRET)],
    ['no aud', sign(header, { ...claims, aud: undefined }, SECRET)],
    ['no end', sign(header, { ...claims, until: undefined }, SECRET)],
    ['no token', sign(header, { ...claims, token: undefined }, SECRET)],
    ['another algorithm', sign({ ...header, alg: 'HS512' }, claims, SECRET)],
    ['no signature', sign({ ...header, alg: 'none' }, claims, '')],
  ] as const)
    isProblem(t, await refused(same, forged), 401, 'invalid-ticket', what)
})

await t.test('a valid token gets a ticket', async (t) => {
  const hub = await openApp(t, { corsOrigins: [ORIGIN], queryToken: true, anonymousSubscribe: ['a'] })
  const ask = (headers: Record<string, string | null>, url = '/tickets') =>
    hub.send({ method: 'POST', url, headers: { authorization: null, ...headers } })
  const cookie = `fanfare_token=${token({ subscribe: ['a'] })}`
  t.equal((await ask({ cookie, origin: ORIGIN })).statusCode, 201, 'by cookie, from an allowed origin')
  isProblem(t, await ask({ cookie }), 403, 'foreign-origin')
  isProblem(t, await ask({ cookie, origin: 'https://evil.example' }), 403, 'foreign-origin')
  isProblem(t, await ask({}), 401, 'missing-token')
  isProblem(t, await ask({}, `/tickets?token=${token({})}`), 401, 'missing-token')
  isProblem(t, await ask({ authorization: `Bearer ${token({ exp: 1 })}` }), 401, 'expired-token')
})

await t.test('the key is created once and stored', async (t) => {
  const folder = t.testdir({})
  const first = await openApp(t, { log: `file:${folder}` })
  t.equal(await hubOf(first.app).records.get('ticket-key'), undefined, 'not before the first ticket')
  const tickets = await Promise.all([issue(t, first), issue(t, first), issue(t, first)])
  for (const { ticket } of tickets) t.equal((await open(first, ticket)).statusCode, 200)
  await first.app.close()
  const second = await openApp(t, { log: `file:${folder}` })
  for (const { ticket } of tickets) t.equal((await open(second, ticket)).statusCode, 200, 'a ticket survives a restart')
})

await t.test('tickets appear neither in the log nor in answers', async (t) => {
  const lines: string[] = []
  const logger = pino(
    { level: 'trace' },
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(chunk.toString())
        done()
      },
    }),
  )
  const app = await buildApp({ log: 'memory', jwtSecret: SECRET }, logger)
  t.teardown(() => app.close())
  const { ticket } = (
    await app.inject({
      method: 'POST',
      url: '/tickets',
      headers: { authorization: `Bearer ${token({ subscribe: ['a'] })}` },
    })
  ).json<Issued>()
  for (const path of [
    '/topics/a/events',
    '/topics/b/events',
    '/topics/a..b/events',
    '/nothing',
    '/topics/%zz/events',
    '/status',
  ]) {
    for (const text of [ticket, `${ticket}x`]) {
      for (const accept of ['application/json', 'text/event-stream', 'text/html']) {
        // a stream, which does not end
        if (path === '/topics/a/events' && accept === 'text/event-stream' && text === ticket) continue
        t.notOk((await app.inject({ url: `${path}?ticket=${text}`, headers: { accept } })).body.includes(ticket))
      }
    }
  }
  t.ok(lines.length > 10, 'the log has lines')
  for (const part of ticket.split('.').slice(1)) t.notOk(lines.join('').includes(part))
})

await t.test('a ticket of a token with the maximum number of grants opens anonymous topics too', async (t) => {
  const hub = await openApp(t, { anonymousSubscribe: ['news', 'more.*'] })
  const { ticket } = await issue(t, hub, { sub: 'u1', subscribe: Array.from({ length: 1_000 }, (_, n) => `t${n}`) })
  for (const topic of ['t999', 'news', 'more.a']) t.equal((await open(hub, ticket, topic)).statusCode, 200, topic)
  t.equal((await open(hub, ticket, 't1000')).statusCode, 403)
})
