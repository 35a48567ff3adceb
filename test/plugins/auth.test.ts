import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { Writable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { buildApp, type AppSettings } from '../../src/app.js'
import { anonymous } from '../../src/auth/principal.js'
import { Problem } from '../../src/errors.js'
import { kPrincipal, requirePrincipal, requireTokenSearch } from '../../src/plugins/auth.js'
import { kToken } from '../../src/plugins/found-token.js'
import { hubOf } from '../../src/plugins/hub.js'
import { jwk, startKeyServer } from '../auth/key-server.js'
import { signWith, signWithSecret, type Algorithm } from '../auth/sign.js'
import { poll, within } from '../helper/deadline.js'
import { openStream, streamUrl } from '../helper/stream.js'
import { anyTopic, SECRET, sign, token } from '../helper/token.js'
import { isProblem, listen, openApp, type OpenApp } from '../routes/open-app.js'

const CLAIMS = { sub: 'u1', fanfare: { subscribe: ['a'] } }

/** Requests the history of a topic with a token. */
function ask({ send }: OpenApp, bearer: string | null, url = '/topics/a/events') {
  return send({
    method: 'GET',
    url,
    headers: { accept: 'application/json', authorization: bearer === null ? null : `Bearer ${bearer}` },
  })
}

async function isAccepted(t: Test, hub: OpenApp, bearer: string, what: string): Promise<void> {
  t.equal((await ask(hub, bearer)).statusCode, 200, what)
}

async function isRefused(t: Test, hub: OpenApp, bearer: string, code: string, what = code): Promise<void> {
  const response = await ask(hub, bearer)
  const { detail } = isProblem(t, response, 401, code, what)
  t.match(response.headers['www-authenticate'], /^Bearer realm="fanfare", error="invalid_token"/)
  t.notMatch(detail, bearer)
}

/** Presents tokens without a matching key until their refusal is final. */
async function areRefusedAtLast(t: Test, hub: OpenApp, bearers: Record<string, string>): Promise<void> {
  for (const [what, bearer] of Object.entries(bearers))
    isProblem(t, await ask(hub, bearer), 503, 'keys-unavailable', `${what}: refused temporarily`)
  const [any = ''] = Object.values(bearers)
  await poll(
    async () => ((await ask(hub, any)).statusCode === 401 ? true : undefined),
    () => 'the keys are not fetched again',
  )
  for (const [what, bearer] of Object.entries(bearers)) await isRefused(t, hub, bearer, 'invalid-signature', what)
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString()
}

const keys = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  otherRsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  otherP256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  ed25519: generateKeyPairSync('ed25519'),
  otherEd25519: generateKeyPairSync('ed25519'),
  ed448: generateKeyPairSync('ed448'),
}

await t.test('a secret', async (t) => {
  const hub = await openApp(t)
  await isAccepted(t, hub, signWithSecret(SECRET, CLAIMS), 'HS256')
  await isAccepted(t, hub, signWithSecret(SECRET, CLAIMS), 'a second time, from the cache')
  await isRefused(t, hub, signWithSecret('another secret, just as long as the first', CLAIMS), 'invalid-signature')
  for (const alg of ['HS384', 'HS512'])
    await isRefused(t, hub, sign({ alg, typ: 'JWT' }, CLAIMS, SECRET), 'invalid-algorithm', alg)
  await isRefused(t, hub, signWith(keys.rsa.privateKey, 'RS256', CLAIMS), 'invalid-algorithm', 'RS256')

  const [header, payload, signature] = signWithSecret(SECRET, CLAIMS).split('.') as [string, string, string]
  const wider = Buffer.from(JSON.stringify({ ...CLAIMS, fanfare: { subscribe: ['**'] } })).toString('base64url')
  await isRefused(t, hub, `${header}.${wider}.${signature}`, 'invalid-signature', 'changed claims')
  await isRefused(
    t,
    hub,
    `${header}.${payload}.${signature.slice(0, -2)}`,
    'invalid-signature',
    'a truncated signature',
  )
})

await t.test('a token without a signature is refused', async (t) => {
  for (const settings of [
    {},
    { jwtPublicKey: pemOf(keys.rsa.publicKey) },
    { jwtPublicKey: pemOf(keys.ed25519.publicKey) },
  ]) {
    const hub = await openApp(t, settings)
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      for (const end of ['', 'AAAA']) {
        const response = await ask(hub, `${sign({ alg, typ: 'JWT' }, CLAIMS, '')}${end}`)
        t.equal(response.statusCode, 401, `${alg} ${end}`)
        t.match(response.json<{ code: string }>().code, /^(invalid-algorithm|invalid-signature|malformed-token)$/)
      }
    }
    const [header, payload] = signWithSecret(SECRET, CLAIMS).split('.') as [string, string]
    t.equal((await ask(hub, `${header}.${payload}.`)).statusCode, 401, 'an empty signature')
    t.equal((await ask(hub, `${header}.${payload}`)).statusCode, 401, 'two parts')
  }
})

