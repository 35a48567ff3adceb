/** Tokens over real sockets: where the hub looks for them, what they allow, and the refusals. */
import t, { type Test } from 'tap'
import { send, publish, type Answer, type Sending } from '../helper/http.js'
import { checkProblem, type Problem } from '../helper/problem.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, openStream, streamUrl } from '../helper/stream.js'
import { SECRET, sign, token } from '../helper/token.js'

const ORIGIN = 'https://app.example.com'
const STREAM = { accept: 'text/event-stream' }
const PAGE = { accept: 'application/json' }
const admin = token({ sub: 'root', admin: true })

function page(hub: Hub, topics: string[], sending: Sending = {}): Promise<Answer> {
  return send({ url: '' }, 'GET', streamUrl(hub, topics), { ...sending, headers: { ...PAGE, ...sending.headers } })
}

async function ticketFor(hub: Hub, bearer: string): Promise<string> {
  return (await send<{ ticket: string }>(hub, 'POST', '/tickets', { token: bearer })).body.ticket
}

const hub = await startHub(t)
const lenient = await startHub(t, { FANFARE_QUERY_TOKEN: 'true' })

await t.test('the order of precedence is header, ticket, cookie, query', async (t) => {
  const of = (sub: string) => token({ sub, subscribe: ['a'] })
  const ticket = await ticketFor(lenient, of('ticket'))
  const places = ['header', 'ticket', 'cookie', 'query'] as const
  const urlOf = (from: number, texts: { ticket: string; query: string }) =>
    streamUrl(lenient, ['a'], {
      ...(from <= 1 ? { ticket: texts.ticket } : {}),
      ...(from <= 3 ? { token: texts.query } : {}),
    })
  const headersOf = (from: number, texts: { header: string; cookie: string }) => ({
    ...(from <= 0 ? { authorization: `Bearer ${texts.header}` } : {}),
    ...(from <= 2 ? { cookie: `fanfare_token=${texts.cookie}` } : {}),
  })
  for (const [from, place] of places.entries()) {
    const good = { header: of('header'), ticket, cookie: of('cookie'), query: of('query') }
    const { headers } = await openLive(t, urlOf(from, good), { headers: headersOf(from, good) })
    t.match(await send(lenient, 'GET', `/connections/${String(headers['fanfare-connection'])}`, { token: admin }), {
      body: { subject: place },
    })
    const bad = { ...good, [place]: 'x' }
    const path = urlOf(from, bad).slice(lenient.url.length)
    const { detail } = checkProblem(
      t,
      await send(lenient, 'GET', path, { headers: { ...STREAM, ...headersOf(from, bad) } }),
      401,
      `an invalid token (${place}) is refused, not skipped`,
    )
    t.match(
      detail,
      {
        header: /header "Authorization"/,
        ticket: /found in the query, as "ticket"/,
        cookie: /the cookie "fanfare_token"/,
        query: /found in the query, as "token"/,
      }[place],
    )
  }
})

await t.test('the scheme "Bearer" is case-insensitive', async (t) => {
  const bearer = token({ subscribe: ['a'] })
  for (const authorization of [`Bearer ${bearer}`, `bearer ${bearer}`, `BEARER  ${bearer}`])
    t.equal((await page(hub, ['a'], { headers: { authorization } })).status, 200)
  for (const [authorization, code] of [
    [bearer, 'missing-token'],
    [`Basic ${bearer}`, 'missing-token'],
    ['Bearer', 'malformed-token'],
    [`Bearer ${bearer} ${bearer}`, 'malformed-token'],
  ] as const) {
    t.equal(
      checkProblem(t, await page(hub, ['a'], { headers: { authorization } }), 401, authorization.slice(0, 10)).code,
      code,
    )
  }
})

