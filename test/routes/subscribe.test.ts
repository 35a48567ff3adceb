import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { Selection } from '../../src/model/selection.js'
import { hubOf } from '../../src/plugins/hub.js'
import { decodeChunks } from '../helper/chunks.js'
import { openStream } from '../helper/stream.js'
import { anyTopic, token } from '../helper/token.js'
import { parseStream, type Block } from '../hub/reference-parser.js'
import { isProblem, listen, openApp, until } from './open-app.js'

const URL = '/topics/orders.42/events'

interface Opened {
  statusCode: number
  headers: http.IncomingHttpHeaders
  text: string
  blocks: Block[]
}

/** Returns the head of an answer, and its body up to a condition or to the end. Closes the connection then. */
async function open(
  app: FastifyInstance,
  url: string,
  headers: Record<string, string> = {},
  enough: (text: string) => boolean = (text) => text.includes('\n\n'),
): Promise<Opened> {
  const origin = app.server.listening ? app.listeningOrigin : await listen(app)
  const request = http.get(`${origin}${url}`, { headers: { authorization: `Bearer ${anyTopic()}`, ...headers } })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let text = ''
  for await (const chunk of response as AsyncIterable<Buffer>) {
    text += chunk.toString()
    if (enough(text)) break
  }
  request.destroy()
  return { statusCode: response.statusCode!, headers: response.headers, text, blocks: parseStream(Buffer.from(text)) }
}

await t.test('a stream has the headers for proxies and caches', async (t) => {
  const { app } = await openApp(t)
  await hubOf(app).publish('a', { data: 1 })
  const { statusCode, headers, blocks } = await open(app, URL)
  t.equal(statusCode, 200)
  t.match(headers, {
    'content-type': /^text\/event-stream; charset=utf-8$/,
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
    'fanfare-connection': /^[\w-]{8,}$/,
    'last-event-id': `${hubOf(app).epoch}-1`,
  })
  t.notOk('content-length' in headers)
  t.match(headers['vary'], /\baccept\b/i)
  t.match(blocks[0], { id: `${hubOf(app).epoch}-1`, event: { type: 'fanfare.open' } })
  t.strictSame(JSON.parse(blocks[0]!.event!.data), { connection: headers['fanfare-connection'], topics: ['orders.42'] })
})

await t.test('Accept selects an event stream, a page of history, or neither', async (t) => {
  const { app } = await openApp(t)
  const table: [accept: string | undefined, type: 'stream' | 'json' | 406][] = [
    [undefined, 'stream'],
    ['*/*', 'stream'],
    ['text/event-stream', 'stream'],
    ['text/*', 'stream'],
    ['TEXT/EVENT-STREAM', 'stream'],
    ['text/event-stream, */*', 'stream'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'stream'],
    ['application/json', 'json'],
    ['application/*', 'json'],
    ['application/json, text/plain, */*', 'json'], // the last is what axios sends
    ['application/json;q=0.9, text/event-stream;q=0.1', 'json'],
    ['application/json;q=0.1, text/event-stream;q=0.9', 'stream'],
    ['application/json;q=0.5, */*;q=0.1', 'json'],
    ['text/event-stream;q=0, */*', 'json'],
    ['text/event-stream;q=0, application/json', 'json'],
    ['application/json;q=0, */*', 'stream'],
    ['text/html, application/json', 'json'],
    ['text/event-stream; charset=utf-8', 'stream'],
    ['text/event-stream;charset="UTF-8"', 'stream'],
    ['application/json; charset=utf-8', 'json'],
    ['text/html', 406],
    ['text/plain', 406],
    ['image/*', 406],
    ['application/xml, text/html;q=0.9', 406],
    ['text/event-stream;q=0', 406],
    ['application/cloudevents+json', 406],
  ]
  for (const [accept, type] of table) {
    const headers = accept === undefined ? {} : { accept }
    const { statusCode, headers: answered } = await open(app, URL, headers, (text) => text.includes('\n\n'))
    const got =
      statusCode === 406
        ? 406
        : String(answered['content-type']).startsWith('text/event-stream')
          ? 'stream'
          : String(answered['content-type']).startsWith('application/json')
            ? 'json'
            : answered['content-type']
    t.equal(got, type, String(accept))
    t.match(answered['vary'], /\baccept\b/i)
  }
  isProblem(
    t,
    await app.inject({ url: URL, headers: { accept: 'text/html', authorization: `Bearer ${anyTopic()}` } }),
    406,
    'not-acceptable',
  )
})