await t.test('a public key', async (t) => {
  const table: [pair: keyof typeof keys, right: Algorithm[], other: [keyof typeof keys, Algorithm][]][] = [
    [
      'rsa',
      ['RS256', 'RS384', 'RS512', 'PS256'],
      [
        ['otherRsa', 'RS256'],
        ['p256', 'ES256'],
        ['ed25519', 'EdDSA'],
      ],
    ],
    [
      'p256',
      ['ES256'],
      [
        ['otherP256', 'ES256'],
        ['p384', 'ES384'],
        ['rsa', 'RS256'],
      ],
    ],
    ['p384', ['ES384'], [['p256', 'ES256']]],
    ['p521', ['ES512'], [['p256', 'ES256']]],
    [
      'ed25519',
      ['EdDSA', 'Ed25519'],
      [
        ['otherEd25519', 'EdDSA'],
        ['otherEd25519', 'Ed25519'],
        ['ed448', 'Ed448'],
        ['rsa', 'RS256'],
        ['p256', 'ES256'],
      ],
    ],
    [
      'ed448',
      ['EdDSA', 'Ed448'],
      [
        ['ed25519', 'Ed25519'],
        ['rsa', 'RS256'],
      ],
    ],
  ]
  for (const [pair, right, wrong] of table) {
    const pem = pemOf(keys[pair].publicKey)
    const hub = await openApp(t, { jwtPublicKey: pem })
    for (const algorithm of right)
      await isAccepted(t, hub, signWith(keys[pair].privateKey, algorithm, CLAIMS), `${pair} ${algorithm}`)
    for (const [other, algorithm] of wrong) {
      const code =
        keys[other].publicKey.asymmetricKeyType === keys[pair].publicKey.asymmetricKeyType && right.includes(algorithm)
          ? 'invalid-signature'
          : 'invalid-algorithm'
      await isRefused(
        t,
        hub,
        signWith(keys[other].privateKey, algorithm, CLAIMS),
        code,
        `${pair}: ${other} ${algorithm}`,
      )
    }
    // The public key is not a secret: a token that is signed with it by HMAC must be refused (CVE-2015-9235).
    for (const secret of [
      pem,
      pem.trim(),
      pem.trim().replaceAll('\n', '\\n'),
      keys[pair].publicKey.export({ type: 'spki', format: 'der' }),
    ]) {
      await isRefused(t, hub, signWithSecret(secret, CLAIMS), 'invalid-algorithm', `${pair}: HS256 with the public key`)
      t.equal(
        (await ask(hub, signWithSecret(secret, CLAIMS, { alg: right[0] }))).statusCode,
        401,
        `${pair}: HMAC under the name ${right[0]!}`,
      )
    }
  }
})

await t.test('a key inside the token is ignored', async (t) => {
  const hub = await openApp(t, { jwtPublicKey: pemOf(keys.rsa.publicKey) })
  const jwk = keys.otherRsa.publicKey.export({ format: 'jwk' })
  await isRefused(
    t,
    hub,
    signWith(keys.otherRsa.privateKey, 'RS256', CLAIMS, {
      jwk,
      kid: '../../dev/null',
      jku: 'http://127.0.0.1/',
      x5c: [],
    }),
    'invalid-signature',
  )
})

await t.test('an unknown critical extension is refused', async (t) => {
  const hub = await openApp(t)
  t.equal(
    (await ask(hub, signWithSecret(SECRET, CLAIMS, { crit: ['unheard-of'], 'unheard-of': 1 }))).statusCode,
    401,
    'RFC 7515, 4.1.11',
  )
})

await t.test('texts that are not tokens are refused', async (t) => {
  const hub = await openApp(t)
  const table = [
    'x',
    'a.b',
    'a.b.c',
    '..',
    'e30.e30.',
    'eyJhbGciOiJIUzI1NiJ9..',
    'x'.repeat(5_000),
    `${signWithSecret(SECRET, CLAIMS)}.x`,
  ]
  for (const text of table) {
    const response = await ask(hub, text)
    t.equal(response.statusCode, 401, text.slice(0, 40))
    t.match(
      response.json<{ code: string }>().code,
      /^(malformed-token|invalid-algorithm|invalid-signature)$/,
      text.slice(0, 40),
    )
  }
  for (const claims of ['text', [], null, 7])
    t.equal((await ask(hub, signWithSecret(SECRET, claims))).statusCode, 401, JSON.stringify(claims))
  for (const authorization of ['Bearer', 'Bearer ', 'Bearer a b']) {
    isProblem(
      t,
      await hub.send({
        method: 'GET',
        url: '/topics/a/events',
        headers: { authorization, accept: 'application/json' },
      }),
      401,
      'malformed-token',
      authorization.slice(0, 20),
    )
  }
  for (const scheme of ['bearer', 'BEARER', 'Bearer  ']) {
    t.equal(
      (
        await hub.send({
          method: 'GET',
          url: '/topics/a/events',
          headers: { authorization: `${scheme} ${anyTopic()}`, accept: 'application/json' },
        })
      ).statusCode,
      200,
      scheme,
    )
  }
})

