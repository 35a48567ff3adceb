import { once } from 'node:events'
import http from 'node:http'
import t, { type Test } from 'tap'
import { anyTopic, token } from '../helper/token.js'
import { isProblem, listen, openApp, until, type OpenApp } from './open-app.js'
import { hubOf } from '../../src/plugins/hub.js'

const CURSOR = /^[a-z0-9]{8}-\d+$/
const URL = '/topics/orders.42/events'

/** Returns the events of the log, read from history. */
async function stored({ send }: OpenApp): Promise<Record<string, unknown>[]> {
  const { events } = (
    await send({ method: 'GET', url: '/events?topic=**&limit=1000', headers: { accept: 'application/json' } })
  ).json<{ events: Record<string, unknown>[] }>()
  return events
}

/** Checks that nothing was stored or sent. */
async function isUntouched(t: Test, hub: OpenApp): Promise<void> {
  t.strictSame(await stored(hub), [], 'nothing is stored')
  t.equal(hubOf(hub.app).head, 0)
}

await t.test('one event', async (t) => {
  await t.test('is stored and answered with its cursor: 201', async (t) => {
    const hub = await openApp(t)
    await hub.subscribe('orders.*')
    await hub.subscribe('**')
    await hub.subscribe('other')
    const response = await hub.send({ method: 'POST', url: URL, payload: { type: 'created', data: { total: 12 } } })
    t.equal(response.statusCode, 201)
    t.match(response.headers['content-type'], /^application\/json\b/)
    t.strictSame(response.json(), {
      id: `${hubOf(hub.app).epoch}-1`,
      topic: 'orders.42',
      duplicate: false,
      subscribers: 2,
    })
    t.match(await stored(hub), [
      { id: `${hubOf(hub.app).epoch}-1`, topic: 'orders.42', type: 'created', data: { total: 12 } },
    ])
  })

  await t.test('may be any JSON value, or a text', async (t) => {
    const hub = await openApp(t)
    const values = [null, false, 0, -1.5, '', 'x\ny', [], {}, [1, [2]], { a: { b: null } }]
    for (const data of values)
      t.equal((await hub.send({ method: 'POST', url: URL, payload: { data } })).statusCode, 201)
    for (const text of ['', 'zwölf\r\n€ 𝄞\0\u2028'])
      t.equal((await hub.send({ method: 'POST', url: URL, payload: { text } })).statusCode, 201)
    t.strictSame(
      (await stored(hub)).map(({ data, text }) => data ?? text ?? null),
      [...values, '', 'zwölf\r\n€ 𝄞\0\u2028'],
    )
  })

  await t.test('is sent and not stored if it is ephemeral: 202', async (t) => {
    const hub = await openApp(t)
    const reader = await hub.subscribe('orders.42')
    const response = await hub.send({ method: 'POST', url: URL, payload: { data: 1, ephemeral: true } })
    t.equal(response.statusCode, 202)
    t.strictSame(response.json(), { id: null, topic: 'orders.42', duplicate: false, subscribers: 1 })
    await until(() => reader.data.length === 1)
    await isUntouched(t, hub)
  })

  await t.test('may have a percent-encoded topic of the maximum length', async (t) => {
    const hub = await openApp(t)
    const long = `${'a'.repeat(64)}.${':@'.repeat(32)}.${'~'.repeat(64)}.abcde`
    for (const [url, topic] of [
      ['orders%2E42', 'orders.42'],
      ['a%3Ab', 'a:b'],
      [long, long],
      [[...Buffer.from(long)].map((byte) => `%${byte.toString(16)}`).join(''), long],
    ] as const) {
      const response = await hub.send({ method: 'POST', url: `/topics/${url}/events`, payload: { data: 1 } })
      t.match(response.json(), { topic })
      t.equal(response.statusCode, 201)
    }
  })
})