await t.test('a stream starts at the last event id (header or query), at replay, or now', async (t) => {
  const { app } = await openApp(t)
  for (const data of [1, 2, 3, 4]) await hubOf(app).publish('a', { data })
  const cursor = (sequence: number) => `${hubOf(app).epoch}-${sequence}`
  const read = async (query: string, headers: Record<string, string> = {}) => {
    const { headers: answered, blocks } = await open(
      app,
      `/topics/a/events?${query}`,
      headers,
      (text) => text.includes('fanfare.live') && text.endsWith('\n\n'),
    )
    t.equal(answered['last-event-id'], blocks[0]!.id, 'the header has the id of the first block')
    return blocks.flatMap(({ event }) => (event?.type === 'message' ? [Number(event.data)] : []))
  }
  t.strictSame(await read('', { 'last-event-id': cursor(2) }), [3, 4])
  t.strictSame(await read(`lastEventId=${cursor(2)}`), [3, 4])
  t.strictSame(
    await read(`lastEventId=${cursor(2)}`, { 'last-event-id': cursor(3) }),
    [4],
    'the header takes precedence over the query',
  )
  t.strictSame(await read(`lastEventId=${cursor(3)}&replay=all`), [4], 'the last event id takes precedence over replay')
  t.strictSame(await read('replay=3'), [2, 3, 4])
  t.strictSame(await read('replay=1000'), [1, 2, 3, 4])
  t.strictSame(await read('replay=all'), [1, 2, 3, 4])
  t.strictSame(await read('lastEventId=&replay=1'), [4], 'an empty last event id counts as missing')
  const { headers, blocks } = await open(app, '/topics/a/events?replay=0')
  t.equal(headers['last-event-id'], cursor(4))
  t.equal(blocks.length, 1)
})

await t.test('an unusable last event id is a gap, not an error', async (t) => {
  const { app } = await openApp(t)
  await hubOf(app).publish('a', { data: 1 })
  for (const [lastEventId, reason] of [
    ['nonsense', 'invalid'],
    ['zzzzzzzz-1', 'epoch'],
    [`${hubOf(app).epoch}-99`, 'future'],
  ] as const) {
    const { statusCode, headers, blocks } = await open(
      app,
      '/topics/a/events',
      { 'last-event-id': lastEventId },
      (text) => text.includes('fanfare.live'),
    )
    t.equal(statusCode, 200)
    const own = reason === 'invalid' ? undefined : lastEventId
    t.equal(headers['last-event-id'], own, "the head has the client's own id, since the gap is not reported yet")
    t.strictSame(
      blocks.slice(0, 2).map(({ event, id }) => [event?.type, id]),
      [
        ['fanfare.open', own],
        ['fanfare.gap', `${hubOf(app).epoch}-0`],
      ],
    )
    const gap = blocks.find(({ event }) => event?.type === 'fanfare.gap')
    t.strictSame(JSON.parse(gap!.event!.data), { reason, after: lastEventId, oldest: `${hubOf(app).epoch}-1` })
  }
})

await t.test('a stream can have several topics, patterns, types and CloudEvents', async (t) => {
  const { app } = await openApp(t)
  await hubOf(app).publish('a', { data: 1, type: 'x' })
  await hubOf(app).publish('b.1', { data: 2 })
  await hubOf(app).publish('c', { data: 3, type: 'y' })
  const read = async (url: string) => {
    const { blocks } = await open(app, url, {}, (text) => text.includes('fanfare.live'))
    return blocks
      .filter(({ event }) => event && !event.type.startsWith('fanfare.'))
      .map(({ event, extra }) => [event!.type, event!.data, extra['topic']])
  }
  t.strictSame(await read('/events?topic=a&topic=b.*&replay=all'), [
    ['x', '1', 'a'],
    ['message', '2', 'b.1'],
  ])
  t.strictSame(
    await read('/events?topic=a&replay=all'),
    [['x', '1', undefined]],
    'events of a single topic do not name it',
  )
  t.strictSame(await read('/topics/**/events?replay=all&type=x&type=y'), [
    ['x', '1', 'a'],
    ['y', '3', 'c'],
  ])
  const [[, data] = []] = await read('/topics/a/events?replay=all&format=cloudevents')
  t.match(JSON.parse(data!), {
    specversion: '1.0',
    id: `${hubOf(app).epoch}-1`,
    source: '/topics/a',
    type: 'x',
    subject: 'a',
    data: 1,
  })
})

