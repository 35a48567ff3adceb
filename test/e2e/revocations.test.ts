/** Revocations over real sockets: tokens are refused before they expire, and their streams end. */
import t, { type Test } from 'tap'
import { poll } from '../helper/deadline.js'
import { publish, send, type Answer } from '../helper/http.js'
import { checkProblem } from '../helper/problem.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { token } from '../helper/token.js'

const UNTIL = '2999-01-01T00:00:00.000Z'
/** The additional time that a busy machine may need to notice the end of a stream, in milliseconds. */
const LAG = 250
const admin = token({ sub: 'root', admin: true })
const publisher = token({ publish: ['**'] })
const user = (sub: string, jti?: string) =>
  token({ sub, subscribe: ['**'], publish: ['**'], ...(jti === undefined ? {} : { jti }) })
const bob = user('bob')

interface Revocation {
  id: string
  subject?: string
  jti?: string
  until: string
}

const hub = await startHub(t)

function revoke(hub: Hub, body: object, bearer: string | undefined = admin): Promise<Answer<Revocation>> {
  return send(hub, 'POST', '/revocations', { token: bearer, body })
}

/** Returns the revocations in force of one subject. */
async function list(hub: Hub, sub: string): Promise<Revocation[]> {
  const { body } = await send<{ revocations: Revocation[] }>(hub, 'GET', '/revocations', { token: admin })
  return body.revocations.filter(({ subject }) => subject === sub)
}

function page(hub: Hub, bearer: string): Promise<Answer> {
  return send(hub, 'GET', '/topics/a/events', { token: bearer, headers: { accept: 'application/json' } })
}

async function isRevoked(t: Test, answer: Promise<Answer>, what: string): Promise<void> {
  const { headers, ...rest } = await answer
  t.equal(checkProblem(t, { headers, ...rest }, 401, what).code, 'revoked-token', what)
  t.match(headers.get('www-authenticate'), /error="invalid_token"/)
}

await t.test('a revocation ends all streams of the subject within a second, and no others', async (t) => {
  const { ticket } = (await send<{ ticket: string }>(hub, 'POST', '/tickets', { token: user('ann') })).body
  const [mine, others] = await Promise.all([
    Promise.all([
      openLive(t, streamUrl(hub, ['a']), { token: user('ann') }),
      openLive(t, streamUrl(hub, ['a', 'b.*']), { token: user('ann', 'j1') }),
      openLive(t, streamUrl(hub, ['a'], { ticket })),
      openLive(t, streamUrl(hub, ['a']), { headers: { cookie: `fanfare_token=${user('ann')}` } }),
    ]),
    Promise.all(
      [bob, token({ subscribe: ['a'] }), token({ sub: 'ann.b', subscribe: ['a'] })].map((bearer) =>
        openLive(t, streamUrl(hub, ['a']), { token: bearer }),
      ),
    ),
  ])
  const before = performance.now()
  t.equal((await revoke(hub, { subject: 'ann', until: UNTIL })).status, 201)
  for (const stream of mine) {
    t.ok((await stream.closed) - before < 1_000 + LAG)
    t.match(await stream.told('close'), { reason: 'revoked' })
  }
  const { id, subscribers } = await publish(hub, 'a', { data: 1 }, publisher)
  t.equal(subscribers, others.length)
  for (const stream of others) await stream.until(() => stream.lastId === id)
})

await t.test('a revoked stream that does not read ends too', async (t) => {
  const stream = await openLive(t, streamUrl(hub, ['a']), { token: user('sam') })
  const id = String(stream.headers['fanfare-connection'])
  stream.pause()
  for (let n = 0; n < 100; n++) await publish(hub, 'a', { text: 'x'.repeat(100_000) }, publisher)
  t.equal((await revoke(hub, { subject: 'sam', until: UNTIL })).status, 201)
  t.equal((await send(hub, 'GET', `/connections/${id}`, { token: admin })).status, 404)
})

await t.test('tokens of the subject are refused everywhere, including new ones', async (t) => {
  const { ticket } = (await send<{ ticket: string }>(hub, 'POST', '/tickets', { token: user('cleo') })).body
  t.equal((await page(hub, user('cleo'))).status, 200, 'a known token is valid before')
  await revoke(hub, { subject: 'cleo', until: UNTIL })
  await isRevoked(t, page(hub, user('cleo')), 'history')
  await isRevoked(t, page(hub, user('cleo', 'new')), 'a new token')
  await isRevoked(
    t,
    send({ url: '' }, 'GET', streamUrl(hub, ['a']), { token: user('cleo'), headers: { accept: 'text/event-stream' } }),
    'a stream',
  )
  await isRevoked(
    t,
    send({ url: '' }, 'GET', streamUrl(hub, ['a'], { ticket }), { headers: { accept: 'text/event-stream' } }),
    'a ticket',
  )
  await isRevoked(
    t,
    send({ url: '' }, 'GET', streamUrl(hub, ['a']), {
      session: user('cleo'),
      headers: { accept: 'text/event-stream' },
    }),
    'a cookie',
  )
  for (const [method, path, body] of [
    ['POST', '/topics/a/events', { data: 1 }],
    ['POST', '/tickets'],
    ['POST', '/sessions'],
    ['GET', '/topics'],
    ['GET', '/connections/x'],
  ] as const) {
    await isRevoked(t, send(hub, method, path, { token: user('cleo'), body }), `${method} ${path}`)
  }
  t.equal((await page(hub, bob)).status, 200, "another subject's token is valid")
})