await t.test('the Basic authentication of a proxy in front of the hub hides neither ticket nor cookie', async (t) => {
  const bearer = token({ sub: 'ann', subscribe: ['a'] })
  const authorization = 'Basic dTpw'
  const stream = await openLive(t, streamUrl(hub, ['a'], { ticket: await ticketFor(hub, bearer) }), {
    headers: { authorization },
  })
  t.equal((await page(hub, ['a'], { session: bearer, headers: { authorization } })).status, 200)
  const { detail } = checkProblem(t, await page(hub, ['a'], { headers: { authorization } }), 401, 'alone')
  t.match(detail, /has the scheme "Basic", and must be "Bearer"/)
  const path = `/connections/${String(stream.headers['fanfare-connection'])}/token`
  t.equal(
    checkProblem(
      t,
      await send(hub, 'PUT', path, { session: bearer, origin: hub.url, headers: { authorization } }),
      400,
      'Basic credentials cannot become the token of a stream',
    ).code,
    'invalid-request',
  )
})

await t.test('a missing or bad token gets 401, with the expected scheme', async (t) => {
  const hub = await startHub(t, { FANFARE_JWT_ISSUER: 'https://login.example.com', FANFARE_JWT_AUDIENCE: 'hub' })
  const grants = { subscribe: ['**'], publish: ['**'], presence: ['**'], iss: 'https://login.example.com', aud: 'hub' }
  const now = Math.floor(Date.now() / 1_000)
  const requests: [method: string, path: string, sending?: Sending][] = [
    ['GET', '/topics/a/events', { headers: STREAM }],
    ['GET', '/topics/a/events', { headers: PAGE }],
    ['GET', '/events?topic=a', { headers: STREAM }],
    ['POST', '/topics/a/events', { body: { data: 1 } }],
    ['POST', '/events', { body: { events: [{ topic: 'a', data: 1 }] } }],
    ['GET', '/topics/a/presence'],
    ['GET', '/topics'],
    ['GET', '/topics/a'],
    ['DELETE', '/topics/a/events'],
    ['POST', '/sessions'],
    ['POST', '/tickets'],
    ['POST', '/revocations', { body: { subject: 'u1', until: '2999-01-01T00:00:00Z' } }],
    ['GET', '/revocations'],
    ['DELETE', '/revocations/x'],
    ['GET', '/connections'],
    ['GET', '/connections/x'],
    ['PATCH', '/connections/x', { body: {} }],
    ['PUT', '/connections/x/token'],
    ['DELETE', '/connections/x'],
    ['DELETE', '/connections?subject=u1'],
  ]
  const bad: [bearer: string, code: string][] = [
    ['x', 'malformed-token'],
    [token(grants, { secret: 'another secret, which is as long as the first' }), 'invalid-signature'],
    [token(grants, { algorithm: 'none' }), 'invalid-algorithm'],
    [token({ ...grants, exp: now - 1 }), 'expired-token'],
    [token({ ...grants, nbf: now + 1_000 }), 'inactive-token'],
    [token({ ...grants, iss: 'https://evil.example' }), 'invalid-claims'],
    [token({ ...grants, aud: 'other' }), 'invalid-claims'],
    [token({ subscribe: ['**'] }), 'invalid-claims'],
  ]
  t.equal((await page(hub, ['a'], { token: token(grants) })).status, 200, 'a valid token')
  for (const [method, path, sending] of requests) {
    const missing = await send(hub, method, path, sending)
    const { code, detail } = checkProblem(t, missing, 401, `${method} ${path}`)
    t.equal(code, 'missing-token')
    t.match(
      detail,
      /looked in the header "Authorization: Bearer …", in the query as "ticket", and in the cookie "fanfare_token"/,
    )
    t.equal(
      missing.headers.get('www-authenticate'),
      'Bearer realm="fanfare"',
      'without an error code, since the request has no token (RFC 6750, 3.1)',
    )
    const [bearer, expected] = bad[requests.findIndex((request) => request[1] === path) % bad.length]!
    const refused = await send(hub, method, path, { ...sending, token: bearer })
    t.equal(checkProblem(t, refused, 401, `${method} ${path}: ${expected}`).code, expected)
    t.match(refused.headers.get('www-authenticate'), /^Bearer realm="fanfare", error="invalid_token"/)
  }
  for (const [bearer, code] of bad)
    t.equal(checkProblem(t, await page(hub, ['a'], { token: bearer }), 401, code).code, code)
})