await t.test('a publisher id', async (t) => {
  await t.test('stores nothing if it is repeated, and returns the first event: 200', async (t) => {
    const hub = await openApp(t)
    const reader = await hub.subscribe('orders.42')
    const first = await hub.send({ method: 'POST', url: URL, payload: { data: 1, id: 'x' } })
    t.equal(first.statusCode, 201)
    const again = await hub.send({ method: 'POST', url: URL, payload: { data: 2, id: 'x' } })
    t.equal(again.statusCode, 200)
    t.strictSame(again.json(), { ...first.json<object>(), duplicate: true, subscribers: 0 })
    t.equal(
      (await hub.send({ method: 'POST', url: '/topics/orders.43/events', payload: { data: 3, id: 'x' } })).statusCode,
      201,
      'the same id on another topic is another id',
    )
    t.equal((await stored(hub)).length, 2)
    await hub.send({ method: 'POST', url: URL, payload: { data: 'last' } })
    await until(() => reader.data.includes('"last"'))
    t.strictSame(reader.data, ['1', '"last"'])
  })

  await t.test('may be in the header Idempotency-Key', async (t) => {
    const hub = await openApp(t)
    const post = (payload: object, key?: string) =>
      hub.send({ method: 'POST', url: URL, payload, headers: key === undefined ? {} : { 'idempotency-key': key } })
    t.equal((await post({ data: 1 }, 'x')).statusCode, 201)
    t.equal((await post({ data: 2 }, 'x')).statusCode, 200)
    t.equal((await post({ data: 3, id: 'x' })).statusCode, 200)
    t.equal((await post({ data: 4, id: 'x' }, 'x')).statusCode, 200)
    t.equal((await post({ data: 5 }, 'y')).statusCode, 201)
    t.equal((await stored(hub)).length, 2)
  })

  await t.test('is refused if body and header differ', async (t) => {
    const hub = await openApp(t)
    const response = await hub.send({
      method: 'POST',
      url: URL,
      payload: { data: 1, id: 'x' },
      headers: { 'idempotency-key': 'y' },
    })
    isProblem(t, response, 400, 'conflicting-ids')
    await isUntouched(t, hub)
  })

  await t.test('is 1 to 128 printable ASCII characters, in the body and in the header', async (t) => {
    const hub = await openApp(t)
    for (const id of ['', 'é', 'a\nb', 'x'.repeat(129)]) {
      const response = await hub.send({ method: 'POST', url: URL, payload: { data: 1, id } })
      t.equal(response.statusCode, 400)
    }
    for (const key of ['', 'é', 'a\tb', 'x'.repeat(129)]) {
      isProblem(
        t,
        await hub.send({ method: 'POST', url: URL, payload: { data: 1 }, headers: { 'idempotency-key': key } }),
        400,
        'invalid-event',
      )
    }
    await isUntouched(t, hub)
    t.equal(
      (
        await hub.send({
          method: 'POST',
          url: URL,
          payload: { data: 1 },
          headers: { 'idempotency-key': `"~ ${'x'.repeat(125)}` },
        })
      ).statusCode,
      201,
    )
  })
})

await t.test('an ephemeral event with a publisher id is refused', async (t) => {
  const hub = await openApp(t)
  const event = { data: 1, ephemeral: true }
  const json = { 'content-type': 'application/json' }
  const requests = {
    id: { url: URL, payload: JSON.stringify({ ...event, id: 'x' }), headers: json },
    'Idempotency-Key': { url: URL, payload: JSON.stringify(event), headers: { ...json, 'idempotency-key': 'x' } },
    'a batch': {
      url: '/events',
      payload: JSON.stringify({
        events: [
          { topic: 'a', ...event },
          { topic: 'a', ...event, id: 'x' },
        ],
      }),
      headers: json,
    },
    'a line': {
      url: '/events',
      payload: JSON.stringify({ topic: 'a', ...event, id: 'x' }),
      headers: { 'content-type': 'application/x-ndjson' },
    },
  }
  for (const [what, request] of Object.entries(requests)) {
    t.match(
      isProblem(t, await hub.send({ method: 'POST', ...request }), 400, 'invalid-event', what).detail,
      /An ephemeral event cannot have a publisher id/,
    )
  }
  await t.rejects(
    hubOf(hub.app).publish('a', { ...event, id: 'x' }),
    { name: 'HubError', code: 'invalid-event' },
    'publish',
  )
  await t.rejects(
    hubOf(hub.app).publishAll([{ topic: 'a', ...event, id: 'x' }]),
    { name: 'HubError', code: 'invalid-event' },
    'publishAll',
  )
  t.equal((await hubOf(hub.app).publish('a', { data: 1, ephemeral: false, id: 'x' })).duplicate, false)
})