await t.test('a header with another scheme is ignored', async (t) => {
  const hub = await openApp(t, { anonymousSubscribe: ['public'], queryToken: true })
  const bearer = anyTopic()
  const get = (url: string, headers: Record<string, string>) =>
    hub.send({ method: 'GET', url, headers: { accept: 'application/json', ...headers } })
  for (const [authorization, words] of [
    ['Basic dTpw', 'has the scheme "Basic"'],
    ['Token secret', 'has the scheme "Token"'],
    ['AWS4-HMAC-SHA256 Credential=secret', 'has the scheme "AWS4-HMAC-SHA256"'],
    ['Bearers secret', 'has the scheme "Bearers"'],
    [bearer, 'has no scheme'],
    [`${bearer} ${bearer}`, 'has no scheme'],
    ['secret', 'has no scheme'],
    ['', 'has no scheme'],
  ] as const) {
    const refused = await get('/topics/a/events', { authorization })
    const { detail } = isProblem(t, refused, 401, 'missing-token', authorization.slice(0, 20))
    t.ok(detail.includes(`The header "Authorization" ${words}, and must be "Bearer"`), detail)
    t.notMatch(detail, /dTpw|secret|eyJ/, 'without the credentials')
    t.equal(
      refused.headers['www-authenticate'],
      'Bearer realm="fanfare"',
      'RFC 6750, 3.1: no error code for an unsupported scheme',
    )
    t.equal((await get('/topics/public/events', { authorization })).statusCode, 200, 'an anonymous topic')
    t.equal(
      (await get('/topics/a/events', { authorization, cookie: `fanfare_token=${bearer}` })).statusCode,
      200,
      'a cookie',
    )
    t.equal((await get(`/topics/a/events?token=${bearer}`, { authorization })).statusCode, 200, 'the query')
  }
})

await t.test('time', async (t) => {
  const hub = await openApp(t)
  const now = Date.now() / 1_000
  const as = (claims: object) => signWithSecret(SECRET, { ...CLAIMS, ...claims })
  await isAccepted(t, hub, as({ exp: now + 60 }), 'an exp in the future')
  await isRefused(t, hub, as({ exp: now - 1 }), 'expired-token')
  await isRefused(t, hub, as({ exp: 0 }), 'expired-token')
  await isRefused(t, hub, as({ exp: -1 }), 'expired-token')
  await isAccepted(t, hub, as({ nbf: now - 1 }), 'an nbf in the past')
  await isRefused(t, hub, as({ nbf: now + 60 }), 'inactive-token')
  for (const claims of [{ exp: 'never' }, { exp: null }, { exp: String(now + 60) }, { nbf: 'now' }])
    await isRefused(t, hub, as(claims), 'invalid-claims', JSON.stringify(claims))
})

await t.test('a cached token is refused after its expiry', async (t) => {
  const hub = await openApp(t)
  const exp = (Date.now() + 400) / 1_000
  const bearer = signWithSecret(SECRET, { ...CLAIMS, exp })
  await isAccepted(t, hub, bearer, 'before the expiry')
  await poll(
    async () => {
      const { statusCode } = await ask(hub, bearer)
      const over = Date.now() / 1_000 >= exp
      return statusCode === 401 ? true : over && (await ask(hub, bearer)).statusCode === 200 ? false : undefined
    },
    () => 'the token is still accepted',
  ).then((refused) => t.equal(refused, true, 'the token is refused'))
  t.ok(Date.now() / 1_000 >= exp, 'not before the expiry')
  await isRefused(t, hub, bearer, 'expired-token')
})

await t.test('the clocks of issuer and hub may differ by the tolerance', async (t) => {
  const hub = await openApp(t, { clockTolerance: 60_000 })
  const now = Date.now() / 1_000
  const as = (claims: object) => signWithSecret(SECRET, { ...CLAIMS, ...claims })
  for (const claims of [{ exp: now - 30 }, { nbf: now + 30 }, { exp: now - 1, nbf: now + 1 }, { iat: now + 1_000 }]) {
    await isAccepted(t, hub, as(claims), JSON.stringify(claims))
    await isAccepted(t, hub, as(claims), 'a second time, from the cache')
  }
  for (const exp of [now - 61, 0, -1]) await isRefused(t, hub, as({ exp }), 'expired-token', String(exp))
  await isRefused(t, hub, as({ nbf: now + 90 }), 'inactive-token')
  const byDefault = await buildApp({ log: 'memory', jwtSecret: SECRET })
  t.teardown(() => byDefault.close())
  const status = async (claims: object) =>
    (
      await byDefault.inject({
        url: '/topics/a/events?last=1',
        headers: { accept: 'application/json', authorization: `Bearer ${as(claims)}` },
      })
    ).statusCode
  t.strictSame(
    [
      await status({ exp: now - 1 }),
      await status({ exp: now - 30 }),
      await status({ nbf: now + 3 }),
      await status({ nbf: now + 60 }),
    ],
    [200, 401, 200, 401],
    'the default tolerance is five seconds',
  )
})