await t.test('invalid streams are refused', async (t) => {
  const { app, send } = await openApp(t)
  const get = (url: string, headers: Record<string, string | null> = {}) =>
    send({ method: 'GET', url, headers: { accept: 'text/event-stream', ...headers } })
  for (const query of [
    'replay=1001',
    'replay=-1',
    'replay=x',
    'replay=',
    'format=xml',
    'format=',
    'replay=1&replay=2',
    'cursor=',
    'cursor=a.b',
    `cursor=${'x'.repeat(65)}`,
  ]) {
    isProblem(t, await get(`${URL}?${query}`), 400, 'invalid-request', query)
  }
  for (const pattern of ['a..b', '**.a', 'a%20b', '%C3%A9', 'x'.repeat(65), 'a%0D%0Ab'])
    isProblem(t, await get(`/topics/${pattern}/events`), 400, 'invalid-pattern', pattern)
  isProblem(t, await get('/events'), 400, 'invalid-request', 'no topic')
  isProblem(t, await get('/events?topic='), 400, 'invalid-pattern')
  isProblem(
    t,
    await get(`/events?${Array.from({ length: 101 }, (_, n) => `topic=t${n}`).join('&')}`),
    400,
    'invalid-request',
    '101 topics',
  )
  const unauthorized = await get(URL, { authorization: null })
  isProblem(t, unauthorized, 401, 'missing-token')
  t.match(unauthorized.headers['www-authenticate'], /^Bearer\b/)
  const narrow = { authorization: `Bearer ${token({ sub: 'u1', subscribe: ['orders.*', 'users.{sub}.**'] })}` }
  t.match(isProblem(t, await get('/topics/orders.**/events', narrow), 403, 'not-granted').detail, /"orders\.\*\*"/)
  t.match(
    isProblem(t, await get('/events?topic=orders.1&topic=users.u2.x', narrow), 403, 'not-granted').detail,
    /"users\.u2\.x"/,
  )
  isProblem(t, await get('/topics/fanfare.stats/events'), 403, 'not-granted', 'the topics of the hub')
  t.equal(hubOf(app).connections.size, 0)
})

await t.test('grants and anonymous topics allow a stream', async (t) => {
  const { app } = await openApp(t, { anonymousSubscribe: ['public.*'] })
  const as = (grants: Parameters<typeof token>[0]) => ({ authorization: `Bearer ${token(grants)}` })
  for (const [url, headers] of [
    ['/topics/orders.*/events', as({ subscribe: ['orders.*'] })],
    ['/topics/users.u1.x/events', as({ sub: 'u1', subscribe: ['users.{sub}.**'] })],
    ['/topics/public.1/events', as({})],
    ['/topics/fanfare.stats/events', as({ admin: true })],
  ] as const) {
    t.equal((await open(app, url, headers)).statusCode, 200, url)
  }
  const nobody = await openStream(t, `${app.listeningOrigin}/topics/public.*/events`)
  t.equal(nobody.status, 200, 'without a token')
  isProblem(t, await app.inject({ url: '/topics/public.1.2/events' }), 401, 'missing-token')
})