await t.test('the header Idempotency-Key is refused for batches and uploads, before the body is read', async (t) => {
  const hub = await openApp(t)
  const event = JSON.stringify({ topic: 'a', data: 1 })
  for (const [type, payload] of [
    ['application/x-ndjson', event],
    ['application/ndjson', 'not json'],
    ['application/json', `{"events":[${event}]}`],
  ] as const) {
    const response = await hub.send({
      method: 'POST',
      url: '/events',
      payload,
      headers: { 'content-type': type, 'idempotency-key': 'x' },
    })
    t.match(
      isProblem(t, response, 400, 'invalid-request', type).detail,
      /"Idempotency-Key" is for one event.*each line of NDJSON its own "id"/,
    )
  }
  await isUntouched(t, hub)
})

await t.test('a second header Idempotency-Key is refused', async (t) => {
  const hub = await openApp(t)
  const origin = await listen(hub.app)
  for (const keys of [
    ['x', 'y'],
    ['x', 'x'],
  ]) {
    const asking = http.request(`${origin}${URL}`, {
      method: 'POST',
      agent: false,
      headers: { authorization: `Bearer ${anyTopic()}`, 'content-type': 'application/json', 'idempotency-key': keys },
    })
    asking.end('{"data":1}')
    const [answer] = (await once(asking, 'response')) as [http.IncomingMessage]
    t.equal(answer.statusCode, 400, keys.join())
    t.match(JSON.parse((await answer.toArray()).join('')), {
      code: 'invalid-request',
      detail: /"Idempotency-Key" is given more than once/,
    })
  }
  await isUntouched(t, hub)
  t.equal(
    (await hub.send({ method: 'POST', url: URL, payload: { data: 1 }, headers: { 'idempotency-key': 'x, y' } }))
      .statusCode,
    201,
    'a comma is part of a key',
  )
})

await t.test('a publisher id is remembered after a purge of its event', async (t) => {
  const hub = await openApp(t)
  const post = () => hub.send({ method: 'POST', url: URL, payload: { data: 1, id: 'x' } })
  const { id } = (await post()).json<{ id: string }>()
  t.equal(
    (await hub.send({ method: 'DELETE', url: URL, headers: { authorization: `Bearer ${token({ admin: true })}` } }))
      .statusCode,
    200,
  )
  const again = await post()
  t.equal(again.statusCode, 200)
  t.match(again.json(), { id, duplicate: true })
  t.strictSame(await stored(hub), [])
})

await t.test('a plain text', async (t) => {
  await t.test('is the text of an event, with type and id from the query and the header', async (t) => {
    const hub = await openApp(t)
    const post = (payload: string | Buffer, query = '', headers: Record<string, string> = {}) =>
      hub.send({
        method: 'POST',
        url: `${URL}${query}`,
        payload,
        headers: { 'content-type': 'text/plain', ...headers },
      })
    t.equal((await post('zwölf\r\n€ 𝄞')).statusCode, 201)
    t.equal((await post('{"data":1}', '?type=not%20json', { 'idempotency-key': 'x' })).statusCode, 201)
    t.equal((await post('', '', { 'content-type': 'text/plain; charset=UTF-8' })).statusCode, 201)
    t.equal((await post('other', '', { 'idempotency-key': 'x' })).statusCode, 200)
    t.match(await stored(hub), [{ text: 'zwölf\r\n€ 𝄞' }, { text: '{"data":1}', type: 'not json' }, { text: '' }])
  })

  await t.test('is refused if it is not UTF-8', async (t) => {
    const hub = await openApp(t)
    const post = (payload: Buffer, type: string) =>
      hub.send({ method: 'POST', url: URL, payload, headers: { 'content-type': type } })
    isProblem(t, await post(Buffer.from([0x7a, 0xf6]), 'text/plain'), 400, 'invalid-encoding')
    isProblem(t, await post(Buffer.from([0xed, 0xa0, 0x80]), 'text/plain'), 400, 'invalid-encoding', 'a lone surrogate')
    isProblem(
      t,
      await post(Buffer.from('z\xf6', 'latin1'), 'text/plain; charset=iso-8859-1'),
      415,
      'unsupported-media-type',
    )
    await isUntouched(t, hub)
  })

  await t.test('has a type like any event', async (t) => {
    const hub = await openApp(t)
    for (const type of ['', 'fanfare.open', 'a%0Ab', 'a%00', 'x'.repeat(129)]) {
      t.match(
        await hub.send({
          method: 'POST',
          url: `${URL}?type=${type}`,
          payload: 'x',
          headers: { 'content-type': 'text/plain' },
        }),
        { statusCode: 400 },
        type,
      )
    }
    await isUntouched(t, hub)
  })
})

