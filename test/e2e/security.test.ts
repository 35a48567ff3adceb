/** Attacks with tokens, cookies and tickets on a hub in its own process. */
import { createHmac, generateKeyPairSync } from 'node:crypto'
import http from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { jwk, startKeyServer } from '../auth/key-server.js'
import { signWith, signWithSecret } from '../auth/sign.js'
import { poll } from '../helper/deadline.js'
import { post, request, type Answer } from '../helper/http.js'
import { checkProblem } from '../helper/problem.js'
import { startHub, type Hub } from '../helper/process.js'
import { openStream } from '../helper/stream.js'
import { SECRET, sign, token } from '../helper/token.js'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const otherRsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const CLAIMS = { sub: 'u1', fanfare: { subscribe: ['**'], publish: ['**'] } }

function ask({ url }: Hub, headers: Record<string, string>, path = '/topics/a/events'): Promise<Answer> {
  return request(url + path, { headers: { accept: 'application/json', ...headers } })
}

function askWith(hub: Hub, bearer: string, path?: string): Promise<Answer> {
  return ask(hub, { authorization: `Bearer ${bearer}` }, path)
}

async function isRefused(t: Test, answer: Promise<Answer>, status: number, code: string, what: string): Promise<void> {
  t.equal(checkProblem(t, await answer, status, what).code, code, what)
}

/**
 * Presents forged tokens until their refusal is final. With a key set, the refusal is temporary until the set has been
 * fetched after the first try.
 */
async function areForged(
  t: Test,
  hub: Hub,
  forged: readonly (readonly [what: string, bearer: string])[],
): Promise<void> {
  for (const [what, bearer] of forged) {
    const { status } = await askWith(hub, bearer)
    t.ok(status === 503 || status === 401, `${what}: ${status}`)
  }
  const [, any] = forged[0]!
  await poll(
    async () => (await askWith(hub, any)).status === 401 || undefined,
    () => 'the keys are not fetched again',
  )
  for (const [what, bearer] of forged) await isRefused(t, askWith(hub, bearer), 401, 'invalid-signature', what)
}

await t.test('algorithm confusion', async (t) => {
  const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const server = await startKeyServer(t, [
    jwk(rsa, { kid: 'k1' }),
    jwk(ec, { kid: 'k2' }),
    { kty: 'oct', kid: 'k3', k: Buffer.from(SECRET).toString('base64url') },
  ])
  const hubs = {
    'a public key': await startHub(t, { FANFARE_JWT_SECRET: '', FANFARE_JWT_PUBLIC_KEY: pem }),
    'a key set': await startHub(t, { FANFARE_JWT_SECRET: '', FANFARE_JWKS_URL: server.url }),
  }
  for (const [name, hub] of Object.entries(hubs)) {
    t.equal(
      (await askWith(hub, signWith(rsa.privateKey, 'RS256', CLAIMS, { kid: 'k1' }))).status,
      200,
      `${name}: RS256`,
    )
    const forged: [string, string][] = []
    for (const secret of [
      pem,
      pem.trim(),
      rsa.publicKey.export({ type: 'spki', format: 'der' }),
      rsa.publicKey.export({ type: 'pkcs1', format: 'pem' }),
      JSON.stringify(rsa.publicKey.export({ format: 'jwk' })),
    ]) {
      await isRefused(
        t,
        askWith(hub, signWithSecret(secret, CLAIMS, { kid: 'k1' })),
        401,
        'invalid-algorithm',
        `${name}: HS256 with the public key`,
      )
      forged.push([`${name}: HMAC under the name RS256`, signWithSecret(secret, CLAIMS, { kid: 'k1', alg: 'RS256' })])
    }
    await isRefused(
      t,
      askWith(hub, signWithSecret(SECRET, CLAIMS, { kid: 'k3' })),
      401,
      'invalid-algorithm',
      `${name}: a published secret`,
    )
    for (const alg of ['none', 'None', 'NONE', '', 'nonexistent', 'HS384', 'constructor'])
      await isRefused(
        t,
        askWith(hub, sign({ alg, typ: 'JWT', kid: 'k1' }, CLAIMS, 'x')),
        401,
        'invalid-algorithm',
        `${name}: ${alg}`,
      )
    await isRefused(
      t,
      askWith(hub, signWith(rsa.privateKey, 'RS256', CLAIMS, { kid: 'k1' }).replace(/[^.]+$/, '')),
      401,
      'invalid-algorithm',
      `${name}: RS256 without a signature`,
    )
    forged.push([`${name}: another key`, signWith(otherRsa.privateKey, 'RS256', CLAIMS, { kid: 'k1' })])
    forged.push([
      `${name}: a key inside the token`,
      signWith(otherRsa.privateKey, 'RS256', CLAIMS, {
        kid: 'k1',
        jwk: jwk(otherRsa),
        jku: server.url,
        x5u: server.url,
      }),
    ])
    await areForged(t, hub, forged)
  }
  t.equal(
    (await askWith(hubs['a key set'], signWith(ec.privateKey, 'ES256', CLAIMS, { kid: 'k2' }))).status,
    200,
    'ES256',
  )
  await areForged(t, hubs['a key set'], [
    ["another key's name", signWith(ec.privateKey, 'ES256', CLAIMS, { kid: 'k1' })],
  ])
})