await t.test('tickets and sessions that are issued within the tolerance end with the tolerance', async (t) => {
  const hub = await openApp(t, { clockTolerance: 60_000 })
  const exp = Math.floor(Date.now() / 1_000) - 10
  const authorization = `Bearer ${signWithSecret(SECRET, { ...CLAIMS, exp })}`
  const until = (exp + 60) * 1_000
  for (const what of ['first', 'and again, from memory']) {
    const ticket = await hub.send({ method: 'POST', url: '/tickets', headers: { authorization } })
    t.equal(Date.parse(ticket.json<{ expiresAt: string }>().expiresAt), until, what)
  }
  const session = await hub.send({ method: 'POST', url: '/sessions', headers: { authorization } })
  const { maxAge } = session.cookies[0] as unknown as { maxAge: number }
  t.ok(maxAge > 30 && maxAge <= 50, String(maxAge))
})

await t.test('a stream that opens within the tolerance ends at once', async (t) => {
  const hub = await openApp(t, { clockTolerance: 60_000 })
  const { app } = hub
  for (let n = 0; n < 3; n++) await hubOf(app).publish('a', { data: n })
  const url = await listen(app)
  const expired = token({ sub: 'u1', subscribe: ['**'], publish: ['**'], exp: Date.now() / 1_000 - 10 })
  const { ticket } = (
    await hub.send({ method: 'POST', url: '/tickets', headers: { authorization: `Bearer ${expired}` } })
  ).json<{ ticket: string }>()
  const bearers = {
    header: { token: expired },
    cookie: { headers: { cookie: `fanfare_token=${expired}` } },
    ticket: {},
  }
  for (const [what, options] of Object.entries(bearers)) {
    const query = what === 'ticket' ? { replay: 'all', ticket } : { replay: 'all' }
    const stream = await openStream(t, streamUrl({ url }, ['a'], query), options)
    await within(stream.closed, () => stream.describe())
    t.strictSame(
      stream.all.map(({ type, data }) => (type === 'fanfare.close' ? data : type)),
      ['fanfare.open', '{"reason":"expired"}'],
      what,
    )
    t.equal(stream.lastId, `${hubOf(app).epoch}-0`, 'the requested events were not sent')
  }
  t.equal(hubOf(app).connections.size, 0)
  t.equal(
    (
      await hub.send({
        method: 'POST',
        url: '/topics/a/events',
        payload: { data: 3 },
        headers: { authorization: `Bearer ${expired}` },
      })
    ).statusCode,
    201,
    'the tolerance applies to a request',
  )
})

await t.test('a stream that gets a token after its exp ends at once', async (t) => {
  const hub = await openApp(t, { clockTolerance: 60_000 })
  const stream = await openStream(t, `${await listen(hub.app)}/topics/a/events`, {
    token: token({ sub: 'u1', subscribe: ['**'] }),
  })
  const { connection } = await stream.told('open')
  const authorization = `Bearer ${token({ sub: 'u1', subscribe: ['**'], exp: Date.now() / 1_000 - 10 })}`
  t.equal(
    (await hub.send({ method: 'PUT', url: `/connections/${String(connection)}/token`, headers: { authorization } }))
      .statusCode,
    200,
  )
  t.equal(hubOf(hub.app).connections.size, 0)
  await hubOf(hub.app).publish('a', { data: 1 })
  await within(stream.closed, () => stream.describe())
  t.strictSame(
    stream.all.map(({ type, data }) => (type === 'fanfare.close' ? data : type)),
    ['fanfare.open', '{"reason":"expired"}'],
  )
})

await t.test('a token is accepted from its nbf on', async (t) => {
  const hub = await openApp(t)
  const bearer = signWithSecret(SECRET, { ...CLAIMS, nbf: (Date.now() + 300) / 1_000 })
  await isRefused(t, hub, bearer, 'inactive-token')
  await poll(
    async () => ((await ask(hub, bearer)).statusCode === 200 ? true : undefined),
    () => 'the token is still refused',
    5_000,
  )
})

await t.test('issuer and audience', async (t) => {
  const hub = await openApp(t, { jwtIssuer: 'https://id.example.com', jwtAudience: 'hub' })
  const as = (claims: object) => signWithSecret(SECRET, { ...CLAIMS, ...claims })
  await isAccepted(t, hub, as({ iss: 'https://id.example.com', aud: 'hub' }), 'both')
  await isAccepted(t, hub, as({ iss: 'https://id.example.com', aud: ['other', 'hub'] }), 'one of several audiences')
  for (const claims of [
    {},
    { iss: 'https://id.example.com' },
    { aud: 'hub' },
    { iss: 'https://id.example.com', aud: 'other' },
    { iss: 'https://other', aud: 'hub' },
    { iss: 'https://id.example.com', aud: [] },
    { iss: 'https://id.example.com', aud: 'hubs' },
    { iss: 'https://id.example.com/', aud: 'hub' },
  ]) {
    await isRefused(t, hub, as(claims), 'invalid-claims', JSON.stringify(claims))
  }
  const any = await openApp(t)
  await isAccepted(
    t,
    any,
    as({ iss: 'anybody', aud: ['whoever'] }),
    'without a required issuer and audience, any value is accepted',
  )
})