await t.test('a pattern that no single grant covers gets 403 with its name', async (t) => {
  const bearer = token({ sub: 'ann', subscribe: ['a.1', 'a.2', 'b.*'], publish: ['a.*'], presence: ['a.1'] })
  const named = async (answer: Promise<Answer>, pattern: string): Promise<void> => {
    const { headers, ...rest } = await answer
    const { code, detail } = checkProblem(t, { headers, ...rest }, 403, pattern)
    t.equal(code, 'not-granted')
    t.ok(detail.includes(JSON.stringify(pattern)), detail)
    t.match(headers.get('www-authenticate'), /^Bearer realm="fanfare", error="insufficient_scope"/)
  }
  await named(page(hub, ['a.*'], { token: bearer }), 'a.*')
  await named(page(hub, ['a.1', 'b.**', 'a.2'], { token: bearer }), 'b.**')
  await named(send(hub, 'GET', '/events?topic=a.1&topic=c', { token: bearer, headers: STREAM }), 'c')
  await named(send(hub, 'POST', '/topics/b.1/events', { token: bearer, body: { data: 1 } }), 'b.1')
  await named(
    send(hub, 'POST', '/events', {
      token: bearer,
      body: {
        events: [
          { topic: 'a.1', data: 1 },
          { topic: 'b.1', data: 2 },
        ],
      },
    }),
    'b.1',
  )
  await named(send(hub, 'GET', '/topics/a.2/presence', { token: bearer }), 'a.2')
  await named(send(hub, 'GET', '/events?topic=a.1&topic=a.2&presence=true', { token: bearer, headers: STREAM }), 'a.2')
  await named(page(hub, ['fanfare.stats'], { token: bearer }), 'fanfare.stats')
  t.match(
    await page(hub, ['a.1'], { token: bearer }),
    { status: 200, body: { events: [] } },
    'no event of a refused batch is stored',
  )
})

await t.test('{sub} in a grant is the subject, and the grant is void without a subject', async (t) => {
  const grants = { subscribe: ['users.{sub}.**'], publish: ['users.{sub}.outbox'], presence: ['rooms.{sub}'] }
  const outcome = async (bearer: string, name: string) => [
    (await page(hub, [`users.${name}.inbox`], { token: bearer })).status,
    (await send(hub, 'POST', `/topics/users.${name}.outbox/events`, { token: bearer, body: { data: 1 } })).status,
    (await send(hub, 'GET', `/topics/rooms.${name}/presence`, { token: bearer })).status,
  ]
  t.strictSame(await outcome(token({ sub: 'ann', ...grants }), 'ann'), [200, 201, 200])
  t.strictSame(await outcome(token({ sub: 'ann', ...grants }), 'bob'), [403, 403, 403])
  for (const claims of [{}, { sub: '*' }, { sub: '**' }, { sub: 'ann.x' }])
    t.strictSame(await outcome(token({ ...claims, ...grants }), 'ann'), [403, 403, 403], JSON.stringify(claims))
})

await t.test('a void grant with {sub} is named in the refusal, also with a ticket', async (t) => {
  const bearer = token({ subscribe: ['users.{sub}.**'] })
  const why = /void: the token has no "sub"/
  t.match(checkProblem(t, await page(hub, ['users.ann.inbox'], { token: bearer }), 403, 'a token').detail, why)
  const path = streamUrl(hub, ['users.ann.inbox'], { ticket: await ticketFor(hub, bearer) }).slice(hub.url.length)
  t.match(checkProblem(t, await send(hub, 'GET', path, { headers: STREAM }), 403, 'a ticket').detail, why)
})