await t.test('invalid and unknown kids', async (t) => {
  const server = await startKeyServer(t, [jwk(rsa, { kid: 'k1' }), jwk(otherRsa, { kid: 'k2' })])
  const hub = await startHub(t, { FANFARE_JWT_SECRET: '', FANFARE_JWKS_URL: server.url })
  t.equal((await askWith(hub, signWith(rsa.privateKey, 'RS256', CLAIMS, { kid: 'k1' }))).status, 200)
  const tricks = [
    '../../../../dev/null',
    '/dev/null',
    'k1\0',
    "k1' OR '1'='1",
    '__proto__',
    'constructor',
    'http://127.0.0.1/',
    'K1',
    'k1 ',
    '*',
  ]
  await areForged(
    t,
    hub,
    tricks.map((kid) => [JSON.stringify(kid), signWith(rsa.privateKey, 'RS256', CLAIMS, { kid })]),
  )
  for (const kid of ['', 'x'.repeat(5_000), 1, null, true, ['k1'], { toString: 'k1' }]) {
    await isRefused(
      t,
      askWith(hub, signWith(rsa.privateKey, 'RS256', CLAIMS, { kid })),
      401,
      'malformed-token',
      JSON.stringify(kid).slice(0, 30),
    )
  }
  for (const { privateKey } of [rsa, otherRsa])
    t.equal(
      (await askWith(hub, signWith(privateKey, 'RS256', CLAIMS))).status,
      200,
      'without kid, every key of the set is tried',
    )
  await areForged(t, hub, [
    [
      'without kid, signed with another key',
      signWith(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, 'RS256', CLAIMS),
    ],
  ])
  for (let n = 0; n < 100; n++) await askWith(hub, signWith(ec.privateKey, 'ES256', CLAIMS, { kid: `made-up-${n}` }))
  t.ok(server.fetches < 10, `the key server got ${server.fetches} requests`)
})

await t.test('an outage of the key server', async (t) => {
  const server = await startKeyServer(t, [jwk(rsa, { kid: 'k1' })])
  const [known, stranger] = [
    signWith(rsa.privateKey, 'RS256', CLAIMS, { kid: 'k1' }),
    signWith(otherRsa.privateKey, 'RS256', CLAIMS, { kid: 'k1' }),
  ]
  server.keys = undefined
  const hub = await startHub(t, { FANFARE_JWT_SECRET: '', FANFARE_JWKS_URL: server.url })
  const answer = await askWith(hub, known)
  t.equal(checkProblem(t, answer, 503, 'a page of history').code, 'keys-unavailable')
  t.match(answer.headers.get('retry-after'), /^\d+$/)
  const stream = await openStream(t, `${hub.url}/topics/a/events`, { token: known })
  t.match(await stream.told('close'), { reason: 'busy', retry: Number }, 'a stream is told to reconnect later')
  server.keys = [jwk(rsa, { kid: 'k1' })]
  await poll(
    async () => (await askWith(hub, known)).status === 200 || undefined,
    () => 'a known key is refused although its server is back',
  )
  server.keys = undefined
  t.equal(
    (await askWith(hub, signWith(rsa.privateKey, 'RS256', { ...CLAIMS, jti: 'new' }, { kid: 'k1' }))).status,
    200,
    'a token of a known key is accepted during the outage',
  )
  await isRefused(
    t,
    askWith(hub, stranger),
    503,
    'keys-unavailable',
    'a token of an unknown key is refused during the outage',
  )
})