await t.test('refusals', async (t) => {
  const hub = await openApp(t, { maxEventSize: 2_000 })
  const post = (payload: string | Buffer | object, headers: Record<string, string> = {}, url = URL) =>
    hub.send({ method: 'POST', url, payload, headers: { 'content-type': 'application/json', ...headers } })

  await t.test('both or none of data and text', async (t) => {
    for (const payload of [{}, { type: 'x' }, { data: 1, text: 'x' }, { data: null, text: '' }])
      isProblem(t, await post(payload), 400, 'invalid-event', JSON.stringify(payload))
  })

  await t.test('unknown members and members of the wrong kind, by name', async (t) => {
    const table: [payload: unknown, named: RegExp][] = [
      [{ data: 1, topic: 'a' }, /topic/],
      [{ data: 1, topic: 'orders.42' }, /topic/],
      [{ data: 1, ephemerall: true }, /ephemerall/],
      [{ text: 5 }, /\/text/],
      [{ text: null }, /\/text/],
      [{ data: 1, type: 7 }, /\/type/],
      [{ data: 1, type: null }, /\/type/],
      [{ data: 1, id: 7 }, /\/id/],
      [{ data: 1, ephemeral: 'yes' }, /\/ephemeral/],
      [{ data: 1, ephemeral: 1 }, /\/ephemeral/],
      [[], /object/],
      ['text', /object/],
      [7, /object/],
      [null, /object/],
    ]
    for (const [payload, named] of table) {
      const { detail, errors } = isProblem(
        t,
        await post(JSON.stringify(payload)),
        400,
        'invalid-request',
        JSON.stringify(payload).slice(0, 60),
      )
      t.match(detail, named)
      t.ok(errors && errors.length > 0)
      const keyed = isProblem(
        t,
        await post(JSON.stringify(payload), { 'idempotency-key': 'x' }),
        400,
        'invalid-request',
      )
      t.strictSame(keyed.errors, errors, 'the same faults with a publisher id in the header')
    }
  })

  await t.test('an invalid type or id', async (t) => {
    for (const type of ['', 'fanfare.open', 'a\nb', 'x'.repeat(129), '\ud800'])
      t.match(
        isProblem(t, await post({ data: 1, type }), 400, 'invalid-event', JSON.stringify(type).slice(0, 40)).detail,
        /type/,
      )
    for (const id of ['', 'é', 'a\nb', 'x'.repeat(129)])
      t.match(
        isProblem(t, await post({ data: 1, id }), 400, 'invalid-event', JSON.stringify(id).slice(0, 40)).detail,
        /id/,
      )
  })

  await t.test('control characters and line ends in every field', async (t) => {
    for (const character of ['\r', '\n', '\0', '\u0085', '\x7f']) {
      t.match(await post({ data: 1, type: `a${character}b` }), { statusCode: 400 })
      t.match(await post({ data: 1, id: `a${character}b` }), { statusCode: 400 })
      t.match(await post({ data: 1 }, {}, `/topics/a${encodeURIComponent(character)}b/events`), { statusCode: 400 })
    }
    t.match(await post({ data: 1, id: 'a\u2028b' }), { statusCode: 400 })
    t.match(await post({ data: 1 }, {}, '/topics/a%E2%80%A8b/events'), { statusCode: 400 })
  })

  await t.test('an invalid or reserved topic', async (t) => {
    for (const topic of [
      'a..b',
      '.a',
      'a%20b',
      '*',
      'a.*',
      '**',
      'é',
      'a%2Fb',
      'x'.repeat(65),
      `${'a.'.repeat(16)}a`,
    ]) {
      const { detail } = isProblem(
        t,
        await post({ data: 1 }, {}, `/topics/${topic}/events`),
        400,
        'invalid-topic',
        topic,
      )
      t.match(detail, /is not a valid topic/)
    }
    for (const topic of ['fanfare', 'fanfare.stats'])
      isProblem(t, await post({ data: 1 }, {}, `/topics/${topic}/events`), 400, 'reserved-topic', topic)
  })

  await t.test('invalid JSON', async (t) => {
    for (const payload of ['{', '{"data":1}x', '{data:1}', "{'data':1}", '{"data":01}', 'undefined', ''])
      isProblem(t, await post(payload), 400, 'invalid-json', payload)
    isProblem(t, await post(Buffer.from([0x7b, 0xff, 0x7d])), 400, 'invalid-encoding')
  })

  await t.test('the wrong content type', async (t) => {
    for (const type of [
      'application/xml',
      'text/html',
      'multipart/form-data; boundary=x',
      'application/x-www-form-urlencoded',
      'application/x-ndjson',
      'application/jsonx',
      'json',
    ]) {
      isProblem(t, await post('{"data":1}', { 'content-type': type }), 415, 'unsupported-media-type', type)
    }
    isProblem(
      t,
      await post('{"data":1}', { 'content-type': 'application/json; charset=utf-16' }),
      415,
      'unsupported-media-type',
    )
  })

  await t.test('a content type in upper case or with parameters is treated the same', async (t) => {
    for (const type of [
      'application/json; charset=utf-8',
      'APPLICATION/JSON',
      'application/json ; charset=utf-8',
      'application/json;charset="utf-8"',
      'application/json;',
    ]) {
      t.match(await post('{"data":1,"unknown":2}', { 'content-type': type }), { statusCode: 400 }, type)
    }
  })

  await t.test('a request without a body', async (t) => {
    isProblem(t, await hub.send({ method: 'POST', url: URL }), 415, 'unsupported-media-type')
    isProblem(
      t,
      await hub.send({ method: 'POST', url: URL, headers: { 'content-type': 'application/json' } }),
      400,
      'invalid-json',
    )
  })

  await t.test('bodies and events that are too large', async (t) => {
    isProblem(t, await post({ data: 'x'.repeat(1_999) }), 413, 'event-too-large', '2,001 bytes with the quotes')
    isProblem(t, await post('x'.repeat(2_001), { 'content-type': 'text/plain' }), 413, 'event-too-large')
    isProblem(
      t,
      await post('€'.repeat(667), { 'content-type': 'text/plain' }),
      413,
      'event-too-large',
      '2,001 bytes of UTF-8',
    )
    isProblem(t, await post({ data: 'x'.repeat(20_000) }), 413, 'body-too-large')
    isProblem(t, await post('x'.repeat(20_000), { 'content-type': 'text/plain' }), 413, 'body-too-large')
  })

  await t.test('a missing token, and a token without a grant', async (t) => {
    const response = await hub.send({
      method: 'POST',
      url: URL,
      payload: { data: 1 },
      headers: { authorization: null },
    })
    isProblem(t, response, 401, 'missing-token')
    t.match(response.headers['www-authenticate'], /^Bearer\b/)
    for (const grants of [{ subscribe: ['**'] }, { publish: ['orders.43', 'users.**'] }, { publish: ['*'] }, {}]) {
      const response = await hub.send({
        method: 'POST',
        url: URL,
        payload: { data: 1 },
        headers: { authorization: `Bearer ${token(grants)}` },
      })
      t.match(isProblem(t, response, 403, 'not-granted').detail, /"orders\.42"/)
    }
  })

  await isUntouched(t, hub)

  await t.test('an event of the maximum size is accepted', async (t) => {
    t.equal((await post('x'.repeat(2_000), { 'content-type': 'text/plain' })).statusCode, 201)
    t.equal((await post({ data: 'x'.repeat(1_998), type: 't'.repeat(128), id: 'i'.repeat(128) })).statusCode, 201)
  })
})

