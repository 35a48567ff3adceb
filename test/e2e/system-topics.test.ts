/** The system topics, over real sockets. */
import t from 'tap'
import { publish, request, send } from '../helper/http.js'
import { checkProblem } from '../helper/problem.js'
import { startHub } from '../helper/process.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { token } from '../helper/token.js'

const admin = token({ sub: 'root', admin: true })
const ann = token({ sub: 'ann', subscribe: ['**'], publish: ['**'] })

const hub = await startHub(t)

interface Stats {
  connections: number
  events: { in: number; out: number }
  latency: { p50: number; p99: number }
}

await t.test('an admin gets the statistics once a second', async (t) => {
  const stats = await openLive(t, streamUrl(hub, ['fanfare.stats']), { token: admin })
  const subscriber = await openLive(t, streamUrl(hub, ['orders.*']), { token: ann })
  await stats.next(({ type }) => type === undefined) // wait for the beginning of a second
  for (let n = 0; n < 20; n++) await publish(hub, 'orders.1', { data: n }, ann)
  await subscriber.count(20)
  const { data, id } = await stats.next(
    ({ data, type }) => type === undefined && (JSON.parse(data) as Stats).events.in > 0,
  )
  const { connections, events, latency } = JSON.parse(data) as Stats
  t.equal(connections, 2)
  t.equal(id, undefined, 'the statistics are ephemeral')
  t.ok(events.out >= events.in, JSON.stringify(events))
  t.ok(latency.p50 > 0 && latency.p99 < 10_000, JSON.stringify(latency))
  const history = await request<{ events: unknown[] }>(streamUrl(hub, ['fanfare.stats']), {
    headers: { accept: 'application/json', authorization: `Bearer ${admin}` },
  })
  t.match(history.body, { events: [] })
})

await t.test('an admin gets every change of a stream', async (t) => {
  const told = await openLive(t, streamUrl(hub, ['fanfare.connections']), { token: admin })
  const stream = await openLive(t, streamUrl(hub, ['a']), { token: ann })
  const id = String(stream.headers['fanfare-connection'])
  const next = async () => JSON.parse((await told.next(({ data }) => data.includes(id))).data) as unknown
  t.match(await next(), { change: 'opened', id, subject: 'ann', topics: ['a'] })
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${ann}` }
  await request(`${hub.url}/connections/${id}`, {
    method: 'PATCH',
    headers,
    body: JSON.stringify({ subscribe: ['b'] }),
  })
  t.match(await next(), { change: 'changed', id, topics: ['a', 'b'] })
  const narrower = token({ sub: 'ann', subscribe: ['a', 'b'], exp: 4_000_000_000 })
  await request(`${hub.url}/connections/${id}/token`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${narrower}` },
  })
  t.match(await next(), { change: 'changed', id, topics: ['a', 'b'], expiresAt: '2096-10-02T07:06:40.000Z' })
  await request(`${hub.url}/connections/${id}`, { method: 'DELETE', headers: { authorization: `Bearer ${admin}` } })
  t.match(await next(), { change: 'closed', id, reason: 'revoked' })

  const leaving = await openLive(t, streamUrl(hub, ['a']), { token: ann })
  const gone = String(leaving.headers['fanfare-connection'])
  leaving.destroy()
  t.match(JSON.parse((await told.next(({ data }) => data.includes(gone) && data.includes('closed'))).data), {
    id: gone,
    reason: 'gone',
  })
})

await t.test('the end of a stream has its reason', async (t) => {
  const told = await openLive(t, streamUrl(hub, ['fanfare.connections']), { token: admin })
  const reasonOf = async (id: unknown) =>
    (
      JSON.parse((await told.next(({ data }) => data.includes(String(id)) && data.includes('closed'))).data) as {
        reason: string
      }
    ).reason
  const expiring = await openLive(t, streamUrl(hub, ['a']), {
    token: token({ sub: 'eve', subscribe: ['a'], exp: Math.floor(Date.now() / 1_000) + 2 }),
  })
  t.equal(await reasonOf(expiring.headers['fanfare-connection']), 'expired')
  const barred = await openLive(t, streamUrl(hub, ['a']), { token: token({ sub: 'bob', subscribe: ['a'] }) })
  await send(hub, 'POST', '/revocations', { token: admin, body: { subject: 'bob', until: '2999-01-01T00:00:00Z' } })
  t.equal(await reasonOf(barred.headers['fanfare-connection']), 'revoked')
})

