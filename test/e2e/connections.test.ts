/** Open streams over real sockets: describing, changing topics, replacing the token, and ending them. */
import t, { type Test } from 'tap'
import { post, publish, request, type Answer } from '../helper/http.js'
import { checkProblem } from '../helper/problem.js'
import { startHub } from '../helper/process.js'
import { openLive, openStream, streamUrl, type EventStream } from '../helper/stream.js'
import { token } from '../helper/token.js'

const publisher = token({ publish: ['**'] })
const admin = token({ sub: 'root', admin: true })
const ann = token({ sub: 'ann', subscribe: ['**'] })

interface Connection {
  id: string
  subject: string | null
  topics: string[]
  since: string
  cursor: string
  expiresAt: string | null
  sent: { events: number; bytes: number }
  lag: number
}

const hub = await startHub(t)

function idOf(stream: EventStream): string {
  return String(stream.headers['fanfare-connection'])
}

function call<Body = unknown>(
  method: string,
  path: string,
  bearer: string | undefined,
  body?: unknown,
): Promise<Answer<Body>> {
  const headers: Record<string, string> = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }
  if (body !== undefined) headers['content-type'] = 'application/json'
  return request<Body>(`${hub.url}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

function patch(stream: EventStream, body: object, bearer = ann): Promise<Answer<{ topics: string[] }>> {
  return call('PATCH', `/connections/${idOf(stream)}`, bearer, body)
}

async function open(t: Test, topics: string[], bearer = ann, query: Record<string, string> = {}): Promise<EventStream> {
  return openLive(t, streamUrl(hub, topics, query), { token: bearer })
}

await t.test('a stream is described to its own subject and to admins', async (t) => {
  const expiring = token({ sub: 'ann', subscribe: ['**'], exp: 4_000_000_000 })
  const before = Date.now()
  const stream = await open(t, ['described.b', 'described.a.*'], expiring)
  const last = await publish(hub, 'described.a.1', { data: 'x' }, publisher)
  await stream.count(1)
  for (const bearer of [ann, admin]) {
    const { status, body } = await call<Connection>('GET', `/connections/${idOf(stream)}`, bearer)
    t.equal(status, 200)
    t.strictSame(Object.keys(body), [
      'id',
      'subject',
      'topics',
      'since',
      'cursor',
      'expiresAt',
      'sent',
      'lag',
      'address',
    ])
    t.match(body, {
      id: idOf(stream),
      subject: 'ann',
      topics: ['described.a.*', 'described.b'],
      cursor: last.id,
      expiresAt: new Date(4e12).toISOString(),
      sent: { events: 1 },
      lag: 0,
    })
    t.ok(Date.parse(body.since) >= before - 5 && Date.parse(body.since) <= Date.now(), body.since)
    t.ok(body.sent.bytes > 100)
  }
  const anonymous = await open(t, ['described.b'], token({ subscribe: ['**'] }))
  t.match((await call('GET', `/connections/${idOf(anonymous)}`, admin)).body, { subject: null, expiresAt: null })

  const refused: [string | undefined, string, number, string][] = [
    [undefined, idOf(stream), 401, 'missing-token'],
    [token({ sub: 'eve', subscribe: ['**'] }), idOf(stream), 403, 'not-granted'],
    [token({ subscribe: ['**'] }), idOf(stream), 403, 'not-granted'],
    [token({ subscribe: ['**'] }), idOf(anonymous), 403, 'not-granted'],
    [undefined, 'nobody', 401, 'missing-token'],
    [ann, 'nobody', 404, 'not-found'],
    [ann, '__proto__', 404, 'not-found'],
  ]
  for (const [bearer, id, status, code] of refused) {
    for (const [method, path, body] of [
      ['GET', ''],
      ['PATCH', '', { subscribe: ['x'] }],
      ['PUT', '/token'],
      ['DELETE', ''],
    ] as const) {
      const problem = checkProblem(
        t,
        await call(method, `/connections/${id}${path}`, bearer, body),
        status,
        `${method} ${id}`,
      )
      t.equal(problem.code, code, problem.detail)
    }
  }
  t.notOk(stream.isClosed)
})

await t.test('topics are added to and removed from an open stream, in order and without loss', async (t) => {
  const stream = await open(t, ['live.a'])
  await publish(hub, 'live.b', { data: 'before' }, publisher)
  t.match(await patch(stream, { subscribe: ['live.b'] }), { status: 200, body: { topics: ['live.a', 'live.b'] } })
  const during = await publish(hub, 'live.b', { data: 1 }, publisher)
  t.equal(during.subscribers, 1)
  await stream.count(1)
  t.match(await patch(stream, { unsubscribe: ['live.a'], subscribe: ['live.c.*'] }), {
    status: 200,
    body: { topics: ['live.b', 'live.c.*'] },
  })
  t.equal((await publish(hub, 'live.a', { data: 'dropped' }, publisher)).subscribers, 0)
  const last = await publish(hub, 'live.c.1', { data: 2 }, publisher)
  await stream.until(() => stream.lastId === last.id)
  t.match(stream.events, [
    { id: during.id, topic: 'live.b', data: '1' },
    { id: last.id, topic: 'live.c.1', data: '2' },
  ])
  const opened = stream.all
    .filter(({ type }) => type === 'fanfare.open')
    .map(({ data }) => JSON.parse(data) as { topics: string[]; connection: string })
  t.match(opened, [{ topics: ['live.a'] }, { topics: ['live.a', 'live.b'] }, { topics: ['live.b', 'live.c.*'] }])
  t.ok(opened.every(({ connection }) => connection === idOf(stream)))

  t.match((await patch(stream, {})).body, { topics: ['live.b', 'live.c.*'] }, 'an empty change changes nothing')
  t.match((await patch(stream, { unsubscribe: ['never.held'] })).body, { topics: ['live.b', 'live.c.*'] })
  t.match(
    (await patch(stream, { unsubscribe: ['live.b', 'live.c.*'] })).body,
    { topics: [] },
    'a stream may have no topics',
  )
  t.match((await patch(stream, { subscribe: ['live.a'] })).body, { topics: ['live.a'] })
  const again = await publish(hub, 'live.a', { data: 3 }, publisher)
  await stream.until(() => stream.lastId === again.id)
})

await t.test('a requested replay of an added topic comes first', async (t) => {
  for (let n = 0; n < 5; n++) await publish(hub, 'past.b', { data: n }, publisher)
  const stream = await open(t, ['past.a'])
  const cursor = stream.lastId
  t.equal((await patch(stream, { subscribe: ['past.b'], replay: 3 })).status, 200)
  await stream.count(3)
  t.strictSame(
    stream.events.map(({ data, id }) => [data, id]),
    [
      ['2', undefined],
      ['3', undefined],
      ['4', undefined],
    ],
  )
  t.equal(stream.lastId, cursor, 'the cursor does not go back')
  const next = await publish(hub, 'past.b', { data: 5 }, publisher)
  await stream.until(() => stream.lastId === next.id)
  t.equal(stream.events.length, 4)
})

await t.test('a replay ends with the subscription that requested it', async (t) => {
  for (let n = 0; n < 3; n++) await publish(hub, 'orders.43', { data: n }, publisher)
  const stream = await open(t, ['orders.*'])
  t.strictSame((await patch(stream, { subscribe: ['orders.43'], unsubscribe: ['orders.*'], replay: 5 })).body, {
    topics: ['orders.43'],
  })
  await stream.count(3)
  await publish(hub, 'orders.44', { data: 'another' }, publisher)
  t.equal((await patch(stream, { subscribe: ['orders.*', 'orders.43'], replay: 2 })).status, 200)
  await stream.count(5)
  t.equal(
    (await patch(stream, { subscribe: ['orders.43'], replay: 3 })).status,
    200,
    'a topic that the stream already has gets no replay',
  )
  await publish(hub, 'orders.43', { data: 'live' }, publisher)
  await stream.until(() => stream.events.at(-1)?.data === '"live"')
  t.strictSame(
    stream.events.map(({ data }) => data),
    ['0', '1', '2', '2', '"another"', '"live"'],
  )
})

await t.test('a change is refused as a whole', async (t) => {
  const limited = token({ sub: 'ann', subscribe: ['mine.*'] })
  const stream = await open(t, ['mine.a'], limited)
  const refused: [object, number, string][] = [
    [{ subscribe: ['mine.b', 'other.a'] }, 403, 'not-granted'],
    [{ subscribe: ['**'] }, 403, 'not-granted'],
    [{ subscribe: ['mine.**'] }, 403, 'not-granted'],
    [{ subscribe: ['fanfare.stats'] }, 403, 'not-granted'],
    [{ subscribe: ['mine..b'] }, 400, 'invalid-pattern'],
    [{ unsubscribe: [''] }, 400, 'invalid-pattern'],
    [{ subscribe: 'mine.b' }, 400, 'invalid-request'],
    [{ subscribe: ['mine.b'], replay: 1_001 }, 400, 'invalid-request'],
    [{ subscribe: ['mine.b'], replay: '3' }, 400, 'invalid-request'],
    [{ subscribe: ['mine.b'], more: 1 }, 400, 'invalid-request'],
    [{ subscribe: Array.from({ length: 100 }, (_, n) => `mine.t${n}`) }, 400, 'invalid-request'],
  ]
  for (const [body, status, code] of refused) {
    const problem = checkProblem(t, await patch(stream, body, limited), status, JSON.stringify(body).slice(0, 60))
    t.equal(problem.code, code, problem.detail)
  }
  t.match(
    checkProblem(t, await patch(stream, { subscribe: ['mine.**'] }, admin), 403, 'by an admin').detail,
    /The token of the stream/,
  )
  t.equal(
    (await patch(stream, { subscribe: ['mine.**'] }, admin)).status,
    403,
    "an admin cannot add topics beyond the grants of the stream's token",
  )
  t.equal(
    (await patch(stream, { subscribe: ['other.a'] }, token({ sub: 'ann', subscribe: ['**'] }))).status,
    403,
    "another token of the subject cannot either, unless it replaces the stream's token",
  )
  t.match((await call<Connection>('GET', `/connections/${idOf(stream)}`, limited)).body, { topics: ['mine.a'] })
  t.match(
    (await patch(stream, { subscribe: ['mine.b'] }, admin)).body,
    { topics: ['mine.a', 'mine.b'] },
    'an admin can add topics within the grants',
  )
})

await t.test('a new token of the subject extends or narrows a stream', async (t) => {
  const soon = Math.ceil(Date.now() / 1_000) + 1
  const stream = await open(
    t,
    ['renew.a', 'renew.b'],
    token({ sub: 'ann', subscribe: ['renew.a', 'renew.b'], exp: soon }),
  )
  const put = (bearer: string) =>
    call<{ topics: string[]; expiresAt: string }>('PUT', `/connections/${idOf(stream)}/token`, bearer)
  t.match(await put(token({ sub: 'ann', subscribe: ['renew.*', 'more'], exp: 4_000_000_000 })), {
    status: 200,
    body: { topics: ['renew.a', 'renew.b'], expiresAt: new Date(4e12).toISOString() },
  })
  t.equal((await patch(stream, { subscribe: ['more'] })).status, 200, 'a topic that the new token grants can be added')
  const other = await open(t, ['renew.a'], token({ sub: 'ann', subscribe: ['renew.a'], exp: soon }))
  await other.closed
  t.match(await other.told('close'), { reason: 'expired' })
  t.notOk(stream.isClosed, 'the stream outlives its first token')

  t.match(await put(token({ sub: 'ann', subscribe: ['renew.b'] })), {
    status: 200,
    body: { topics: ['renew.b'], expiresAt: null },
  })
  await publish(hub, 'renew.a', { data: 'dropped' }, publisher)
  const last = await publish(hub, 'renew.b', { data: 1 }, publisher)
  await stream.until(() => stream.lastId === last.id)
  t.strictSame(
    stream.events.map(({ data }) => data),
    ['1'],
  )
  t.match(JSON.parse(stream.all.findLast(({ type }) => type === 'fanfare.open')!.data), { topics: ['renew.b'] })

  t.equal(checkProblem(t, await put(token({ sub: 'eve', subscribe: ['**'] })), 403, 'refused').code, 'not-granted')
  t.equal(
    checkProblem(t, await put(admin), 403, 'refused').code,
    'not-granted',
    'the token of an admin with another subject is refused',
  )
  t.match(await put(token({ sub: 'ann', exp: Math.floor(Date.now() / 1_000) + 1 })), {
    status: 200,
    body: { topics: [] },
  })
  await stream.closed
  t.match(await stream.told('close'), { reason: 'expired' }, 'a new token may end earlier')
})

await t.test('a stream may get a token without expiry', async (t) => {
  const stream = await open(t, ['ever.a'], token({ sub: 'ann', subscribe: ['**'], exp: Number.MAX_SAFE_INTEGER }))
  t.match(await call('GET', `/connections/${idOf(stream)}`, admin), {
    status: 200,
    body: { expiresAt: '9999-12-31T23:59:59.999Z' },
  })
  for (const exp of [1e300, 1e12, 253_402_300_800]) {
    t.match(await call('PUT', `/connections/${idOf(stream)}/token`, token({ sub: 'ann', subscribe: ['**'], exp })), {
      status: 200,
      body: { expiresAt: '9999-12-31T23:59:59.999Z' },
    })
  }
  t.equal((await call('GET', '/connections', admin)).status, 200)
})

await t.test('a subject or an admin can end streams within a second', async (t) => {
  const streams = await Promise.all([
    open(t, ['end.a']),
    open(t, ['end.a']),
    open(t, ['end.a'], token({ sub: 'bob', subscribe: ['**'] })),
    open(t, ['end.a'], token({ sub: 'bob', subscribe: ['**'] })),
  ])
  const before = performance.now()
  t.equal((await call('DELETE', `/connections/${idOf(streams[0])}`, ann)).status, 204)
  t.match(await streams[0].told('close'), { reason: 'revoked' })
  t.equal((await call('DELETE', `/connections/${idOf(streams[1])}`, admin)).status, 204)
  t.equal((await call('DELETE', '/connections?subject=bob', ann)).status, 403)
  t.equal((await call('DELETE', '/connections?subject=bob', undefined)).status, 401)
  t.equal((await call('DELETE', '/connections', admin)).status, 400)
  t.match(await call('DELETE', '/connections?subject=bob', admin), { status: 200, body: { closed: 2 } })
  t.match(await call('DELETE', '/connections?subject=bob', admin), { status: 200, body: { closed: 0 } })
  for (const stream of streams) t.ok((await stream.closed) - before < 1_000)
  for (const stream of streams.slice(2)) t.match(await stream.told('close'), { reason: 'revoked' })
  t.equal((await call('GET', `/connections/${idOf(streams[0])}`, ann)).status, 404)
})

await t.test('admins can list the open streams in pages', async (t) => {
  await Promise.all([
    ...Array.from({ length: 7 }, (_, n) =>
      open(t, [`list.${n % 2}`, 'list.all'], token({ sub: `s${n % 3}`, subscribe: ['**'] })),
    ),
    open(t, ['list.*']),
  ])
  type Page = { connections: Connection[]; more: boolean; cursor: string | null }
  const get = (query: string) => call<Page>('GET', `/connections?${query}`, admin)
  t.equal((await get('topic=list.all')).body.connections.length, 8)
  t.equal((await get('topic=list.1')).body.connections.length, 4, 'also streams that receive the topic by a pattern')
  t.equal((await get('topic=list.*')).body.connections.length, 1)
  t.equal((await get('topic=list.all&subject=s0')).body.connections.length, 3)
  const seen: string[] = []
  let page: Page = { connections: [], more: true, cursor: null }
  while (page.more) {
    page = (
      await get(`topic=list.all&limit=3${page.cursor === null ? '' : `&after=${encodeURIComponent(page.cursor)}`}`)
    ).body
    seen.push(...page.connections.map(({ id }) => id))
  }
  t.equal(new Set(seen).size, 8)
  t.strictSame((await get('subject=nobody')).body, { connections: [], more: false, cursor: null })
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'topic=a..b']) t.equal((await get(query)).status, 400, query)
  t.equal(checkProblem(t, await call('GET', '/connections', ann), 403, 'refused').code, 'not-granted')
  t.equal(checkProblem(t, await call('GET', '/connections', undefined), 401, 'refused').code, 'missing-token')
})

await t.test("a page's ten widgets live on one connection", async (t) => {
  const widgets = Array.from({ length: 10 }, (_, n) => `widget.${n}`)
  for (const topic of widgets) await publish(hub, topic, { data: 'first' }, publisher)
  const clients = async () => (await request<{ clients: number }>(`${hub.url}/status`)).body.clients
  const before = await clients()
  const stream = await open(t, [widgets[0]!], ann, { replay: '1' })
  const shown = new Map<string, string>()
  const show = () => stream.events.forEach(({ topic, data }) => shown.set(topic ?? widgets[0]!, data))
  for (const topic of widgets.slice(1)) t.equal((await patch(stream, { subscribe: [topic], replay: 1 })).status, 200)
  await stream.count(10)
  show()
  t.strictSame([...shown.keys()].sort(), widgets, 'each widget has its newest value at once')
  t.equal(await clients(), before + 1, 'the page has one connection')
  await patch(stream, { unsubscribe: widgets.slice(5) })
  const { body } = await post<{ events: { id: string }[] }>(
    `${hub.url}/events`,
    { events: widgets.map((topic) => ({ topic, data: 'second' })) },
    publisher,
  )
  await stream.until(() => stream.lastId === body.events[4]!.id)
  show()
  t.strictSame(
    widgets.map((topic) => shown.get(topic)),
    [...Array<string>(5).fill('"second"'), ...Array<string>(5).fill('"first"')],
  )

  // the client reconnects as EventSource does, with its former topics
  const cursor = stream.lastId!
  stream.destroy()
  await publish(hub, 'widget.2', { data: 'missed' }, publisher)
  const again = await openLive(t, streamUrl(hub, widgets.slice(0, 5)), { token: ann, lastEventId: cursor })
  t.match(again.events, [{ topic: 'widget.2', data: '"missed"' }])
})

await t.test('a change of a stream that lags behind keeps the order', async (t) => {
  const topic = 'behind.a'
  const large = 'x'.repeat(60_000)
  const stream = await openStream(t, streamUrl(hub, [topic]), {
    token: ann,
    keep: ({ data, ...event }) => ({ ...event, data: data.slice(0, 10) }),
  })
  await stream.told('open')
  stream.pause()
  for (let n = 0; n < 200; n++) await publish(hub, topic, { text: large }, publisher)
  const { body } = await call<Connection>('GET', `/connections/${idOf(stream)}`, ann)
  t.ok(body.lag > 0, `the stream lags ${body.lag} events behind`)
  t.equal((await patch(stream, { subscribe: ['behind.b'] })).status, 200)
  const last = await publish(hub, 'behind.b', { data: 'end' }, publisher)
  stream.resume()
  await stream.until(() => stream.lastId === last.id)
  t.equal(stream.events.length, 201)
  const ids = stream.events.map(({ id }) => Number(id!.split('-')[1]))
  t.strictSame(
    ids,
    ids.toSorted((a, b) => a - b),
  )
  t.match(await call('GET', `/connections/${idOf(stream)}`, ann), { body: { lag: 0, cursor: last.id } })
})