await t.test('one token can be revoked by its jti', async (t) => {
  const [one, other] = await Promise.all(
    ['j1', 'j2'].map((jti) => openLive(t, streamUrl(hub, ['a']), { token: user('dora', jti) })),
  )
  const { status, body } = await revoke(hub, { jti: 'j1', until: '2999-01-01T01:00:00+01:00' })
  t.equal(status, 201)
  t.strictSame(body, { id: body.id, jti: 'j1', until: UNTIL })
  t.match(await one!.told('close'), { reason: 'revoked' })
  await isRevoked(t, page(hub, user('dora', 'j1')), 'the revoked token')
  t.equal((await page(hub, user('dora', 'j2'))).status, 200, 'another token of the subject is valid')
  t.notOk(other!.isClosed)
})

await t.test('only the current token of a stream is checked', async (t) => {
  const stream = await openLive(t, streamUrl(hub, ['a']), { token: user('eric', 'old') })
  const renew = (jti: string) =>
    send(hub, 'PUT', `/connections/${String(stream.headers['fanfare-connection'])}/token`, { token: user('eric', jti) })
  t.equal((await renew('new')).status, 200)
  await revoke(hub, { jti: 'old', until: UNTIL })
  const { id } = await publish(hub, 'a', { data: 1 }, publisher)
  await stream.until(() => stream.lastId === id)
  await isRevoked(t, renew('old'), 'a revoked token cannot renew the stream')
  await revoke(hub, { jti: 'new', until: UNTIL })
  t.match(await stream.told('close'), { reason: 'revoked' })
})

await t.test('a revocation ends at its time', async (t) => {
  const until = Date.now() + 1_500
  t.equal((await revoke(hub, { subject: 'fred', until: new Date(until).toISOString() })).status, 201)
  await isRevoked(t, page(hub, user('fred')), 'before')
  t.equal((await list(hub, 'fred')).length, 1)
  await poll(
    async () => ((await page(hub, user('fred'))).status === 200 ? true : undefined),
    () => 'the revocation does not end',
  )
  t.ok(Date.now() >= until, `${Date.now() - until} ms after the end of the revocation`)
  t.strictSame(await list(hub, 'fred'), [], 'an ended revocation is not listed')
  await openLive(t, streamUrl(hub, ['a']), { token: user('fred') })
})

await t.test('the revocations in force can be listed and lifted', async (t) => {
  const first = (await revoke(hub, { subject: 'gwen', until: UNTIL })).body
  const second = (await revoke(hub, { subject: 'gwen', until: UNTIL })).body
  t.strictSame(first, { id: first.id, subject: 'gwen', until: UNTIL })
  t.strictSame(await list(hub, 'gwen'), [first, second])
  const lift = (id: string) => send(hub, 'DELETE', `/revocations/${id}`, { token: admin })
  t.match(await lift(first.id), { status: 204, body: '' })
  t.strictSame(await list(hub, 'gwen'), [second])
  await isRevoked(t, page(hub, user('gwen')), 'the other revocation is still in force')
  t.equal((await lift(second.id)).status, 204)
  t.equal((await page(hub, user('gwen'))).status, 200)
  for (const id of [first.id, 'x', '__proto__']) t.equal(checkProblem(t, await lift(id), 404, id).code, 'not-found')
})

await t.test('revocations and their removal survive a restart and a kill', async (t) => {
  const env = { FANFARE_LOG: `file:${t.testdir()}` }
  let hub = await startHub(t, env)
  const kept = (await revoke(hub, { subject: 'ann', until: UNTIL })).body
  const lifted = (await revoke(hub, { subject: 'bob', until: UNTIL })).body
  t.equal((await send(hub, 'DELETE', `/revocations/${lifted.id}`, { token: admin })).status, 204)
  for (const end of ['kill', 'stop'] as const) {
    await hub[end]()
    hub = await startHub(t, env)
    await isRevoked(t, page(hub, user('ann')), end)
    t.equal((await page(hub, bob)).status, 200)
    t.strictSame(await list(hub, 'ann'), [kept])
  }
})

await t.test('only admins can revoke', async (t) => {
  const { id } = (await revoke(hub, { subject: 'eve', until: UNTIL })).body
  for (const [method, path, body] of [
    ['POST', '/revocations', { subject: 'bob', until: UNTIL }],
    ['GET', '/revocations'],
    ['DELETE', `/revocations/${id}`],
  ] as const) {
    t.match(
      checkProblem(t, await send(hub, method, path, { token: user('hugo'), body }), 403, method).detail,
      /"admin": true/,
    )
    t.equal(checkProblem(t, await send(hub, method, path, { body }), 401, method).code, 'missing-token')
  }
  t.match(await list(hub, 'eve'), [{ id }])
  t.strictSame(await list(hub, 'bob'), [])
})

await t.test('an admin can be revoked, even with their own token', async (t) => {
  const other = token({ sub: 'other', admin: true })
  t.equal((await revoke(hub, { subject: 'other', until: UNTIL }, other)).status, 201)
  await isRevoked(t, send(hub, 'GET', '/revocations', { token: other }), 'the revocation applies at once')
})

await t.test('an invalid revocation is refused', async (t) => {
  const bodies: object[] = [
    {},
    { until: UNTIL },
    { subject: 'ivan' },
    { subject: 'ivan', jti: 'j1', until: UNTIL },
    { subject: '', until: UNTIL },
    { subject: 'ivan', until: UNTIL, more: 1 },
    { subject: 'ivan', until: '2000-01-01T00:00:00Z' },
    { subject: 'ivan', until: 'tomorrow' },
    { subject: 'ivan', until: '2999-01-01' },
    { subject: 'ivan', until: 4_000_000_000 },
  ]
  for (const body of bodies)
    t.equal(checkProblem(t, await revoke(hub, body), 400, JSON.stringify(body)).code, 'invalid-request')
  t.strictSame(await list(hub, 'ivan'), [])
})