await t.test('the statistics have all members of the contract', async (t) => {
  const stats = await openLive(t, streamUrl(hub, ['fanfare.stats']), { token: admin })
  await publish(hub, 'orders.2', { data: 'x'.repeat(1_000) }, ann)
  const before = Date.now()
  const { data, type, topic } = await stats.next(({ type }) => type === undefined)
  t.strictSame([type, topic], [undefined, undefined])
  const told = JSON.parse(data) as Record<string, unknown>
  const shapeOf = (value: unknown): unknown =>
    Array.isArray(value)
      ? 'array'
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shapeOf(member)]))
        : typeof value
  const traffic = { in: 'number', out: 'number' }
  t.strictSame(shapeOf(told), {
    time: 'string',
    connections: 'number',
    topics: 'number',
    events: traffic,
    busiest: 'array',
    bytes: traffic,
    latency: { p50: 'number', p99: 'number' },
    lagging: 'number',
    memory: 'number',
    log: { events: 'number', bytes: 'number' },
    eventLoopDelay: 'number',
  })
  t.ok(Math.abs(Date.parse(told['time'] as string) - before) < 10_000)
  t.match(await send(hub, 'GET', '/status'), { body: { clients: told['connections'], topics: told['topics'] } })
  t.ok((told['memory'] as number) > 10_000_000)
  const { data: later } = await stats.next(({ type }) => type === undefined)
  const seconds =
    (Date.parse((JSON.parse(later) as { time: string }).time) - Date.parse(told['time'] as string)) / 1_000
  t.ok(seconds > 0.5 && seconds < 10, `the next statistics after ${seconds} s`)
})

await t.test('events without a subscriber are not reported later', async (t) => {
  const quiet = await startHub(t)
  for (let n = 0; n < 50; n++) await publish(quiet, 'orders.1', { data: n }, ann)
  const stats = await openLive(t, streamUrl(quiet, ['fanfare.stats']), { token: admin })
  t.match(JSON.parse((await stats.next(({ type }) => type === undefined)).data), {
    events: { in: 0, out: 0 },
    log: { events: 50 },
  })
})

await t.test("an admin may read the hub's topics with a ticket or a cookie", async (t) => {
  const { ticket } = (await send<{ ticket: string }>(hub, 'POST', '/tickets', { token: admin })).body
  const streams = await Promise.all([
    openLive(t, streamUrl(hub, ['fanfare.stats'], { ticket })),
    openLive(t, streamUrl(hub, ['fanfare.*']), { headers: { cookie: `fanfare_token=${admin}` } }),
  ])
  for (const stream of streams) {
    await stream.next(({ data }) => data.includes('"eventLoopDelay"'))
    t.pass('the stream gets the next statistics')
  }
})

await t.test("no grant allows other tokens to read the hub's topics", async (t) => {
  const headers = { accept: 'text/event-stream' }
  const everything = token({
    sub: 'ann',
    subscribe: ['**', 'fanfare.**', 'fanfare.stats'],
    presence: ['**', 'fanfare.**'],
  })
  for (const topic of ['fanfare.stats', 'fanfare.connections', 'fanfare.*', 'fanfare.**']) {
    const path = `/topics/${topic}/events`
    t.equal(
      checkProblem(t, await send(hub, 'GET', path, { token: everything, headers }), 403, topic).code,
      'not-granted',
    )
    t.equal(
      checkProblem(
        t,
        await send(hub, 'GET', path, { token: everything, headers: { accept: 'application/json' } }),
        403,
        `${topic}: history`,
      ).code,
      'not-granted',
    )
    t.equal(
      checkProblem(
        t,
        await send(hub, 'GET', `/events?topic=a&topic=${topic}`, { token: everything, headers }),
        403,
        `${topic} beside another topic`,
      ).code,
      'not-granted',
    )
    t.equal(checkProblem(t, await send(hub, 'GET', path, { headers }), 401, `${topic}: no token`).code, 'missing-token')
  }
  const stream = await openLive(t, streamUrl(hub, ['**']), { token: everything })
  const own = `/connections/${String(stream.headers['fanfare-connection'])}`
  t.equal((await send(hub, 'PATCH', own, { token: everything, body: { subscribe: ['fanfare.stats'] } })).status, 403)
  t.equal(
    (await send(hub, 'PATCH', own, { token: admin, body: { subscribe: ['fanfare.stats'] } })).status,
    403,
    "an admin cannot add them to another subject's stream",
  )
  const listening = await openLive(t, streamUrl(hub, ['fanfare.stats']), { token: admin })
  await listening.next(({ type }) => type === undefined)
  const { id } = await publish(hub, 'a', { data: 'last' }, ann)
  await stream.until(() => stream.lastId === id)
  t.strictSame(
    stream.events.map(({ topic }) => topic),
    ['a'],
    'no pattern matches them',
  )
})

await t.test(`a stream loses the hub's topics if its new token has no "admin"`, async (t) => {
  const stream = await openLive(t, streamUrl(hub, ['fanfare.stats', 'a']), {
    token: token({ sub: 'ann', subscribe: ['a'], admin: true }),
  })
  t.match(
    await send(hub, 'PUT', `/connections/${String(stream.headers['fanfare-connection'])}/token`, {
      token: token({ sub: 'ann', subscribe: ['**'] }),
    }),
    { status: 200, body: { topics: ['a'] } },
  )
})

await t.test("no token can publish to the hub's topics", async (t) => {
  const bearer = token({ sub: 'root', publish: ['**', 'fanfare.**'], admin: true })
  for (const topic of ['fanfare.stats', 'fanfare.connections', 'fanfare', 'fanfare.mine']) {
    for (const [path, body] of [
      [`/topics/${topic}/events`, { data: 1 }],
      ['/events', { events: [{ topic, data: 1 }] }],
    ] as const) {
      t.equal(
        checkProblem(t, await send(hub, 'POST', path, { token: bearer, body }), 400, `${topic}: ${path}`).code,
        'reserved-topic',
      )
    }
  }
})