await t.test('claims of the wrong shape are refused by name', async (t) => {
  const hub = await openApp(t)
  for (const [claims, named] of [
    [{ fanfare: { subscribe: 'a' } }, 'fanfare.subscribe'],
    [{ fanfare: { subscribe: ['a..b'] } }, 'fanfare.subscribe'],
    [{ sub: 7 }, 'sub'],
    [{ fanfare: 'x' }, 'fanfare'],
  ] as const) {
    t.match(isProblem(t, await ask(hub, signWithSecret(SECRET, claims)), 401, 'invalid-claims').detail, named)
  }
})

await t.test('grants', async (t) => {
  const hub = await openApp(t)
  const status = async (claims: object, topic: string) =>
    (await ask(hub, signWithSecret(SECRET, claims), `/topics/${topic}/events`)).statusCode
  t.equal(await status({}, 'a'), 403, 'a token without grants')
  t.equal(await status({ sub: 'u1', fanfare: { subscribe: ['users.{sub}.**'] } }, 'users.u1.x'), 200)
  t.equal(await status({ sub: 'u1', fanfare: { subscribe: ['users.{sub}.**'] } }, 'users.u2.x'), 403)
  for (const sub of ['u1.admin', '*', '**', 'u1.**', '{sub}']) {
    for (const topic of ['users.u1.x', 'users.u1.admin.x', 'users.*.x', 'users.**'])
      t.equal(await status({ sub, fanfare: { subscribe: ['users.{sub}.**'] } }, topic), 403, `${sub} ${topic}`)
  }
  const other = await openApp(t, { jwtClaim: 'https://example.com/hub' })
  t.equal(
    (await ask(other, signWithSecret(SECRET, { 'https://example.com/hub': { subscribe: ['a'] } }))).statusCode,
    200,
    'the claim has another name',
  )
  t.equal((await ask(other, signWithSecret(SECRET, CLAIMS))).statusCode, 403)
  const response = await ask(hub, token({ subscribe: ['b'] }))
  isProblem(t, response, 403, 'not-granted')
  t.match(response.headers['www-authenticate'], /error="insufficient_scope"/)
})

await t.test('without a token', async (t) => {
  const hub = await openApp(t, { anonymousSubscribe: ['public.*', 'news'] })
  for (const topic of ['public.1', 'public.*', 'news'])
    t.equal((await ask(hub, null, `/topics/${topic}/events`)).statusCode, 200, topic)
  for (const topic of ['public', 'public.**', 'a', '**']) {
    const response = await ask(hub, null, `/topics/${topic}/events`)
    isProblem(t, response, 401, 'missing-token', topic)
    t.equal(
      response.headers['www-authenticate'],
      'Bearer realm="fanfare"',
      'RFC 6750, 3.1: no error code without a token',
    )
  }
  isProblem(
    t,
    await hub.send({
      method: 'POST',
      url: '/topics/public.1/events',
      payload: { data: 1 },
      headers: { authorization: null },
    }),
    401,
    'missing-token',
  )
  t.equal(
    (await ask(hub, token({ subscribe: ['a'] }), '/events?topic=a&topic=public.1')).statusCode,
    200,
    'a token may read them too',
  )
  isProblem(
    t,
    await ask(hub, 'x', '/topics/public.1/events'),
    401,
    'malformed-token',
    'an invalid token does not count as missing',
  )
})

await t.test('an expired cookie does not block topics that need no token', async (t) => {
  const hub = await openApp(t, { anonymousSubscribe: ['news', 'public.*'] })
  const stale: [token: string, code: string][] = [
    [token({ subscribe: ['**'], exp: 1 }), 'expired-token'],
    ['x', 'malformed-token'],
    [token({}, { secret: 'another secret, which is as long as the first' }), 'invalid-signature'],
    [token({ sub: 'x'.repeat(300) }), 'invalid-claims'],
  ]
  const revoked = token({ jti: 'j1', subscribe: ['**'] })
  const admin = `Bearer ${token({ admin: true })}`
  t.equal(
    (
      await hub.send({
        method: 'POST',
        url: '/revocations',
        headers: { authorization: admin },
        payload: { jti: 'j1', until: '2999-01-01T00:00:00Z' },
      })
    ).statusCode,
    201,
  )
  for (const [bearer, code] of [...stale, [revoked, 'revoked-token'] as const]) {
    const get = (url: string, headers: Record<string, string | null> = {}) =>
      hub.send({
        method: 'GET',
        url,
        headers: { accept: 'application/json', authorization: null, cookie: `fanfare_token=${bearer}`, ...headers },
      })
    for (const url of ['/topics/news/events', '/events?topic=public.1&topic=news', '/topics', '/topics/news'])
      t.equal((await get(url)).statusCode, 200, `${code}: ${url}`)
    for (const url of [
      '/topics/a/events',
      '/events?topic=news&topic=a',
      '/connections',
      '/revocations',
      '/topics/news/presence',
    ]) {
      const refused = await get(url)
      t.match(isProblem(t, refused, 401, code, `${code}: ${url}`).detail, /found in the cookie/)
      t.match(refused.headers['www-authenticate'], /error="invalid_token"/)
    }
    isProblem(
      t,
      await hub.send({
        method: 'POST',
        url: '/tickets',
        headers: {
          authorization: null,
          cookie: `fanfare_token=${bearer}`,
          origin: 'http://localhost',
          host: 'localhost',
        },
      }),
      401,
      code,
      `${code}: the cookie does not authorise a change`,
    )
    isProblem(
      t,
      await get('/topics/news/events', { authorization: `Bearer ${bearer}` }),
      401,
      code,
      `${code}: a token in the header is refused`,
    )
    const { detail } = isProblem(
      t,
      await get('/topics/news/events?ticket=x', { accept: 'text/event-stream' }),
      401,
      'invalid-ticket',
      'an invalid ticket is refused',
    )
    t.match(detail, /ticket/)
  }
  const closed = await openApp(t)
  for (const url of ['/topics/news/events', '/topics'])
    isProblem(
      t,
      await closed.send({
        method: 'GET',
        url,
        headers: { accept: 'application/json', authorization: null, cookie: `fanfare_token=${stale[0]![0]}` },
      }),
      401,
      'expired-token',
      'without anonymous topics, the cookie is refused',
    )
})