await t.test('FANFARE_ANONYMOUS_SUBSCRIBE', async (t) => {
  const hub = await startHub(t, { FANFARE_ANONYMOUS_SUBSCRIBE: 'news.*, weather' })
  const publisher = token({ publish: ['**'] })

  await t.test('opens streams and history of the listed patterns without a token', async (t) => {
    const stream = await openLive(t, streamUrl(hub, ['news.*', 'weather']))
    const { id } = await publish(hub, 'news.today', { data: 1 }, publisher)
    await stream.count(1)
    t.match(stream.events, [{ id, topic: 'news.today' }])
    t.match(await page(hub, ['news.*']), { status: 200 })
    t.match(
      await page(hub, ['news.today'], { token: token({ subscribe: ['orders.*'] }) }),
      { status: 200 },
      'a token with other grants can read them too',
    )
  })

  await t.test('opens nothing else', async (t) => {
    for (const topics of [['news.**'], ['**'], ['orders.1'], ['news.today', 'orders.1'], ['fanfare.stats']]) {
      const { code, detail } = checkProblem(t, await page(hub, topics), 401, topics.join())
      t.equal(code, 'missing-token')
      t.ok(detail.includes(JSON.stringify(topics.at(-1))), detail)
    }
    for (const [method, path, body] of [
      ['POST', '/topics/news.today/events', { data: 1 }],
      ['GET', '/topics/news.today/presence'],
      ['DELETE', '/topics/news.today/events'],
      ['POST', '/tickets'],
    ] as const) {
      t.equal(checkProblem(t, await send(hub, method, path, { body }), 401, `${method} ${path}`).code, 'missing-token')
    }
    t.equal(
      checkProblem(
        t,
        await send(hub, 'GET', '/events?topic=news.today&presence=true', { headers: STREAM }),
        401,
        'presence',
      ).code,
      'missing-token',
    )
    t.equal(
      checkProblem(t, await page(hub, ['news.today'], { token: 'x' }), 401, 'a bad token').code,
      'malformed-token',
      'an invalid token does not count as missing',
    )
  })
})