await t.test('claims that are large or deeply nested', async (t) => {
  const hub = await startHub(t)
  t.equal(
    (await ask(hub, { authorization: `Bearer ${token({ subscribe: ['a'], info: 'x'.repeat(16_000) })}` })).status,
    431,
    'larger than the maximum headers',
  )
  const deep = JSON.parse('['.repeat(4_000) + ']'.repeat(4_000)) as unknown
  const bearer = token({ sub: 'u1', subscribe: ['a'], info: deep })
  t.equal((await askWith(hub, bearer)).status, 200, 'deep info')
  t.equal(
    (await askWith(hub, signWithSecret(SECRET, { fanfare: { subscribe: ['a'] }, deep }))).status,
    200,
    'deep claims that the hub does not use',
  )
  await isRefused(
    t,
    askWith(hub, signWithSecret(SECRET, { fanfare: { subscribe: deep } })),
    401,
    'invalid-claims',
    'deep grants',
  )
  await isRefused(t, askWith(hub, signWithSecret(SECRET, { sub: deep })), 401, 'invalid-claims', 'a deep subject')
  t.equal((await post(`${hub.url}/tickets`, {}, bearer)).status, 201, 'a ticket of a deep token')
  await isRefused(
    t,
    askWith(hub, token({ subscribe: Array.from({ length: 1_001 }, () => 'a') })),
    401,
    'invalid-claims',
    'too many grants',
  )
  t.equal((await request(`${hub.url}/health/live`)).status, 200)
})

await t.test('a cookie from another page', async (t) => {
  const hub = await startHub(t, { FANFARE_CORS_ORIGINS: 'https://app.example.com' })
  const cookie = `fanfare_token=${token({ subscribe: ['a'], publish: ['a'], admin: true })}`
  const send = (method: string, path: string, origin: string | undefined) =>
    request(hub.url + path, {
      method,
      headers: {
        cookie,
        ...(origin === undefined ? {} : { origin }),
        ...(method === 'POST' ? { 'content-type': 'text/plain' } : {}),
      },
      ...(method === 'POST' ? { body: 'x' } : {}),
    })
  for (const origin of [undefined, 'https://evil.example', 'null', 'https://app.example.com.evil.example']) {
    for (const [method, path] of [
      ['POST', '/topics/a/events'],
      ['POST', '/events'],
      ['POST', '/tickets'],
      ['POST', '/sessions'],
      ['POST', '/revocations'],
      ['DELETE', '/revocations/x'],
      ['DELETE', '/sessions'],
    ] as const) {
      await isRefused(
        t,
        send(method, path, origin),
        403,
        'foreign-origin',
        `${method} ${path} from ${origin ?? 'nowhere'}`,
      )
    }
  }
  t.equal((await send('POST', '/topics/a/events', 'https://app.example.com')).status, 201)
  t.equal((await send('POST', '/topics/a/events', hub.url)).status, 201, "a page of the hub's origin")
  const read = await ask(hub, { cookie, origin: 'https://evil.example' })
  t.strictSame(
    [read.status, read.headers.get('access-control-allow-origin')],
    [200, null],
    'a page of another origin cannot read the answer',
  )
})

await t.test('tickets on other routes, and other tokens as tickets', async (t) => {
  const hub = await startHub(t, { FANFARE_TICKET_TTL: '500ms' })
  const bearer = token({ sub: 'u1', subscribe: ['**'], publish: ['**'], admin: true })
  const { status, body } = await post<{ ticket: string; expiresAt: string }>(`${hub.url}/tickets`, {}, bearer)
  t.equal(status, 201)
  const { ticket, expiresAt } = body
  const open = (headers: Record<string, string> = {}, text = ticket) =>
    request(`${hub.url}/topics/a/events?ticket=${text}`, { headers: { accept: 'text/event-stream', ...headers } })
  const publish = (headers: Record<string, string>, query = '') =>
    request(`${hub.url}/topics/a/events${query}`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', ...headers },
      body: 'x',
    })
  await isRefused(t, publish({}, `?ticket=${ticket}`), 401, 'invalid-ticket', 'publishing')
  await isRefused(t, publish({ authorization: `Bearer ${ticket}` }), 401, 'invalid-ticket', 'publishing, as Bearer')
  await isRefused(t, askWith(hub, ticket), 401, 'invalid-ticket', 'history, as Bearer')
  await isRefused(t, ask(hub, {}, `/topics/a/events?ticket=${ticket}`), 401, 'invalid-ticket', 'history')
  await isRefused(t, open({}, bearer), 401, 'invalid-ticket', 'a token as ticket')
  await isRefused(
    t,
    open(
      {},
      sign({ alg: 'none', typ: 'fanfare-ticket+jwt' }, { aud: 'fanfare-ticket', until: 1e15, token: CLAIMS }, ''),
    ),
    401,
    'invalid-ticket',
    'a ticket without a signature',
  )
  const [header, claims] = ticket.split('.') as [string, string]
  await isRefused(
    t,
    open({}, `${header}.${claims}.${createHmac('sha256', SECRET).update(`${header}.${claims}`).digest('base64url')}`),
    401,
    'invalid-ticket',
    "signed with the tokens' secret",
  )
  await isRefused(
    t,
    open({ authorization: 'Bearer x' }),
    401,
    'malformed-token',
    'an invalid token in the header takes precedence',
  )
  await delay(Math.max(0, Date.parse(expiresAt) - Date.now()) + 5)
  await isRefused(t, open(), 401, 'invalid-ticket', 'an expired ticket')
  t.notOk(JSON.stringify(hub.logs()).includes(claims), 'the log does not contain the ticket')
})

