/** A request is authorised when it acts, not when it begins: its body may arrive slowly. */
import { Readable } from 'node:stream'
import t from 'tap'
import { Selection } from '../../src/model/selection.js'
import { hubOf } from '../../src/plugins/hub.js'
import { token } from '../helper/token.js'
import { isProblem, openApp, until } from './open-app.js'

const grants = { publish: ['a'], subscribe: ['a'], admin: true }
const later = () => new Date(Date.now() + 3_600_000).toISOString()

const requests: [what: string, method: 'POST' | 'PATCH', url: string, type: string, body: string][] = [
  ['an event', 'POST', '/topics/a/events', 'application/json', '{"data":1}'],
  ['a text', 'POST', '/topics/a/events', 'text/plain', 'text'],
  ['a batch', 'POST', '/events', 'application/json', '{"events":[{"topic":"a","data":1}]}'],
  ['lines', 'POST', '/events', 'application/x-ndjson', '{"topic":"a","data":1}\n'],
  ['other topics of a stream', 'PATCH', '/connections/x', 'application/json', '{"subscribe":["a"]}'],
  ['a revocation', 'POST', '/revocations', 'application/json', `{"subject":"victim","until":"${later()}"}`],
]

await t.test('a token that is revoked while the body arrives is refused', async (t) => {
  for (const [what, method, url, type, text] of requests) {
    const hub = await openApp(t)
    const body = new Readable({ read: () => undefined })
    const answer = hub.send({
      method,
      url,
      payload: body,
      headers: { 'content-type': type, authorization: `Bearer ${token({ ...grants, sub: 'u1' })}` },
    })
    body.push(text.slice(0, 3))
    await until(() => body.readableLength === 0)
    const admin = `Bearer ${token({ admin: true })}`
    t.equal(
      (
        await hub.send({
          method: 'POST',
          url: '/revocations',
          payload: { subject: 'u1', until: later() },
          headers: { authorization: admin },
        })
      ).statusCode,
      201,
    )
    body.push(text.slice(3))
    body.push(null)
    isProblem(t, await answer, 401, 'revoked-token', what)
    t.equal(hubOf(hub.app).head, 0, 'no event is published')
    t.equal(
      (await hub.send({ method: 'GET', url: '/revocations', headers: { authorization: admin } })).json<{
        revocations: unknown[]
      }>().revocations.length,
      1,
      'no other subject is revoked',
    )
  }
})

await t.test('a token that expires while the body arrives is refused', async (t) => {
  const exp = Date.now() / 1_000 + 2
  await Promise.all(
    requests.map(async ([what, method, url, type, text]) => {
      const hub = await openApp(t)
      const body = new Readable({ read: () => undefined })
      const answer = hub.send({
        method,
        url,
        payload: body,
        headers: { 'content-type': type, authorization: `Bearer ${token({ ...grants, exp })}` },
      })
      body.push(text.slice(0, 3))
      await until(() => Date.now() / 1_000 > exp)
      body.push(text.slice(3))
      body.push(null)
      isProblem(t, await answer, 401, 'expired-token', what)
      t.equal(hubOf(hub.app).head, 0)
    }),
  )
})

await t.test('a token that expires while the events of a batch are checked is refused', async (t) => {
  const hub = await openApp(t)
  const check = hubOf(hub.app).publisher.check.bind(hubOf(hub.app).publisher)
  const exp = Date.now() / 1_000 + 600
  const later = Date.now() + 3_600_000
  let checked = 0
  t.intercept(hubOf(hub.app).publisher, 'check', {
    value: (...args: Parameters<typeof check>) => {
      if (++checked === 1_000) t.intercept(Date, 'now', { value: () => later }) // the check of the last event takes an hour
      return check(...args)
    },
  })
  const payload = { events: Array.from({ length: 1_000 }, () => ({ topic: 'a', data: 1 })) }
  isProblem(
    t,
    await hub.send({
      method: 'POST',
      url: '/events',
      payload,
      headers: { authorization: `Bearer ${token({ ...grants, exp })}` },
    }),
    401,
    'expired-token',
  )
  t.equal(checked, 1_000)
  t.equal(hubOf(hub.app).head, 0)
})

await t.test('any body may begin with a byte order mark', async (t) => {
  const hub = await openApp(t)
  const admin = `Bearer ${token({ ...grants, sub: 'u1' })}`
  for (const [what, method, url, type, text] of requests) {
    const { statusCode } = await hub.send({
      method,
      url,
      payload: `\ufeff${text}`,
      headers: { 'content-type': type, authorization: admin },
    })
    t.equal(statusCode, method === 'PATCH' ? 404 : type === 'application/x-ndjson' ? 200 : 201, what)
  }
  const { events } = await hubOf(hub.app).read(new Selection(['a']), { after: 0, events: 9 })
  t.strictSame(
    events.map(({ payload }) => payload),
    ['1', 'text', '1', '1'],
  )
})

await t.test('any +json content type is read as JSON', async (t) => {
  const hub = await openApp(t)
  for (const type of [
    'application/vnd.orders+json',
    'application/cloudevents+json; charset=utf-8',
    'text/x+json',
    'application/LD+JSON ; a=b',
  ]) {
    const post = (url: string, payload: string) =>
      hub.send({ method: 'POST', url, payload, headers: { 'content-type': type } })
    t.equal((await post('/topics/a/events', '{"data":1}')).statusCode, 201, type)
    t.equal((await post('/events', '{"events":[{"topic":"a","data":1}]}')).statusCode, 201, type)
    isProblem(
      t,
      await post('/topics/a/events', '{"data":1,"more":2}'),
      400,
      'invalid-request',
      'the body is checked like JSON',
    )
    isProblem(t, await post('/topics/a/events', '"text"'), 400, 'invalid-request')
  }
  isProblem(
    t,
    await hub.send({
      method: 'POST',
      url: '/topics/a/events',
      payload: '1',
      headers: { 'content-type': 'application/json+x' },
    }),
    415,
    'unsupported-media-type',
  )
})