await t.test('HEAD returns the head and ends', async (t) => {
  const { app, send } = await openApp(t)
  await hubOf(app).publish('orders.42', { data: 1 })
  const url = await listen(app)

  await t.test('of a stream', async (t) => {
    const response = await fetch(`${url}${URL}`, { method: 'HEAD', headers: { authorization: `Bearer ${anyTopic()}` } })
    t.equal(response.status, 200)
    t.match(Object.fromEntries(response.headers), {
      'content-type': 'text/event-stream',
      'last-event-id': `${hubOf(app).epoch}-1`,
      'fanfare-connection': /./,
      'cache-control': 'no-store, no-transform',
    })
    t.equal(await response.text(), '')
    t.equal(hubOf(app).connections.size, 0)
  })

  await t.test('of a page of history', async (t) => {
    const response = await fetch(`${url}${URL}`, {
      method: 'HEAD',
      headers: { accept: 'application/json', authorization: `Bearer ${anyTopic()}` },
    })
    t.equal(response.status, 200)
    t.match(response.headers.get('content-type'), /^application\/json/)
    t.equal(await response.text(), '')
  })

  await t.test('of a refusal', async (t) => {
    t.equal((await fetch(`${url}${URL}`, { method: 'HEAD' })).status, 401)
    t.equal(
      (await fetch(`${url}/topics/a..b/events`, { method: 'HEAD', headers: { authorization: `Bearer ${anyTopic()}` } }))
        .status,
      400,
    )
    t.equal((await send({ method: 'HEAD', url: URL, headers: { accept: 'text/html' } })).statusCode, 406)
  })
})

await t.test('a temporary refusal does not stop an EventSource', async (t) => {
  /** Checks that a stream ends at once with a `busy` block. */
  async function isBusy(t: Test, app: FastifyInstance) {
    const { statusCode, headers, text, blocks } = await open(app, URL, { accept: 'text/event-stream' }, () => false)
    t.equal(statusCode, 200)
    t.equal(headers['content-type'], 'text/event-stream; charset=utf-8')
    t.match(text, /^retry: \d+\n/)
    t.match(blocks, [{ event: { type: 'fanfare.close', data: `{"reason":"busy","retry":${blocks[0]!.retry}}` } }])
    t.ok(blocks[0]!.retry! >= 5_000 && blocks[0]!.retry! <= 15_000)
    return blocks[0]!.retry
  }

  await t.test('at the maximum number of streams', async (t) => {
    const { app, send, subscribe } = await openApp(t, { maxConnections: 2 })
    const sinks = [await subscribe('a'), await subscribe('a')]
    const retries = new Set<unknown>()
    for (let n = 0; n < 5; n++) retries.add(await isBusy(t, app))
    t.ok(retries.size > 1, 'the delays of the reconnects differ')
    t.equal(
      (await send({ method: 'GET', url: URL, headers: { accept: 'application/json' } })).statusCode,
      200,
      'history is not a stream',
    )
    sinks[0]!.close()
    t.match((await open(app, URL)).blocks[0], { event: { type: 'fanfare.open' } })
  })

  await t.test('while the hub stops', async (t) => {
    const { app } = await openApp(t)
    await hubOf(app).drain(0)
    await isBusy(t, app)
    await isBusy(t, app)
  })

  await t.test('HEAD has no body then', async (t) => {
    const { app } = await openApp(t)
    const port = Number(new globalThis.URL(await listen(app)).port)
    await hubOf(app).drain(0)
    const socket = net.connect(port, '127.0.0.1')
    t.teardown(() => void socket.destroy())
    socket.write(`HEAD ${URL} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${anyTopic()}\r\n\r\n`)
    let text = ''
    for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString()
    t.match(text, /^HTTP\/1\.1 200 /)
    t.equal(text.slice(text.indexOf('\r\n\r\n') + 4), '', 'RFC 9110, 9.3.2')
  })

  await t.test('a final refusal stops an EventSource', async (t) => {
    const { app, send } = await openApp(t)
    await hubOf(app).drain(0)
    isProblem(
      t,
      await send({ method: 'GET', url: URL, headers: { authorization: 'Bearer x', accept: 'text/event-stream' } }),
      401,
      'malformed-token',
    )
  })
})