await t.test('a token in a URL', async (t) => {
  const bearer = anyTopic()
  await t.test('is refused with a hint and without repeating the token', async (t) => {
    const hub = await openApp(t, { anonymousSubscribe: ['**'] })
    for (const name of ['token', 'access_token', 'jwt', 'authorization']) {
      for (const url of [
        `/topics/a/events?${name}=${bearer}`,
        `/events?topic=a&${name}=${bearer}`,
        `/topics/a/events?${name}=`,
        `/topics/a/events?${name}=a&${name}=b`,
      ]) {
        const response = await ask(hub, null, url)
        t.match(isProblem(t, response, 400, 'token-in-query', url.slice(0, 40)).detail, /ticket/)
        t.notMatch(response.body, bearer)
      }
    }
    const response = await hub.send({
      method: 'POST',
      url: `/topics/a/events?access_token=${bearer}`,
      payload: { data: 1 },
    })
    isProblem(t, response, 400, 'token-in-query', 'even if the header has a token too')
  })

  await t.test('is accepted if the setting allows it, after the header', async (t) => {
    const hub = await openApp(t, { queryToken: true })
    t.equal((await ask(hub, null, `/topics/a/events?token=${bearer}`)).statusCode, 200)
    t.equal(
      (await ask(hub, token({ subscribe: ['b'] }), `/topics/a/events?token=${bearer}`)).statusCode,
      403,
      'the header takes precedence',
    )
    isProblem(t, await ask(hub, null, '/topics/a/events?token=x'), 401, 'malformed-token')
    isProblem(t, await ask(hub, null, `/topics/a/events?access_token=${bearer}`), 400, 'token-in-query')
  })
})

await t.test('a refusal says where the hub looked for the token, or found it', async (t) => {
  const hub = await openApp(t, { queryToken: true })
  const bearer = token({ subscribe: ['b'] })
  const detail = async (url: string, headers: Record<string, string>, status: number, code: string) => {
    const response = await hub.send({
      method: 'GET',
      url,
      headers: { authorization: null, accept: 'application/json', ...headers },
    })
    t.notMatch(response.body, bearer)
    return isProblem(t, response, status, code).detail
  }
  t.match(
    await detail('/topics/a/events', {}, 401, 'missing-token'),
    /"a", the request needs a token.*looked in the header "Authorization: Bearer …", in the query as "ticket" and as "token", and in the cookie "fanfare_token"/,
  )
  t.match(
    await detail('/topics/a/events', { authorization: `Bearer ${bearer}` }, 403, 'not-granted'),
    /subscribe grants do not cover "a".*in the header/,
  )
  t.match(await detail('/topics/a/events', { cookie: `fanfare_token=${bearer}` }, 403, 'not-granted'), /in the cookie/)
  t.match(await detail(`/topics/a/events?token=${bearer}`, {}, 403, 'not-granted'), /in the query, as "token"/)
  t.match(
    await detail('/topics/a/events', { authorization: `Bearer ${token({ exp: 1 })}` }, 401, 'expired-token'),
    /"exp".*in the header/,
  )
  t.match(
    await detail(
      '/topics/a/events',
      { cookie: `fanfare_token=${token({ sub: 'x'.repeat(300) })}` },
      401,
      'invalid-claims',
    ),
    /"sub".*in the cookie/,
  )
  t.notMatch(
    await detail(
      '/topics/a/events',
      { authorization: `Bearer ${token({ subscribe: ['others.secret'] })}` },
      403,
      'not-granted',
    ),
    /others/,
    'the refusal does not list grants',
  )
  const other = await openApp(t)
  t.notMatch(
    isProblem(
      t,
      await other.send({
        method: 'GET',
        url: '/topics/a/events',
        headers: { authorization: null, accept: 'application/json' },
      }),
      401,
      'missing-token',
    ).detail,
    /as "token"/,
    'the refusal names only places where a token may be',
  )
})