await t.test('a batch', async (t) => {
  await t.test('is stored in order, and answered with every cursor: 201', async (t) => {
    const hub = await openApp(t)
    const { epoch } = hubOf(hub.app)
    const response = await hub.send({
      method: 'POST',
      url: '/events',
      payload: {
        events: [
          { topic: 'a', data: 1 },
          { topic: 'b', text: 'x', id: '1', type: 't' },
          { topic: 'b', data: 2, id: '1' },
          { topic: 'c', data: 3, ephemeral: true },
          { topic: 'a', data: 4 },
        ],
      },
    })
    t.equal(response.statusCode, 201)
    t.strictSame(response.json(), {
      events: [
        { id: `${epoch}-1`, topic: 'a', duplicate: false },
        { id: `${epoch}-2`, topic: 'b', duplicate: false },
        { id: `${epoch}-2`, topic: 'b', duplicate: true },
        { id: null, topic: 'c', duplicate: false },
        { id: `${epoch}-3`, topic: 'a', duplicate: false },
      ],
    })
    t.match(await stored(hub), [
      { topic: 'a', data: 1 },
      { topic: 'b', text: 'x', type: 't' },
      { topic: 'a', data: 4 },
    ])
  })

  await t.test('has 1 to 1,000 events', async (t) => {
    const hub = await openApp(t)
    const batch = (length: number) =>
      hub.send({
        method: 'POST',
        url: '/events',
        payload: { events: Array.from({ length }, (_, n) => ({ topic: 'a', data: n })) },
      })
    isProblem(t, await batch(0), 400, 'invalid-request')
    t.match(isProblem(t, await batch(1_001), 400, 'invalid-request').errors, [{ path: '/events' }])
    await isUntouched(t, hub)
    const response = await batch(1_000)
    t.equal(response.statusCode, 201)
    t.match(response.json<{ events: unknown[] }>().events, {
      length: 1_000,
      999: { id: `${hubOf(hub.app).epoch}-1000` },
    })
  })

  await t.test('is refused whole if one of its events is', async (t) => {
    const hub = await openApp(t, { maxEventSize: 1_000 })
    const reader = await hub.subscribe('**')
    const good = { topic: 'a', data: 1 }
    const table: [bad: object, status: number, code: string, path: string | undefined][] = [
      [{ topic: 'a' }, 400, 'invalid-event', '/events/2'],
      [{ topic: 'a', data: 1, text: '' }, 400, 'invalid-event', '/events/2'],
      [{ topic: 'a', text: 'x'.repeat(1_001) }, 413, 'event-too-large', '/events/2'],
      [{ data: 1 }, 400, 'invalid-request', '/events/2'],
      [{ topic: 'a.*', data: 1 }, 400, 'invalid-topic', undefined],
      [{ topic: 'a', data: 1, x: 1 }, 400, 'invalid-request', '/events/2'],
      [{ topic: 'a', data: 1, id: '' }, 400, 'invalid-event', '/events/2'],
      [{ topic: 'a', data: 1, type: 'a\nb' }, 400, 'invalid-event', '/events/2'],
      [{ topic: 7, data: 1 }, 400, 'invalid-request', '/events/2/topic'],
      [{ topic: 'fanfare.stats', data: 1 }, 400, 'reserved-topic', '/events/2'],
    ]
    for (const [bad, status, code, path] of table) {
      const response = await hub.send({ method: 'POST', url: '/events', payload: { events: [good, good, bad, good] } })
      const { errors } = isProblem(t, response, status, code, JSON.stringify(bad).slice(0, 60))
      if (path !== undefined)
        t.ok(
          errors?.some((error) => error.path.startsWith(path)),
          `${path} is named: ${JSON.stringify(errors)}`,
        )
    }
    const authorization = `Bearer ${token({ publish: ['a'] })}`
    const response = await hub.send({
      method: 'POST',
      url: '/events',
      payload: { events: [good, { topic: 'b.secret', data: 1 }] },
      headers: { authorization },
    })
    t.match(isProblem(t, response, 403, 'not-granted').detail, /"b\.secret"/)
    await isUntouched(t, hub)
    t.strictSame(reader.data, [])
  })

  await t.test('is refused if it is not a batch', async (t) => {
    const hub = await openApp(t)
    for (const payload of [
      '{}',
      '[]',
      'null',
      '7',
      '{"events":{}}',
      '{"events":null}',
      '{"events":[null]}',
      '{"events":[{"topic":"a","data":1}],"more":1}',
    ]) {
      isProblem(
        t,
        await hub.send({ method: 'POST', url: '/events', payload, headers: { 'content-type': 'application/json' } }),
        400,
        'invalid-request',
        payload,
      )
    }
    isProblem(
      t,
      await hub.send({ method: 'POST', url: '/events', payload: 'x', headers: { 'content-type': 'text/plain' } }),
      415,
      'unsupported-media-type',
    )
    isProblem(
      t,
      await hub.send({ method: 'POST', url: '/events', payload: 'x', headers: { 'content-type': 'text/html' } }),
      415,
      'unsupported-media-type',
    )
    isProblem(t, await hub.send({ method: 'POST', url: '/events' }), 415, 'unsupported-media-type', 'no body')
    isProblem(
      t,
      await hub.send({
        method: 'POST',
        url: '/events',
        payload: { events: [{ topic: 'a', data: 1 }] },
        headers: { authorization: null },
      }),
      401,
      'missing-token',
    )
    await isUntouched(t, hub)
  })
})