await t.test('the claim of the grants is a setting', async (t) => {
  const hub = await startHub(t, { FANFARE_JWT_CLAIM: 'https://example.com/hub' })
  const signed = (claim: string) =>
    sign({ alg: 'HS256', typ: 'JWT' }, { sub: 'ann', [claim]: { subscribe: ['a'] } }, SECRET)
  t.equal((await page(hub, ['a'], { token: signed('https://example.com/hub') })).status, 200)
  t.match(
    checkProblem(t, await page(hub, ['a'], { token: signed('fanfare') }), 403, 'grants in another claim do not count')
      .detail,
    /no claim "https:\/\/example\.com\/hub" \(the name is the setting FANFARE_JWT_CLAIM/,
  )
  await openLive(t, streamUrl(hub, ['a'], { ticket: await ticketFor(hub, signed('https://example.com/hub')) }))
})

await t.test('a token in the query is refused, and the answer names the ticket', async (t) => {
  const bearer = token({ subscribe: ['**'], publish: ['**'], admin: true })
  for (const [method, path, sending] of [
    ['GET', '/topics/a/events', { headers: STREAM }],
    ['GET', '/topics/a/events', { headers: PAGE }],
    ['POST', '/topics/a/events', { body: { data: 1 } }],
    ['GET', '/topics', {}],
    ['POST', '/tickets', {}],
    ['GET', '/connections', {}],
    ['GET', '/status', {}],
    ['GET', '/health/live', {}],
    ['DELETE', '/sessions', {}],
    ['GET', '/', {}],
  ] as const) {
    for (const name of ['token', 'access_token', 'Token', 'JWT']) {
      const { code, detail } = checkProblem(
        t,
        await send(hub, method, `${path}?${name}=${bearer}`, sending),
        400,
        `${method} ${path}?${name}=`,
      )
      t.equal(code, 'token-in-query')
      t.match(detail, /a ticket \(POST \/tickets\)/)
    }
  }
  t.equal(
    checkProblem(
      t,
      await send(hub, 'GET', `/topics/a/events?token=${bearer}`, { token: bearer, headers: PAGE }),
      400,
      'even if the header has a token too',
    ).code,
    'token-in-query',
  )
})

await t.test('FANFARE_QUERY_TOKEN=true accepts the parameter "token"', async (t) => {
  const bearer = token({ subscribe: ['a'], publish: ['a'] })
  const stream = await openLive(t, streamUrl(lenient, ['a'], { token: bearer }))
  t.equal((await send(lenient, 'POST', `/topics/a/events?token=${bearer}`, { body: { data: 1 } })).status, 201)
  await stream.count(1)
  t.equal(
    checkProblem(
      t,
      await send(lenient, 'GET', `/topics/a/events?access_token=${bearer}`, { headers: PAGE }),
      400,
      'another parameter name',
    ).code,
    'token-in-query',
  )
  t.equal(
    checkProblem(t, await send(lenient, 'GET', '/topics/a/events?token=x', { headers: PAGE }), 401, 'an invalid token')
      .code,
    'malformed-token',
  )
})

await t.test('no secret, ticket or token is logged, from any part of a request', async (t) => {
  for (const FANFARE_QUERY_TOKEN of ['false', 'true']) {
    const hub = await startHub(t, { LOG_LEVEL: 'trace', FANFARE_QUERY_TOKEN, FANFARE_CORS_ORIGINS: ORIGIN })
    const good = token({ sub: 'ann', jti: 'j1', subscribe: ['a'], publish: ['a'], admin: true })
    const ticket = await ticketFor(hub, good)
    const secrets = [
      good,
      token({ sub: 'ann', exp: 1 }),
      token({ sub: 'eve' }, { secret: 'another secret, which is as long as the first' }),
      ticket,
      `${ticket}x`,
    ]
    await (await openStream(t, streamUrl(hub, ['a'], { ticket }))).told('open')
    for (const text of secrets) await tryEverywhere(t, hub, text)
    t.equal(
      (await send(hub, 'POST', '/revocations', { token: good, body: { jti: 'j1', until: '2999-01-01T00:00:00Z' } }))
        .status,
      201,
    )
    t.equal((await page(hub, ['a'], { token: good })).status, 401)
    await hub.stop()
    const output = hub.output()
    t.ok(hub.logs().filter(({ msg }) => msg === 'request refused').length > 50, 'refusals are logged')
    t.notOk(output.includes(SECRET))
    for (const text of secrets)
      for (const part of text.split('.').slice(1))
        t.notOk(output.includes(part), `FANFARE_QUERY_TOKEN=${FANFARE_QUERY_TOKEN}: ${part}`)
  }
})

/** Sends a token or ticket in every place where a client may put it, to existing and missing resources. */
async function tryEverywhere(t: Test, hub: Hub, text: string): Promise<void> {
  const places: [query: string, sending: Sending][] = [
    ['', { token: text }],
    ['', { headers: { authorization: text } }],
    ['', { headers: { authorization: `Basic ${text}` } }],
    ['', { session: text, origin: ORIGIN }],
    ['', { session: text, origin: 'https://evil.example' }],
    [`?ticket=${text}`, {}],
    [`?token=${text}`, {}],
    [`?access_token=${text}`, {}],
    [`%3Fticket=${text}`, {}],
    [`/${text}`, {}],
    [`?lastEventId=${text}`, {}],
    [`?topic=${text}`, {}],
    [`/${text.replaceAll('.', '%2E')}`, {}],
    ['', { origin: `https://${text}` }],
  ]
  for (const [query, sending] of places) {
    for (const [method, path, body] of [
      ['GET', '/topics/a/events'],
      ['GET', '/events'],
      ['POST', '/topics/b/events', { data: 1 }],
      ['DELETE', '/sessions'],
      ['GET', '/nothing'],
      ['PUT', '/status'],
      ['GET', '/topics/a..b/events'],
    ] as const) {
      const { body: answer } = await send<Partial<Problem>>(hub, method, path + query, {
        ...sending,
        headers: { ...PAGE, ...sending.headers },
        ...(body === undefined ? {} : { body }),
      })
      t.notOk(query === '' && JSON.stringify(answer).includes(text), 'refusals do not repeat credentials')
    }
  }
}