await t.test('cached tokens of a withdrawn key are refused', async (t) => {
  const server = await startKeyServer(t, [jwk(keys.p256, { kid: 'k1' })])
  const hub = await openApp(t, { jwksUrl: server.url })
  const bearer = signWith(keys.p256.privateKey, 'ES256', CLAIMS, { kid: 'k1' })
  await isAccepted(t, hub, bearer, 'before')
  server.keys = [jwk(keys.otherP256, { kid: 'k2' })]
  const next = signWith(keys.otherP256.privateKey, 'ES256', CLAIMS, { kid: 'k2' })
  await poll(
    async () => ((await ask(hub, next)).statusCode === 200 ? true : undefined),
    () => 'the hub does not fetch the new key',
  )
  await areRefusedAtLast(t, hub, { 'a token of a withdrawn key': bearer })
})

await t.test('a token is verified with every candidate key of a set', async (t) => {
  const server = await startKeyServer(t, [
    jwk(keys.p256),
    jwk(keys.otherP256),
    jwk(keys.rsa, { kid: 'twice' }),
    jwk(keys.otherRsa, { kid: 'twice' }),
    jwk(keys.ed25519, { kid: 'e', alg: 'Ed25519' }),
  ])
  const hub = await openApp(t, { jwksUrl: server.url })
  for (const pair of ['p256', 'otherP256'] as const)
    await isAccepted(t, hub, signWith(keys[pair].privateKey, 'ES256', CLAIMS), `${pair} without kid`)
  for (const pair of ['rsa', 'otherRsa'] as const) {
    for (const alg of ['RS256', 'PS256'] as const)
      await isAccepted(
        t,
        hub,
        signWith(keys[pair].privateKey, alg, CLAIMS, { kid: 'twice' }),
        `${pair} ${alg}, one of two keys with the same kid`,
      )
    await isAccepted(t, hub, signWith(keys[pair].privateKey, 'RS256', CLAIMS), `${pair} without kid`)
  }
  for (const alg of ['EdDSA', 'Ed25519'] as const)
    await isAccepted(t, hub, signWith(keys.ed25519.privateKey, alg, CLAIMS, { kid: 'e' }), alg)

  await isRefused(
    t,
    hub,
    signWith(keys.otherP256.privateKey, 'ES256', { ...CLAIMS, exp: 1 }),
    'expired-token',
    'the claims are checked with the matching key',
  )
  await isRefused(t, hub, signWith(keys.ed448.privateKey, 'Ed448', CLAIMS), 'invalid-algorithm', 'Ed448')
  t.equal(server.fetches, 1)
  const [header, claims] = signWith(keys.p256.privateKey, 'ES256', CLAIMS).split('.') as [string, string]
  await areRefusedAtLast(t, hub, {
    'a key outside the set': signWith(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, 'ES256', CLAIMS),
    'a key outside the set with a kid of the set': signWith(
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
      'RS256',
      CLAIMS,
      { kid: 'twice' },
    ),
    'another Ed25519 key': signWith(keys.otherEd25519.privateKey, 'Ed25519', CLAIMS, { kid: 'e' }),
    'a signature of the wrong length': `${header}.${claims}.AAAA`,
  })
  t.equal(server.fetches, 2)
})

await t.test('a key without kid that replaces another is found', async (t) => {
  const server = await startKeyServer(t, [jwk(keys.p256)])
  const hub = await openApp(t, { jwksUrl: server.url })
  await isAccepted(t, hub, signWith(keys.p256.privateKey, 'ES256', CLAIMS), 'before')
  server.keys = [jwk(keys.otherP256)]
  const next = signWith(keys.otherP256.privateKey, 'ES256', CLAIMS)
  await poll(
    async () => ((await ask(hub, next)).statusCode === 200 ? true : undefined),
    () => 'the hub does not fetch the new key',
  )
})

