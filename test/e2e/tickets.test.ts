/** Tickets over real sockets: they replace tokens in URLs. */
import t, { type Test } from 'tap'
import { poll } from '../helper/deadline.js'
import { publish, send, type Sending } from '../helper/http.js'
import { checkProblem } from '../helper/problem.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, openStream, streamUrl } from '../helper/stream.js'
import { token, type Grants } from '../helper/token.js'

const ORIGIN = 'https://app.example.com'
const STREAM = { accept: 'text/event-stream' }
const admin = token({ sub: 'root', admin: true })
const publisher = token({ publish: ['**'] })

interface Issued {
  ticket: string
  expiresAt: string
}

async function issue(t: Test, hub: Hub, grants: Grants = { sub: 'ann', subscribe: ['a'] }): Promise<Issued> {
  const { status, body, headers } = await send<Issued>(hub, 'POST', '/tickets', { token: token(grants) })
  t.equal(status, 201)
  t.equal(headers.get('cache-control'), 'no-store')
  t.strictSame(Object.keys(body), ['ticket', 'expiresAt'])
  return body
}

/** Requests a stream, which must be refused. Returns the refusal. */
async function refusal(
  t: Test,
  hub: Hub,
  ticket: string,
  status = 401,
  topic = 'a',
): Promise<{ code: string; detail: string }> {
  return checkProblem(
    t,
    await send({ url: '' }, 'GET', streamUrl(hub, [topic], { ticket }), { headers: STREAM }),
    status,
    topic,
  )
}

const hub = await startHub(t)
const listed = await startHub(t, { FANFARE_CORS_ORIGINS: ORIGIN, FANFARE_QUERY_TOKEN: 'true' })

await t.test('a ticket opens any number of streams for 60 s', async (t) => {
  const before = Date.now()
  const { ticket, expiresAt } = await issue(t, hub)
  t.ok(Date.parse(expiresAt) >= before + 60_000 && Date.parse(expiresAt) <= Date.now() + 60_000, expiresAt)
  t.match(ticket, /^[\w.-]+$/, 'the ticket needs no escaping in a URL')
  const streams = await Promise.all([
    openLive(t, streamUrl(hub, ['a'], { ticket })),
    openLive(t, `${hub.url}/events?topic=a&ticket=${ticket}`),
  ])
  const { id } = await publish(hub, 'a', { data: 1 }, publisher)
  for (const stream of streams) await stream.until(() => stream.lastId === id)
  streams[0].destroy()
  const missed = await publish(hub, 'a', { data: 2 }, publisher)
  const again = await openLive(t, streamUrl(hub, ['a'], { ticket }), { lastEventId: id })
  t.match(again.events, [{ id: missed.id }], 'the client reconnects with the ticket, like EventSource')
})

await t.test('a ticket has the grants and the subject of its token', async (t) => {
  const { ticket } = await issue(t, hub, { sub: 'ann', subscribe: ['a', 'users.{sub}.*'], presence: ['a'] })
  const stream = await openLive(t, streamUrl(hub, ['a', 'users.ann.inbox'], { ticket }))
  t.match(await send(hub, 'GET', `/connections/${String(stream.headers['fanfare-connection'])}`, { token: admin }), {
    body: { subject: 'ann', topics: ['a', 'users.ann.inbox'], expiresAt: null },
  })
  await openLive(t, streamUrl(hub, ['a'], { ticket, presence: 'true' }))
  for (const topic of ['b', 'users.bob.inbox', 'users.*.inbox', 'fanfare.stats']) {
    const { code, detail } = await refusal(t, hub, ticket, 403, topic)
    t.equal(code, 'not-granted')
    t.ok(detail.includes(JSON.stringify(topic)), detail)
  }
  await openLive(t, streamUrl(hub, ['fanfare.stats'], { ticket: (await issue(t, hub, { admin: true })).ticket }))
})

await t.test('a ticket expires no later than its token, and its streams end with the token', async (t) => {
  const exp = Math.floor(Date.now() / 1_000) + 2
  const { ticket, expiresAt } = await issue(t, hub, { sub: 'ann', subscribe: ['a'], exp })
  t.equal(Date.parse(expiresAt), exp * 1_000)
  const stream = await openLive(t, streamUrl(hub, ['a'], { ticket }))
  const closed = performance.timeOrigin + (await stream.closed)
  t.match(await stream.told('close'), { reason: 'expired' })
  t.ok(
    closed >= exp * 1_000 - 50 && closed < exp * 1_000 + 1_250,
    `${Math.round(closed - exp * 1_000)} ms after the expiry of the token`,
  )
  t.equal((await refusal(t, hub, ticket)).code, 'invalid-ticket')
})

await t.test('an expired ticket (FANFARE_TICKET_TTL) opens no stream, and its open streams continue', async (t) => {
  const hub = await startHub(t, { FANFARE_TICKET_TTL: '300ms' })
  const { ticket, expiresAt } = await issue(t, hub)
  const stream = await openLive(t, streamUrl(hub, ['a'], { ticket }))
  const head = () => send({ url: '' }, 'HEAD', streamUrl(hub, ['a'], { ticket }), { headers: STREAM })
  await poll(
    async () => ((await head()).status === 401 ? true : undefined),
    () => 'the ticket does not expire',
  )
  t.ok(Date.now() >= Date.parse(expiresAt), 'not before its expiry')
  t.match((await refusal(t, hub, ticket)).detail, /expired/)
  const later = await openLive(t, streamUrl(hub, ['a']), {
    token: token({ subscribe: ['a'], exp: Math.floor(Date.now() / 1_000) + 1 }),
  })
  await later.closed // the hub has since ended all streams whose time is over
  const { id } = await publish(hub, 'a', { data: 1 }, publisher)
  await stream.until(() => stream.lastId === id)
})