await t.test('an unavailable log is a 503 with Retry-After', async (t) => {
  const hub = await openApp(t)
  const { HubError } = await import('../../src/model/hub-error.js')
  t.intercept(hubOf(hub.app).publisher, 'publishChecked', {
    value: () => Promise.reject(new HubError('log-unavailable', 'the disk is full')),
  })
  t.intercept(hubOf(hub.app).publisher, 'publishOne', {
    value: () => Promise.reject(new HubError('log-unavailable', 'the disk is full')),
  })
  for (const [url, payload] of [
    [URL, { data: 1 }],
    ['/events', { events: [{ topic: 'a', data: 1 }] }],
  ] as const) {
    const response = await hub.send({ method: 'POST', url, payload })
    isProblem(t, response, 503, 'log-unavailable')
    t.match(response.headers['retry-after'], /^\d+$/)
  }
})

await t.test('cursors are printable and increase', async (t) => {
  const { send } = await openApp(t)
  let last = 0
  for (let n = 0; n < 12; n++) {
    const { id } = (await send({ method: 'POST', url: URL, payload: { data: n } })).json<{ id: string }>()
    t.match(id, CURSOR)
    t.equal(Number(id.slice(9)), last + 1)
    last++
  }
})

await t.test('an event beyond the limit of topics is refused: 429 with Retry-After', async (t) => {
  const hub = await openApp(t, { maxTopics: 2 })
  const post = (url: string, payload: object) => hub.send({ method: 'POST', url, payload })
  t.equal(
    (
      await post('/events', {
        events: [
          { topic: 'a', data: 1 },
          { topic: 'b', data: 2 },
        ],
      })
    ).statusCode,
    201,
  )
  const one = await post('/topics/c/events', { data: 3 })
  const { detail, errors } = isProblem(t, one, 429, 'too-many-topics')
  t.match(detail, /"c" has no events.*FANFARE_MAX_TOPICS/)
  t.equal(errors, undefined)
  t.match(one.headers['retry-after'], /^\d+$/)
  const batch = isProblem(
    t,
    await post('/events', {
      events: [
        { topic: 'c', data: 3, ephemeral: true },
        { topic: 'a', data: 4 },
        { topic: 'd', data: 5 },
      ],
    }),
    429,
    'too-many-topics',
  )
  t.match(batch.errors, [{ path: '/events/2', message: /"d"/ }], 'the refusal names the event')
  t.match(await stored(hub), [{ data: 1 }, { data: 2 }])
  t.equal(
    (await post('/topics/c/events', { data: 3, ephemeral: true })).statusCode,
    202,
    'an ephemeral event does not create a topic',
  )
  t.equal((await post('/topics/a/events', { data: 6 })).statusCode, 201, 'existing topics accept more events')
  await t.rejects(hubOf(hub.app).publish('c', { data: 3 }), {
    name: 'HubError',
    code: 'too-many-topics',
    index: undefined,
  })
  await hubOf(hub.app).purge('b')
  t.equal((await post('/topics/c/events', { data: 3 })).statusCode, 201, 'a topic has been trimmed')
})