await t.test('a token of a key that is newer than the set is refused temporarily', async (t) => {
  const server = await startKeyServer(t, [jwk(keys.p256, { kid: 'k1' })])
  const hub = await openApp(t, { jwksUrl: server.url })
  await isAccepted(t, hub, signWith(keys.p256.privateKey, 'ES256', CLAIMS, { kid: 'k1' }), 'the hub fetches the keys')
  server.keys = [jwk(keys.p256, { kid: 'k1' }), jwk(keys.otherP256, { kid: 'k2' })]
  const next = signWith(keys.otherP256.privateKey, 'ES256', CLAIMS, { kid: 'k2' })
  const response = await ask(hub, next)
  isProblem(t, response, 503, 'keys-unavailable')
  t.match(response.headers['retry-after'], /^[1-5]$/)
  const stream = await hub.send({
    method: 'GET',
    url: '/topics/a/events',
    headers: { authorization: `Bearer ${signWith(keys.otherP256.privateKey, 'ES256', CLAIMS, { kid: 'k3' })}` },
  })
  t.equal(stream.statusCode, 200, 'an EventSource reconnects')
  t.match(stream.body, /^retry: \d+\nevent: fanfare\.close\ndata: \{"reason":"busy"/m)
  await poll(
    async () => ((await ask(hub, next)).statusCode === 200 ? true : undefined),
    () => 'the hub does not fetch the new key',
  )
  t.equal(server.fetches, 2)
})

await t.test('tokens and query strings are never logged', async (t) => {
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
  const app = await buildApp({ log: 'memory', jwtSecret: SECRET, queryToken: true }, logger)
  t.teardown(() => app.close())
  const secret = token({ subscribe: ['b'], sub: 'u1' })
  for (const url of [
    `/topics/a/events?token=${secret}`,
    `/topics/a/events?access_token=${secret}`,
    `/topics/a..b/events?token=${secret}`,
    `/nothing?token=${secret}`,
    `/topics/%zz/events?token=${secret}`,
  ]) {
    await app.inject({ url, headers: { accept: 'application/json' } })
    await app.inject({
      url: url.split('?')[0]!,
      headers: { accept: 'application/json', authorization: `Bearer ${secret}` },
    })
    await app.inject({
      url: url.split('?')[0]!,
      headers: { accept: 'application/json', authorization: `Bearer x${secret}` },
    })
  }
  const text = lines.join('')
  t.ok(lines.length > 5, 'the log has lines')
  t.notOk(text.includes(secret.split('.')[2]!), 'no signature')
  t.notOk(text.includes(secret.split('.')[1]!), 'no claims')
  t.notOk(text.includes('token='), 'no query')
})

await t.test('invalid keys are logged', async (t) => {
  const logged = async (settings: AppSettings, awaited = ''): Promise<string> => {
    const lines: string[] = []
    const app = await buildApp(
      { log: 'memory', ...settings },
      pino({ level: 'warn' }, { write: (line) => void lines.push(line) }),
    )
    t.teardown(() => app.close())
    await app.ready()
    if (awaited !== '')
      await poll(
        async () => (lines.some((line) => line.includes(awaited)) ? true : undefined),
        () => 'no line is logged',
      )
    return lines.filter((line) => !line.includes('console')).join('')
  }
  for (const jwtSecret of [`${SECRET}\n`, `${SECRET}\r\n`, `${SECRET} `, `\t${SECRET}`]) {
    const text = await logged({ jwtSecret })
    t.match(text, /begins or ends with white space/, JSON.stringify(jwtSecret.replace(SECRET, '…')))
    t.notOk(text.includes(SECRET))
  }
  t.equal(await logged({ jwtSecret: SECRET.replace('secret', 'secret with spaces') }), '')
  const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 })
  const server = await startKeyServer(t, [jwk(weak, { kid: 'old' }), jwk(keys.rsa, { kid: 'new' })])
  t.match(await logged({ jwksUrl: server.url }, 'bits'), /"kids":\["old"\].*fewer than 2,048 bits/)
  server.keys = [{ kty: 'EC', crv: 'P-256', kid: 'broken', x: 'AA', y: 'AA' }, jwk(keys.rsa, { kid: 'new' })]
  t.match(await logged({ jwksUrl: server.url }, 'malformed'), /"kids":\["broken"\].*malformed and private/)
  await t.rejects(logged({ jwtPublicKey: pemOf(weak.publicKey) }), {
    name: 'SettingsError',
    message: /an RSA key of 1024 bits/,
  })
})

await t.test('a hub without a key, with two keys, or with an unusable key does not start', async (t) => {
  const start = (settings: AppSettings) => buildApp({ log: 'memory', ...settings }).then((app) => app.close())
  await t.rejects(start({}), {
    name: 'SettingsError',
    message: /FANFARE_JWT_SECRET, FANFARE_JWT_PUBLIC_KEY or FANFARE_JWKS_URL/,
  })
  await t.rejects(start({ jwtSecret: SECRET, jwtPublicKey: pemOf(keys.rsa.publicKey) }), {
    name: 'SettingsError',
    message: /one of FANFARE_JWT_SECRET, .* \(as a plugin: jwtSecret, jwtPublicKey and jwksUrl\)/,
  })
  await t.rejects(start({ jwtPublicKey: 'x' }), { name: 'SettingsError', message: /FANFARE_JWT_PUBLIC_KEY/ })
  await t.rejects(start({ jwtPublicKey: keys.rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }), {
    name: 'SettingsError',
    message: /private key/,
  })
})

await t.test('requirePrincipal reads the principal at each call', (t) => {
  let reads = 0
  const request = {
    method: 'GET',
    routeOptions: { url: '/topics' } as FastifyRequest['routeOptions'],
    get [kPrincipal]() {
      if (++reads > 1) throw new Problem('revoked-token', 'The token has been revoked.')
      return anonymous([])
    },
  }
  t.strictSame(requirePrincipal(request), anonymous([]))
  t.throws(() => requirePrincipal(request), { code: 'revoked-token' })
  t.end()
})

await t.test(
  'a handler that reads the principal or the token of a route that does not authenticate gets an Error',
  (t) => {
    const routeOptions = { url: '/topics' } as FastifyRequest['routeOptions']
    try {
      requirePrincipal({ method: 'GET', routeOptions, [kPrincipal]: null })
      t.fail('the call did not throw')
    } catch (err) {
      t.notOk(err instanceof Problem)
      t.match(err, { message: /^The route GET \/topics needs the hook app\[kAuthenticate\]/ })
    }
    t.throws(() => requireTokenSearch({ method: 'GET', routeOptions, [kToken]: null }), {
      message: /^The route GET \/topics needs the hook app\[kAuthenticate\]/,
    })
    t.end()
  },
)