await t.test('subjects that are not a single segment', async (t) => {
  const hub = await startHub(t)
  for (const sub of ['u1.x', '*', '**', 'u1.**', 'u1.*', '.', '', ' ', '{sub}', 'u/1', 'ü']) {
    const bearer = token({ sub, subscribe: ['users.{sub}', 'users.{sub}.**', '{sub}'], publish: ['users.{sub}'] })
    for (const topic of ['users.u1', 'users.u1.x', 'users.*', 'users.**', '**', '*', 'u1']) {
      const answer = await askWith(hub, bearer, `/topics/${encodeURIComponent(topic)}/events`)
      if (sub === '') t.equal(checkProblem(t, answer, 401, 'an empty subject').code, 'invalid-claims')
      else t.equal(checkProblem(t, answer, 403, `${sub}: ${topic}`).code, 'not-granted')
    }
  }
})

await t.test('grants that do not quite cover the topic', async (t) => {
  const hub = await startHub(t)
  const table: [grant: string, asked: string][] = [
    ['a.*', 'a.**'],
    ['a.*', 'a'],
    ['a.*', 'a.b.c'],
    ['a.*', '*.b'],
    ['a.*', '*'],
    ['a.*', '**'],
    ['a.b', 'a.*'],
    ['a.b', 'a.**'],
    ['a.b', 'a.B'],
    ['a.b', 'a.bc'],
    ['a.**', 'a'],
    ['a.**', '*.b'],
    ['a.**', '**'],
    ['*', '**'],
    ['*', 'a.b'],
    ['*.b', 'a.*'],
    ['*.*', '**'],
    ['*.*', 'a.**'],
    ['a.*.c', 'a.**'],
    ['a.*.c', 'a.*.*'],
    ['**', 'fanfare.stats'],
    ['**', 'fanfare.**'],
    ['*.*', 'fanfare.stats'],
    ['fanfare.**', 'fanfare.stats'],
  ]
  for (const [grant, asked] of table) {
    const bearer = token({ subscribe: [grant], publish: [grant] })
    await isRefused(
      t,
      askWith(hub, bearer, `/topics/${encodeURIComponent(asked)}/events`),
      403,
      'not-granted',
      `${grant} does not cover ${asked}`,
    )
    await isRefused(
      t,
      askWith(hub, bearer, `/events?topic=${encodeURIComponent(grant)}&topic=${encodeURIComponent(asked)}`),
      403,
      'not-granted',
      `${asked} is refused beside ${grant}`,
    )
  }
  for (const [grant, asked] of [
    ['a.**', 'a.*'],
    ['a.**', 'a.b.**'],
    ['*', 'a'],
    ['**', 'a.*'],
    ['a.*', 'a.b'],
  ] as const) {
    t.equal(
      (await askWith(hub, token({ subscribe: [grant] }), `/topics/${encodeURIComponent(asked)}/events`)).status,
      200,
      `${grant} covers ${asked}`,
    )
  }
})

await t.test('more than one header Authorization', async (t) => {
  const hub = await startHub(t)
  const status = await new Promise<number | undefined>((resolve, reject) => {
    http
      .get(
        `${hub.url}/topics/a/events`,
        {
          headers: [
            'Host',
            'hub',
            'Accept',
            'application/json',
            'Authorization',
            `Bearer ${token({ subscribe: ['b'] })}`,
            'Authorization',
            `Bearer ${token({ subscribe: ['a'] })}`,
          ],
        },
        (response) => resolve(response.resume().statusCode),
      )
      .on('error', reject)
  })
  t.equal(status, 403, 'the first header counts')
})