await t.test('over a socket', async (t) => {
  const { app } = await openApp(t)
  const url = await listen(app)

  await t.test('the head and the first block arrive at once, before any event', async (t) => {
    const stream = await openStream(t, `${url}${URL}`, { token: anyTopic() })
    t.match(await stream.told('open'), { topics: ['orders.42'] })
    t.match(stream.headers, { 'transfer-encoding': 'chunked', connection: 'close' })
    t.equal(hubOf(app).connections.size, 1)
    stream.destroy()
    await until(() => hubOf(app).connections.size === 0)
  })

  await t.test('a stream works over HTTP/1.0, and for a pipelined request', async (t) => {
    const { port } = new globalThis.URL(url)
    for (const [version, prelude] of [
      ['1.0', ''],
      ['1.1', `GET /status HTTP/1.1\r\nhost: x\r\n\r\n`],
    ] as const) {
      const socket = net.connect(Number(port), '127.0.0.1')
      t.teardown(() => void socket.destroy())
      let text = ''
      socket.on('data', (chunk: Buffer) => void (text += chunk.toString()))
      socket.write(`${prelude}GET ${URL} HTTP/${version}\r\nhost: x\r\nauthorization: Bearer ${anyTopic()}\r\n\r\n`)
      await until(() => text.includes('fanfare.open'))
      await hubOf(app).publish('orders.42', { data: `for ${version}` })
      await until(() => text.includes(`data: "for ${version}"\n\n`))
      t.match(text, /HTTP\/1\.1 200 OK/)
      t.match(text, /retry: \d+\nid: \S+\nevent: fanfare\.open\n/)
      const begin = text.lastIndexOf('HTTP/1.1 200 OK')
      const body = Buffer.from(text.slice(text.indexOf('\r\n\r\n', begin) + 4))
      if (version === '1.0') t.match(body.toString(), /^retry: /, 'the body ends with the connection')
      else t.equal(decodeChunks(body).parts.length, 2, 'each write is a chunk')
      t.equal(/transfer-encoding: chunked/i.test(text.slice(begin)), version === '1.1')
      socket.destroy()
      await until(() => hubOf(app).connections.size === 0)
    }
  })

  await t.test('a stream whose client has disconnected is closed, and its events remain in the log', async (t) => {
    const selection = new Selection(['orders.42'])
    const request = http.get(`${url}${URL}`, { headers: { authorization: `Bearer ${anyTopic()}` } })
    request.on('error', () => undefined)
    await until(() => hubOf(app).connections.size === 1)
    request.destroy()
    await until(() => hubOf(app).connections.size === 0)
    const { head } = hubOf(app)
    t.match(await hubOf(app).publish('orders.42', { data: 1 }), { subscribers: 0 })
    t.equal((await hubOf(app).read(selection, { after: head, events: 9 })).events.length, 1)
  })
})

await t.test('parameters of the other representation are refused', async (t) => {
  const { send } = await openApp(t)
  for (const query of ['after=x-1', 'before=x-1', 'limit=5', 'last=5']) {
    t.match(
      isProblem(
        t,
        await send({ url: `${URL}?${query}`, headers: { accept: 'text/event-stream' } }),
        400,
        'invalid-request',
        query,
      ).detail,
      /page of history/,
    )
  }
  for (const query of [
    'lastEventId=x',
    'replay=1',
    'format=json',
    'cursor=a',
    'slow=latest',
    'presence=false',
    'observe=true',
  ]) {
    t.match(
      isProblem(
        t,
        await send({ url: `${URL}?${query}`, headers: { accept: 'application/json' } }),
        400,
        'invalid-request',
        query,
      ).detail,
      /event stream/,
    )
  }
  for (const query of [
    'replay=1&from=start',
    'replay=0&from=start',
    'from=now',
    'from=',
    'from=2026-12-31',
    'from=2026-02-30T00:00:00Z',
    'from=1',
    'replay=newest',
    'format=xml',
    'observe=yes',
    'type=',
  ]) {
    isProblem(
      t,
      await send({ url: `${URL}?${query}`, headers: { accept: 'text/event-stream' } }),
      400,
      'invalid-request',
      query,
    )
  }
  t.match(
    isProblem(
      t,
      await send({ url: `${URL}?from=2999-01-01T00:00:00Z`, headers: { accept: 'text/event-stream' } }),
      400,
      'invalid-request',
    ).detail,
    /in the future/,
  )
  isProblem(
    t,
    await send({ method: 'POST', url: `${URL}?type=x`, payload: { data: 1 } }),
    400,
    'invalid-request',
    'the type of a JSON event is a member',
  )
})