await t.test('a ticket is refused on other routes', async (t) => {
  const all: Grants = { sub: 'ann', subscribe: ['**'], publish: ['**'], presence: ['**'], admin: true }
  const { ticket } = await issue(t, listed, all)
  const stream = await openLive(t, streamUrl(listed, ['a'], { ticket }))
  const own = `/connections/${String(stream.headers['fanfare-connection'])}`
  const table: [method: string, path: string, sending?: Sending][] = [
    ['GET', '/topics/a/events', { headers: { accept: 'application/json' } }],
    ['POST', '/topics/a/events', { body: { data: 1 } }],
    ['POST', '/events', { body: { events: [{ topic: 'a', data: 1 }] } }],
    ['GET', '/topics'],
    ['GET', '/topics/a'],
    ['GET', '/topics/a/presence'],
    ['DELETE', '/topics/a/events'],
    ['POST', '/sessions'],
    ['POST', '/tickets'],
    ['GET', '/revocations'],
    ['POST', '/revocations', { body: { subject: 'bob', until: '2999-01-01T00:00:00Z' } }],
    ['DELETE', '/revocations/x'],
    ['GET', '/connections'],
    ['GET', own],
    ['PATCH', own, { body: { subscribe: ['b'] } }],
    ['PUT', `${own}/token`],
    ['DELETE', own],
    ['DELETE', '/connections?subject=ann'],
  ]
  for (const [method, path, sending] of table) {
    const inQuery = `${path}${path.includes('?') ? '&' : '?'}ticket=${ticket}`
    t.match(
      checkProblem(t, await send(listed, method, inQuery, { ...sending, origin: ORIGIN }), 401, `${method} ${path}`),
      { code: 'invalid-ticket', detail: /only opens event streams/ },
    )
    t.equal(
      checkProblem(
        t,
        await send(listed, method, path, { ...sending, token: ticket }),
        401,
        `${method} ${path}, as Bearer`,
      ).code,
      'invalid-ticket',
    )
    t.equal(
      checkProblem(
        t,
        await send(listed, method, path, { ...sending, session: ticket, origin: ORIGIN }),
        401,
        `${method} ${path}, as a cookie`,
      ).code,
      'invalid-ticket',
    )
  }
  t.equal((await refusal(t, listed, token(all))).code, 'invalid-ticket', 'a token is not accepted as a ticket')
  t.notOk(stream.isClosed)
  t.match(
    await send(listed, 'PATCH', own, { token: token(all), body: { subscribe: ['b'] } }),
    { status: 200, body: { topics: ['a', 'b'] } },
    'the token can change the stream of its ticket',
  )
})

await t.test('a ticket is issued for a token in the header or in the cookie', async (t) => {
  const bearer = token({ subscribe: ['a'] })
  t.equal((await send(listed, 'POST', '/tickets', { session: bearer, origin: ORIGIN })).status, 201)
  for (const [path, sending, status, code] of [
    ['/tickets', {}, 401, 'missing-token'],
    [`/tickets?token=${bearer}`, {}, 401, 'missing-token'],
    ['/tickets', { session: bearer }, 403, 'foreign-origin'],
    ['/tickets', { token: token({ exp: 1 }) }, 401, 'expired-token'],
  ] as const)
    t.equal(checkProblem(t, await send(listed, 'POST', path, sending), status, code).code, code)
})

await t.test('a ticket survives a restart with the log of the hub that issued it', async (t) => {
  const folder = `file:${t.testdir()}`
  let hub = await startHub(t, { FANFARE_LOG: folder })
  const { ticket } = await issue(t, hub)
  for (const end of ['stop', 'kill'] as const) {
    await hub[end]()
    hub = await startHub(t, { FANFARE_LOG: folder })
    await openLive(t, streamUrl(hub, ['a'], { ticket }))
    t.pass(end)
  }
})

await t.test('a ticket of another log, or of a memory log before a restart, is refused', async (t) => {
  const { ticket } = await issue(t, hub)
  const other = await startHub(t)
  t.match(
    await refusal(t, other, ticket),
    { code: 'invalid-ticket', detail: /not issued by this hub/ },
    'a hub that has issued no ticket',
  )
  await issue(t, other)
  t.match(
    await refusal(t, other, ticket),
    { code: 'invalid-ticket', detail: /not issued by this hub/ },
    'a hub that has issued tickets',
  )
})

await t.test('a ticket ends with a revocation of its token', async (t) => {
  const { ticket } = await issue(t, hub, { sub: 'ann', jti: 'j1', subscribe: ['a'] })
  const stream = await openStream(t, streamUrl(hub, ['a'], { ticket }))
  t.equal(
    (await send(hub, 'POST', '/revocations', { token: admin, body: { jti: 'j1', until: '2999-01-01T00:00:00Z' } }))
      .status,
    201,
  )
  t.match(await stream.told('close'), { reason: 'revoked' })
  t.equal((await refusal(t, hub, ticket)).code, 'revoked-token')
})