await t.test('a compressed body is refused, and the answer says how to send it', async (t) => {
  const hub = await openApp(t)
  for (const [what, method, url, type, text] of requests) {
    for (const coding of ['gzip', 'br', 'gzip, identity', 'x']) {
      const response = await hub.send({
        method,
        url,
        payload: text,
        headers: { 'content-type': type, 'content-encoding': coding },
      })
      t.match(isProblem(t, response, 415, 'unsupported-media-type', `${what}, ${coding}`).detail, /Content-Encoding/)
      t.equal(response.headers['accept-encoding'], 'identity')
    }
    t.not(
      (
        await hub.send({
          method,
          url,
          payload: text,
          headers: { 'content-type': type, 'content-encoding': 'identity' },
        })
      ).statusCode,
      415,
    )
  }
})

await t.test('a body is not read on a route without a body', async (t) => {
  const hub = await openApp(t)
  const admin = `Bearer ${token({ ...grants, sub: 'u1', admin: true })}`
  for (const [method, url, status] of [
    ['POST', '/tickets', 201],
    ['POST', '/sessions', 204],
    ['DELETE', '/sessions', 204],
    ['DELETE', '/topics/a/events', 200],
    ['DELETE', '/connections/none', 404],
  ] as const) {
    for (const coding of ['identity', 'gzip']) {
      const send = (type: string) =>
        hub.send({
          method,
          url,
          payload: Buffer.from([0x1f, 0x8b, 0xff]),
          headers: { authorization: admin, 'content-encoding': coding, 'content-type': type },
        })
      t.equal((await send('application/json')).statusCode, status, `${method} ${url} ${coding}`)
      for (const type of ['text/plain', 'application/x-ndjson', 'image/png'])
        t.equal((await send(type)).statusCode, 415, `${method} ${url} ${type} ${coding}`)
    }
  }
})

await t.test('a body that is nested too deep is refused with 400 on every route', async (t) => {
  const hub = await openApp(t)
  const admin = `Bearer ${token({ ...grants, sub: 'u1' })}`
  const nested = (depth: number, value = '1') => '['.repeat(depth) + value + ']'.repeat(depth)
  const bodies: [url: string, type: string, make: (depth: number) => string, code: string][] = [
    ['/topics/a/events', 'application/json', (depth) => `{"data":${nested(depth)}}`, 'invalid-event'],
    ['/topics/a/events', 'application/json', (depth) => `{"data":${nested(depth, 'null')}}`, 'invalid-event'],
    ['/events', 'application/json', (depth) => `{"events":[{"topic":"a","data":${nested(depth)}}]}`, 'invalid-event'],
    ['/events', 'application/x-ndjson', (depth) => `{"topic":"a","data":${nested(depth, 'null')}}`, 'invalid-event'],
  ]
  for (const [url, type, make, code] of bodies) {
    for (const depth of [601, 1_000, 2_000, 4_000, 5_000, 20_000, 120_000]) {
      const problem = isProblem(
        t,
        await hub.send({ method: 'POST', url, payload: make(depth), headers: { 'content-type': type } }),
        400,
        code,
        `${url} ${depth}`,
      )
      t.match(problem.detail, /deeper than 600 levels/)
    }
    t.match(await hub.send({ method: 'POST', url, payload: make(64), headers: { 'content-type': type } }), {
      statusCode: /20[01]/,
    })
  }
  for (const [member, events] of [
    ['type', 1],
    ['id', 2],
    ['text', 1],
    ['more"', 1],
  ] as const) {
    const event = `{"topic":"a","data":{"x":["id"]},${JSON.stringify(member)}:${nested(5_000)}}`
    const [url, type, payload] =
      events === 1
        ? ['/events', 'application/x-ndjson', event]
        : ['/events', 'application/json', `{"events":[{"topic":"a","data":1},${event}]}`]
    const problem = isProblem(
      t,
      await hub.send({ method: 'POST', url, payload, headers: { 'content-type': type } }),
      400,
      'invalid-event',
      member,
    )
    t.ok(
      problem.detail.includes(`The member ${JSON.stringify(member)} of the event is nested deeper than 600 levels`),
      problem.detail,
    )
  }
  t.match(
    isProblem(
      t,
      await hub.send({
        method: 'POST',
        url: '/topics/a/events',
        payload: nested(5_000),
        headers: { 'content-type': 'application/json' },
      }),
      400,
      'invalid-event',
    ).detail,
    /^The event is nested/,
  )
  for (const [method, url, name] of [
    ['PATCH', '/connections/x', 'subscribe'],
    ['POST', '/revocations', 'subject'],
  ] as const) {
    for (const depth of [10, 500, 4_000, 30_000]) {
      const response = await hub.send({
        method,
        url,
        payload: `{"${name}":${nested(depth)}}`,
        headers: { 'content-type': 'application/json', authorization: admin },
      })
      isProblem(t, response, 400, 'invalid-request', `${url} ${depth}`)
    }
  }
  t.equal(
    (await hub.send({ method: 'GET', url: '/topics/a/events', headers: { accept: 'application/json' } })).statusCode,
    200,
  )
})