await t.test('an empty last event id counts as missing', async (t) => {
  const { app } = await openApp(t)
  for (const data of [1, 2, 3]) await hubOf(app).publish('a', { data, type: 'x' })
  const read = async (query: string) => {
    const { blocks } = await open(
      app,
      `/topics/a/events?${query}`,
      { 'last-event-id': '' },
      (text) => text.includes('fanfare.live') && text.endsWith('\n\n'),
    )
    return blocks.flatMap(({ event }) => (event && !event.type.startsWith('fanfare.') ? [event.data] : []))
  }
  t.strictSame(await read(`lastEventId=${hubOf(app).epoch}-1`), ['2', '3'])
  t.strictSame(await read('lastEventId=&replay=1'), ['3'])
  t.strictSame(await read('from=start'), ['1', '2', '3'])
  t.strictSame(await read('from=2020-01-01T00:00:00%2B02:00'), ['1', '2', '3'])
  t.strictSame(await read('from=2016-12-31T23:59:60Z'), ['1', '2', '3'])
  t.strictSame(await read('replay=latest'), ['3'])
  t.match(
    (await read('replay=latest&format=json')).map((text) => JSON.parse(text) as unknown),
    [{ id: `${hubOf(app).epoch}-3`, topic: 'a', type: 'x', data: 3 }],
  )
})

await t.test('the clock of a client may be ahead by the tolerance', async (t) => {
  const { app, send } = await openApp(t, { clockTolerance: 60_000 })
  await hubOf(app).publish('a', { data: 1 })
  const from = (ahead: number) => `/topics/a/events?from=${new Date(Date.now() + ahead).toISOString()}`
  const { blocks } = await open(app, from(50_000), {}, (text) => text.includes('fanfare.live'))
  t.strictSame(
    blocks.map(({ event }) => event?.type).slice(0, 2),
    ['fanfare.open', 'fanfare.live'],
    'a time within the tolerance means now',
  )
  isProblem(t, await send({ url: from(120_000), headers: { accept: 'text/event-stream' } }), 400, 'invalid-request')
})

await t.test('a reserved topic of the hub that does not exist is refused', async (t) => {
  const { app, send } = await openApp(t)
  const admin = { authorization: `Bearer ${token({ sub: 'root', subscribe: ['**'], admin: true })}` }
  for (const topic of ['fanfare', 'fanfare.nope', 'fanfare.nope.*', 'fanfare.stats.x', 'fanfare.*.*']) {
    for (const accept of ['text/event-stream', 'application/json']) {
      const { detail } = isProblem(
        t,
        await send({ url: `/events?topic=a&topic=${topic}`, headers: { ...admin, accept } }),
        404,
        'not-found',
        `${topic} ${accept}`,
      )
      t.match(detail, /fanfare\.stats and fanfare\.connections/)
    }
    isProblem(
      t,
      await send({ url: `/topics/${topic}/events`, headers: { accept: 'text/event-stream' } }),
      403,
      'not-granted',
      `${topic}, without admin`,
    )
  }
  for (const topic of ['fanfare.stats', 'fanfare.connections', 'fanfare.*', 'fanfare.**', 'fanfare.*,a']) {
    const query = topic
      .split(',')
      .map((name) => `topic=${name}`)
      .join('&')
    t.equal((await open(app, `/events?${query}`, admin)).statusCode, 200, topic)
  }
  const stream = await openStream(t, `${app.listeningOrigin}/topics/a/events`, { headers: admin })
  const change = (subscribe: string[]) =>
    send({
      method: 'PATCH',
      url: `/connections/${String(stream.headers['fanfare-connection'])}`,
      payload: { subscribe },
      headers: admin,
    })
  isProblem(t, await change(['fanfare.nope']), 404, 'not-found')
  t.equal((await change(['fanfare.stats'])).statusCode, 200)
})

await t.test('only admins may observe', async (t) => {
  const { app, send } = await openApp(t)
  const ask = (bearer: string) =>
    send({ url: `${URL}?observe=true`, headers: { accept: 'text/event-stream', authorization: `Bearer ${bearer}` } })
  isProblem(t, await ask(token({ sub: 'ann', subscribe: ['**'] })), 403, 'not-granted')
  const origin = await listen(app)
  const watcher = await fetch(`${origin}${URL}?observe=true`, {
    headers: { authorization: `Bearer ${token({ sub: 'root', subscribe: ['**'], presence: ['**'], admin: true })}` },
  })
  t.equal(watcher.status, 200)
  t.match((await send({ url: '/topics/orders.42' })).json(), { subscribers: 0 })
  t.strictSame(await hubOf(app).present('orders.42'), [])
  t.equal(hubOf(app).connections.size, 1)
  await watcher.body?.cancel()
})
