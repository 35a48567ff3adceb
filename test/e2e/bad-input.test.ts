/** A refused request gets problem details, and changes nothing. */
import { generateKeyPairSync } from 'node:crypto'
import t, { type Test } from 'tap'
import { history, post, publish, publishBatch, request, send, type Answer, type Published } from '../helper/http.js'
import { ndjson } from '../helper/ndjson.js'
import { checkProblem } from '../helper/problem.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { anyTopic, SECRET, sign, token } from '../helper/token.js'

const bearer = anyTopic()
const LF = '\n'
const CR = '\r'
const NUL = '\0'
const LINE_SEPARATOR = '\u2028'

/** Starts a hub with one event. `unchanged` checks that the hub still has only that event. */
async function start(t: Test): Promise<{ hub: Hub; unchanged: (t: Test) => Promise<void> }> {
  const hub = await startHub(t)
  await publish(hub, 'kept', { data: 'before' }, bearer)
  const before = await history(hub, '**', 'last=1000', bearer)
  t.equal(before.body.events.length, 1)
  return {
    hub,
    async unchanged(t) {
      const after = await history(hub, '**', 'last=1000', bearer)
      t.strictSame(after.body, before.body, 'nothing is stored')
    },
  }
}

/** Returns a value for the name of a test, in ASCII and on one line. */
function show(value: unknown): string {
  const json = JSON.stringify(value) as string | undefined
  return (json ?? 'undefined')
    .replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .slice(0, 80)
}

const longSegment = 'a'.repeat(65)
const BAD_TOPICS = [
  '.',
  '.a',
  'a.',
  'a..b',
  'a b',
  'a/b',
  'a?',
  'a#b',
  'é',
  'a.{sub}',
  'a+b',
  'a,b',
  '%',
  longSegment,
  `a.${longSegment}`,
  Array(17).fill('a').join('.'),
  Array(5).fill('b'.repeat(40)).join('.'),
  `a${LF}b`,
  `a${CR}b`,
  `a${NUL}b`,
  `a${LINE_SEPARATOR}b`,
  `a${LF}`,
]
const NO_TOPICS = ['*', '**', 'a.*', 'a.**', '*.a']
const BAD_PATTERNS = ['**.a', 'a.**.b', 'a*', '*a', 'a.b*', '***', 'a.***', '*.**.*', `*${LF}`]

await t.test('a bad topic or pattern', async (t) => {
  const { hub, unchanged } = await start(t)
  const address = (topic: string): string => `${hub.url}/topics/${encodeURIComponent(topic)}/events`

  await t.test('in a publish', async (t) => {
    for (const topic of [...BAD_TOPICS, ...NO_TOPICS]) {
      // A URL cannot name the topics `.` and `..`: they are steps of a path (RFC 3986, 5.2.4).
      if (topic !== '.') checkProblem(t, await post(address(topic), { data: 1 }, bearer), 400, show(topic))
      const batch = {
        events: [
          { topic: 'fine', data: 1 },
          { topic, data: 2 },
        ],
      }
      checkProblem(t, await post(`${hub.url}/events`, batch, bearer), 400, `${show(topic)} in a batch`)
    }
    for (const topic of ['fanfare', 'fanfare.stats', 'fanfare.a.b']) {
      checkProblem(t, await post(address(topic), { data: 1 }, bearer), [400, 403], `${topic} is reserved`)
    }
    for (const topic of [1, null, undefined, ['a'], {}, '']) {
      checkProblem(
        t,
        await post(`${hub.url}/events`, { events: [{ topic, data: 2 }] }, bearer),
        400,
        `the topic ${show(topic)}`,
      )
    }
    await unchanged(t)
  })

  await t.test('in a subscription', async (t) => {
    for (const accept of ['text/event-stream', 'application/json']) {
      const headers = { accept, authorization: `Bearer ${bearer}` }
      for (const topic of [...BAD_TOPICS, ...BAD_PATTERNS]) {
        if (topic !== '.')
          checkProblem(t, await request(address(topic), { headers }), 400, `${show(topic)} as ${accept}`)
        checkProblem(
          t,
          await request(streamUrl(hub, ['fine', topic]), { headers }),
          400,
          `${show(topic)} among others as ${accept}`,
        )
      }
      checkProblem(t, await request(`${hub.url}/events`, { headers }), 400, `no topic as ${accept}`)
      checkProblem(t, await request(`${hub.url}/events?topic=`, { headers }), 400, `an empty topic as ${accept}`)
      const many = Array.from({ length: 101 }, (_, n) => `t.${n}`)
      checkProblem(t, await request(streamUrl(hub, many), { headers }), 400, `101 topics as ${accept}`)
    }
  })

  await t.test('the largest allowed topics and patterns are accepted', async (t) => {
    for (const topic of [
      Array(16).fill('a').join('.'),
      'a'.repeat(64),
      `${'b'.repeat(39)}.`.repeat(5).slice(0, -1) + 'b',
      'A-Z.a_z.0~9.:@-',
    ]) {
      t.equal((await publish(hub, topic, { data: 1 }, bearer)).topic, topic)
      await openLive(t, streamUrl(hub, [topic, '**']), { token: bearer })
    }
    const many = Array.from({ length: 100 }, (_, n) => `t.${n}`)
    await openLive(t, streamUrl(hub, many), { token: bearer })
  })
})

await t.test('a bad query', async (t) => {
  const { hub, unchanged } = await start(t)
  const get = (query: string, accept: string): Promise<Answer> =>
    request(`${hub.url}/topics/kept/events?${query}`, { headers: { accept, authorization: `Bearer ${bearer}` } })

  for (const query of [
    'after=garbage',
    'after=',
    'after=abcdefgh-',
    'after=abcdefgh--1',
    'after=abcdefgh-1%0A',
    'after=abcdefgh-1.5',
    'after=a&after=b',
  ]) {
    checkProblem(t, await get(query, 'application/json'), 400, `history ${query}`)
  }
  for (const query of ['limit=0', 'limit=1001', 'limit=-1', 'limit=x', 'limit=1.5', 'last=x', 'last=-1', 'last=1.5']) {
    checkProblem(t, await get(query, 'application/json'), 400, `history ${query}`)
  }
  for (const query of ['replay=-1', 'replay=1001', 'replay=x', 'replay=1.5', 'replay=ALL', 'format=xml']) {
    checkProblem(t, await get(query, 'text/event-stream'), 400, `stream ${query}`)
  }
  for (const accept of ['text/html', 'image/png, text/html;q=0.5', 'text/event-stream;q=0']) {
    checkProblem(t, await get('', accept), 406, `accept: ${accept}`)
  }
  await unchanged(t)
})

await t.test('a bad event', async (t) => {
  const { hub, unchanged } = await start(t)
  const address = `${hub.url}/topics/a/events`
  const bad: [string, unknown][] = [
    ['both data and text', { data: 1, text: 'x' }],
    ['both, though data is null', { data: null, text: 'x' }],
    ['neither', {}],
    ['neither data nor text, but a type', { type: 'x' }],
    ['an unknown member', { data: 1, extra: true }],
    ['a member of another case', { Data: 1 }],
    ['a text that is not a string', { text: 5 }],
    ['a text that is null', { text: null }],
    ['a type that is not a string', { data: 1, type: 5 }],
    ['an empty type', { data: 1, type: '' }],
    ['a type of 129 characters', { data: 1, type: 'x'.repeat(129) }],
    ['a reserved type', { data: 1, type: 'fanfare.close' }],
    ['LF in a type', { data: 1, type: `a${LF}data: evil` }],
    ['CR in a type', { data: 1, type: `a${CR}data: evil` }],
    ['NUL in a type', { data: 1, type: `a${NUL}b` }],
    ['DEL in a type', { data: 1, type: 'a\x7fb' }],
    ['an id that is not a string', { data: 1, id: 5 }],
    ['an empty id', { data: 1, id: '' }],
    ['an id of 129 characters', { data: 1, id: 'x'.repeat(129) }],
    ['LF in an id', { data: 1, id: `a${LF}b` }],
    ['CR in an id', { data: 1, id: `a${CR}b` }],
    ['NUL in an id', { data: 1, id: `a${NUL}b` }],
    ['U+2028 in an id', { data: 1, id: `a${LINE_SEPARATOR}b` }],
    ['an id that is not ASCII', { data: 1, id: 'é' }],
    ['ephemeral that is not a boolean', { data: 1, ephemeral: 'true' }],
  ]

  await t.test('alone', async (t) => {
    for (const [what, event] of bad) checkProblem(t, await post(address, event, bearer), 400, what)
    checkProblem(
      t,
      await post(address, { topic: 'b', data: 1 }, bearer),
      400,
      'a topic in the body, although the URL has one',
    )
    for (const body of ['null', '5', '"text"', '[]', '[{"data":1}]', 'true'])
      checkProblem(t, await post(address, body, bearer), 400, `the body ${body}`)
    for (const body of ['', '{', '{"data":}', '{"data":1}}', "{'data':1}", '{"data":01}', 'data=1', '{"data":"\n"}']) {
      checkProblem(t, await post(address, body, bearer), 400, `the malformed body ${show(body)}`)
    }
    await unchanged(t)
  })

  await t.test('in a batch', async (t) => {
    const fine = { topic: 'a', data: 1 }
    for (const [what, event] of bad) {
      const events = [fine, { topic: 'a', ...(event as object) }, fine]
      checkProblem(t, await post(`${hub.url}/events`, { events }, bearer), 400, what)
    }
    for (const body of [
      {},
      { events: [] },
      { events: {} },
      { events: [null] },
      { events: [fine], extra: 1 },
      [fine],
      fine,
    ]) {
      checkProblem(t, await post(`${hub.url}/events`, body, bearer), 400, show(body))
    }
    checkProblem(t, await post(`${hub.url}/events`, { events: Array(1001).fill(fine) }, bearer), 400, '1,001 events')
    await unchanged(t)
  })

  await t.test('two different ids', async (t) => {
    checkProblem(
      t,
      await post(address, { data: 1, id: 'a' }, bearer, { 'idempotency-key': 'b' }),
      400,
      'id and Idempotency-Key',
    )
    checkProblem(
      t,
      await post(address, { data: 1 }, bearer, { 'idempotency-key': 'x'.repeat(129) }),
      400,
      'a key of 129 characters',
    )
    checkProblem(
      t,
      await post(address, 'x', bearer, { 'content-type': 'text/plain', 'idempotency-key': 'é' }),
      400,
      'a key that is not ASCII',
    )
    await unchanged(t)
  })

  await t.test('as plain text with a bad type', async (t) => {
    for (const type of ['', 'x'.repeat(129), 'fanfare.open', `a${LF}b`, `a${CR}b`, `a${NUL}b`]) {
      const answer = await post(`${address}?type=${encodeURIComponent(type)}`, 'text', bearer, {
        'content-type': 'text/plain',
      })
      checkProblem(t, answer, 400, show(type))
    }
    await unchanged(t)
  })

  await t.test('of the wrong type or too large', async (t) => {
    for (const type of [
      'application/xml',
      'application/x-www-form-urlencoded',
      'text/html',
      'application/octet-stream',
      'nonsense',
    ]) {
      checkProblem(t, await post(address, '{"data":1}', bearer, { 'content-type': type }), 415, type)
      checkProblem(
        t,
        await post(`${hub.url}/events`, '{"events":[]}', bearer, { 'content-type': type }),
        415,
        `${type} for a batch`,
      )
    }
    checkProblem(
      t,
      await post(address, ndjson([{ topic: 'a', data: 1 }]), bearer, { 'content-type': 'application/x-ndjson' }),
      415,
      'NDJSON to one topic',
    )
    checkProblem(
      t,
      await post(`${hub.url}/events`, 'text', bearer, { 'content-type': 'text/plain' }),
      415,
      'plain text to no topic',
    )
    for (const [method, path] of [
      ['PATCH', '/connections/x'],
      ['POST', '/revocations'],
      ['POST', '/sessions'],
      ['PUT', '/connections/x/token'],
    ] as const) {
      for (const type of ['text/plain', 'application/x-ndjson', 'application/xml']) {
        const answer = await send(hub, method, path, { token: bearer, headers: { 'content-type': type }, body: {} })
        t.match(checkProblem(t, answer, 415, `${type} to ${method} ${path}`).detail, /application\/json/)
      }
    }
    const noType = await request(address, {
      method: 'POST',
      headers: { authorization: `Bearer ${bearer}` },
      body: new Uint8Array([1, 2]),
    })
    checkProblem(t, noType, 415, 'no content type')

    const large = 'x'.repeat(256 * 1024 + 1)
    checkProblem(t, await post(address, { text: large }, bearer), 413, 'a text of more than 256 KiB')
    checkProblem(t, await post(address, { data: large }, bearer), 413, 'data of more than 256 KiB')
    checkProblem(
      t,
      await post(address, large, bearer, { 'content-type': 'text/plain' }),
      413,
      'plain text of more than 256 KiB',
    )
    checkProblem(
      t,
      await post(
        `${hub.url}/events`,
        {
          events: [
            { topic: 'a', data: 1 },
            { topic: 'a', text: large },
          ],
        },
        bearer,
      ),
      413,
      'one large event in a batch',
    )
    await unchanged(t)
  })

  await t.test('the largest allowed events are accepted', async (t) => {
    await publish(hub, 'limits', { text: 'x'.repeat(250 * 1024), type: 't'.repeat(128), id: 'i'.repeat(128) }, bearer)
    await publish(hub, 'limits', { data: null }, bearer)
    await publish(hub, 'limits', { text: '' }, bearer)
    const thousand = Array.from({ length: 1000 }, () => ({ topic: 'limits', text: 'x'.repeat(1000) }))
    const published = await publishBatch(hub, thousand, bearer)
    t.equal(published.length, 1000, 'a batch of a megabyte in 1,000 events')
  })
})

await t.test('a bad line ends an NDJSON upload; the lines before it are stored', async (t) => {
  const { hub } = await start(t)
  const narrow = token({ publish: ['lines', 'more'], subscribe: ['**'] })
  const bad: [string, string, number | number[]][] = [
    ['malformed', '{"topic":"lines","data":', 400],
    ['no object', '5', 400],
    ['no topic', '{"data":1}', 400],
    ['a bad topic', '{"topic":"a..b","data":1}', 400],
    ['a pattern', '{"topic":"lines.*","data":1}', 400],
    ['neither data nor text', '{"topic":"lines"}', 400],
    ['both data and text', '{"topic":"lines","data":1,"text":"x"}', 400],
    ['an unknown member', '{"topic":"lines","data":1,"extra":2}', 400],
    ['LF in a type', '{"topic":"lines","data":1,"type":"a\\nb"}', 400],
    ['a topic that the token does not grant', '{"topic":"other","data":1}', 403],
    ['too large', JSON.stringify({ topic: 'lines', text: 'x'.repeat(300 * 1024) }), [400, 413]],
  ]
  for (const [what, line, status] of bad) {
    const before = await history(hub, '**', 'last=1000', bearer)
    const body = `${ndjson([
      { topic: 'lines', data: what },
      { topic: 'more', data: what },
    ])}${line}\n${ndjson([{ topic: 'lines', data: 'never' }])}`
    const answer = await post(`${hub.url}/events`, body, narrow, { 'content-type': 'application/x-ndjson' })
    const problem = checkProblem(t, answer, status, what)
    t.match(problem, { line: 3, accepted: 2 }, what)
    const after = await history(hub, '**', 'last=1000', bearer)
    const added = after.body.events.slice(before.body.events.length)
    t.strictSame(
      added.map(({ topic, data }) => [topic, data]),
      [
        ['lines', what],
        ['more', what],
      ],
      'only the two lines before it are stored',
    )
  }
})

await t.test('a token', async (t) => {
  const { hub, unchanged } = await start(t)
  const now = Math.floor(Date.now() / 1000)
  const all = { subscribe: ['**'], publish: ['**'], admin: true }
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const [header, claims, signature] = token(all).split('.') as [string, string, string]
  const claimsOf = { fanfare: all }
  const rejected: [string, string | undefined][] = [
    ['that is missing', undefined],
    ['that is not a token', 'garbage'],
    ['that is empty', ''],
    ['of two parts', `${header}.${claims}`],
    ['of four parts', `${header}.${claims}.${signature}.x`],
    ['that is not base64', `${header}.${claims}.!!!`],
    ['without a signature', `${header}.${claims}.`],
    [
      'whose claims were changed',
      `${header}.${Buffer.from(JSON.stringify({ ...claimsOf, sub: 'root' })).toString('base64url')}.${signature}`,
    ],
    ['whose header is not JSON', `${Buffer.from('{').toString('base64url')}.${claims}.${signature}`],
    ['that has expired', token({ ...all, exp: now - 1 })],
    ['that expired long ago', token({ ...all, exp: 1 })],
    ['that is not valid yet', token({ ...all, nbf: now + 3600 })],
    ['signed with another key', token(all, { secret: 'another secret of at least thirty-two characters' })],
    ['with no algorithm', token(all, { algorithm: 'none' })],
    ['with no algorithm, of another case', sign({ alg: 'nOnE', typ: 'JWT' }, claimsOf, SECRET)],
    [
      'with no algorithm and the signature of one',
      `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${claims}.${signature}`,
    ],
    ['signed with HS512', token(all, { algorithm: 'HS512' })],
    ['signed with HS384', token(all, { algorithm: 'HS384' })],
    ['that claims RS256', `${Buffer.from('{"alg":"RS256","typ":"JWT"}').toString('base64url')}.${claims}.${signature}`],
    [
      'signed with a private key as if it were a secret',
      token(all, { secret: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }),
    ],
    ['with an expiry that is not a number', sign({ alg: 'HS256', typ: 'JWT' }, { ...claimsOf, exp: 'never' }, SECRET)],
    ['that is not an object', sign({ alg: 'HS256', typ: 'JWT' }, 'all', SECRET)],
  ]
  for (const [what, bad] of rejected) {
    const headers = { ...(bad === undefined ? {} : { authorization: `Bearer ${bad}` }) }
    const json = { 'content-type': 'application/json' }
    checkProblem(
      t,
      await request(`${hub.url}/topics/kept/events`, { headers: { ...headers, accept: 'text/event-stream' } }),
      401,
      `${what}, for a stream`,
    )
    checkProblem(
      t,
      await request(`${hub.url}/topics/kept/events?last=1`, { headers: { ...headers, accept: 'application/json' } }),
      401,
      `${what}, for history`,
    )
    checkProblem(
      t,
      await request(`${hub.url}/topics/kept/events`, {
        method: 'POST',
        headers: { ...headers, ...json },
        body: '{"data":1}',
      }),
      401,
      `${what}, to publish`,
    )
    const batch = JSON.stringify({ events: [{ topic: 'kept', data: 1 }] })
    checkProblem(
      t,
      await request(`${hub.url}/events`, { method: 'POST', headers: { ...headers, ...json }, body: batch }),
      401,
      `${what}, for a batch`,
    )
    const lines = await request(`${hub.url}/events`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/x-ndjson' },
      body: ndjson([{ topic: 'kept', data: 1 }]),
    })
    checkProblem(t, lines, 401, `${what}, for NDJSON`)
  }
  for (const scheme of ['Basic', 'Token']) {
    const answer = await request(`${hub.url}/topics/kept/events`, {
      headers: { accept: 'text/event-stream', authorization: `${scheme} ${bearer}` },
    })
    checkProblem(t, answer, 401, `in the scheme ${scheme}`)
  }
  await unchanged(t)

  await t.test('in a query string is refused, with what to do instead', async (t) => {
    const answer = await request(`${hub.url}/topics/kept/events?token=${bearer}`, {
      headers: { accept: 'text/event-stream' },
    })
    const problem = checkProblem(t, answer, 400, '?token=')
    t.equal(problem.code, 'token-in-query')
    t.match(problem.detail, /ticket/)
  })

  await t.test('that lacks the grant is refused with the name of the topic', async (t) => {
    const narrow = token({ sub: 'u1', subscribe: ['a.*', 'own.{sub}'], publish: ['a.1', 'own.{sub}'] })
    for (const topic of ['a.2', 'b', 'a.1.x', 'own.u2']) {
      const alone = checkProblem(
        t,
        await post(`${hub.url}/topics/${topic}/events`, { data: 1 }, narrow),
        403,
        `publish to ${topic}`,
      )
      t.ok(alone.detail.includes(topic), alone.detail)
      const batch = {
        events: [
          { topic: 'a.1', data: 1 },
          { topic, data: 2 },
        ],
      }
      const among = checkProblem(
        t,
        await post(`${hub.url}/events`, batch, narrow),
        403,
        `publish to ${topic} in a batch`,
      )
      t.ok(among.detail.includes(topic), among.detail)
    }
    for (const pattern of ['**', '*.1', 'a.**', 'b', 'own.*', 'own.u2']) {
      for (const accept of ['text/event-stream', 'application/json']) {
        const headers = { accept, authorization: `Bearer ${narrow}` }
        const problem = checkProblem(
          t,
          await request(streamUrl(hub, [pattern]), { headers }),
          403,
          `subscribe to ${pattern} as ${accept}`,
        )
        t.ok(problem.detail.includes(pattern), problem.detail)
      }
    }
    for (const [what, none] of [
      ['no claim', sign({ alg: 'HS256' }, { sub: 'u1' }, SECRET)],
      ['no grants', token({})],
      ['no sub', token({ publish: ['own.{sub}'], subscribe: ['own.{sub}'] })],
    ] as const) {
      checkProblem(t, await post(`${hub.url}/topics/own.u1/events`, { data: 1 }, none), 403, `${what}: publish`)
      checkProblem(
        t,
        await request(streamUrl(hub, ['own.u1']), { headers: { authorization: `Bearer ${none}` } }),
        403,
        `${what}: subscribe`,
      )
    }
    await unchanged(t)
  })

  await t.test('and a query string do not appear in the log', async (t) => {
    const lines = JSON.stringify(hub.logs())
    for (const [what, secret] of [
      ['a token', signature],
      ['the secret', SECRET],
      ['a query string', 'last=1'],
      ['a query string', '?token'],
    ] as const) {
      t.notOk(lines.includes(secret), what)
    }
  })
})

await t.test('valid but hostile data arrives unchanged, as one event', async (t) => {
  const { hub } = await start(t)
  const stream = await openLive(t, streamUrl(hub, ['wire', 'wire.*']), { token: bearer })
  const cloud = await openLive(t, streamUrl(hub, ['wire'], { format: 'cloudevents' }), { token: bearer })
  const texts = [
    `a${LF}b`,
    `a${CR}b`,
    `a${CR}${LF}b`,
    `${LF}${LF}event: evil${LF}data: evil${LF}${LF}`,
    `${CR}${CR}id: evil${CR}${CR}`,
    `a${NUL}b`,
    `a${LINE_SEPARATOR}b\u2029c\u0085d`,
    '',
    ' ',
    '  two spaces',
    LF,
    `${LF}${LF}`,
    `a${LF}`,
    CR,
    ': no comment',
    'id: 1',
    'retry: 1',
    '\ufeffa',
    'data: x',
    '\u0000',
    '👋 ünïcödé',
    '"quoted"',
    '\\n',
  ]
  let count = 0
  const check = async (event: object, published: Published, data: string, type?: string): Promise<void> => {
    count++
    const what = show(event)
    await stream.count(count)
    t.strictSame(stream.events.at(-1), { id: published.id, type, topic: 'wire', data }, what)
    t.equal(stream.events.length, count, 'one event')
    t.equal(stream.lastId, published.id, 'the stream has the id of the event')
    await cloud.count(count)
    const { id, source, subject, ...rest } = JSON.parse(cloud.events.at(-1)!.data) as Record<string, unknown>
    t.strictSame({ id, source, subject }, { id: published.id, source: '/topics/wire', subject: 'wire' })
    t.strictSame(
      rest['data'],
      'text' in event ? event.text : (event as { data: unknown }).data,
      `${what} as a CloudEvent`,
    )
  }
  for (const text of texts) {
    const lines = text.replace(/\r\n|\r/g, '\n')
    await check({ text }, await publish(hub, 'wire', { text }, bearer), lines)
    await check({ data: text }, await publish(hub, 'wire', { data: text }, bearer), JSON.stringify(text))
    const data = { [text]: [text, { deep: text }], null: null, no: false, number: -1.5e-7 }
    await check({ data }, await publish(hub, 'wire', { data }, bearer), JSON.stringify(data))
    if (text !== '') {
      const { body } = await post<Published>(`${hub.url}/topics/wire/events`, text, bearer, {
        'content-type': 'text/plain; charset=utf-8',
      })
      const withoutMark = text.replace(/^\ufeff/, '') // at the start of a body it is a byte order mark
      await check({ text: withoutMark }, body, withoutMark === text ? lines : withoutMark)
    }
  }
  for (const type of [
    'a b',
    ': c',
    'data: x',
    'ünïcödé 👋',
    `a${LINE_SEPARATOR}b`,
    'message',
    'error',
    'Fanfare.open',
    ' padded ',
    'a:b',
  ]) {
    const answer = await post<Published>(`${hub.url}/topics/wire/events`, { type, data: 1 }, bearer)
    if (answer.status === 201) await check({ type, data: 1 }, answer.body, '1', type)
    else checkProblem(t, answer, 400, `the type ${show(type)} is refused`)
  }

  await t.test('a cursor with hostile characters arrives unchanged', async (t) => {
    for (const lastEventId of [
      `a${LF}event: evil`,
      `a${CR}${CR}data: evil${CR}${CR}`,
      `a${NUL}`,
      `a${LINE_SEPARATOR}b`,
      'é',
      '"',
      'x'.repeat(5000),
    ]) {
      const url = streamUrl(hub, ['kept'], { lastEventId })
      const answer = await openLive(t, url, { token: bearer })
      t.strictSame(
        answer.all.map(({ type }) => type),
        ['fanfare.open', 'fanfare.gap', undefined, 'fanfare.live'],
        show(lastEventId),
      )
      t.match(JSON.parse(answer.all[1]!.data), { reason: 'invalid' })
    }
  })
})

await t.test('input that attacks parsers never gets a 5xx', async (t) => {
  const { hub } = await start(t)
  const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`
  const bodies: [string, string][] = [
    ['nested 1,000 deep', `{"data":${deep(1_000)}}`],
    ['nested 100,000 deep', `{"data":${deep(100_000)}}`],
    ['a lone surrogate as data', '{"data":"\\ud800"}'],
    ['a lone surrogate as text', '{"text":"\\ud800"}'],
    ['a number that is too large', '{"data":1e999}'],
    ['__proto__', '{"data":{"__proto__":{"polluted":true}}}'],
    ['__proto__ of the event', '{"__proto__":{"data":1}}'],
    ['constructor', '{"data":{"constructor":{"prototype":{"polluted":true}}}}'],
    ['the same member twice', '{"data":1,"data":2}'],
    ['50,000 members', `{"data":{${Array.from({ length: 25_000 }, (_, n) => `"k${n}":0`).join(',')}}}`],
  ]
  const subscriber = await openLive(t, streamUrl(hub, ['**']), { token: bearer })
  let stored = 0
  for (const [what, body] of bodies) {
    for (const address of [`${hub.url}/topics/odd/events`, `${hub.url}/events`, 'ndjson']) {
      const event = address.endsWith('odd/events') ? body : `{"topic":"odd",${body.slice(1)}`
      const answer =
        address === 'ndjson'
          ? await post(`${hub.url}/events`, `${event}\n`, bearer, { 'content-type': 'application/x-ndjson' })
          : await post(address, address.endsWith('odd/events') ? event : `{"events":[${event}]}`, bearer)
      if (answer.status < 300) stored++
      else checkProblem(t, answer, [400, 413], `${what}: ${address.slice(hub.url.length)}`)
    }
  }
  t.equal(({} as { polluted?: boolean }).polluted, undefined)
  await subscriber.count(stored)
  const { body } = await history(hub, 'odd', 'last=1000', bearer)
  t.equal(body.events.length, stored, 'accepted events are stored')
  await publish(hub, 'after', { data: 1 }, bearer)
})

await t.test('an invalid address', async (t) => {
  const { hub } = await start(t)
  const headers = { authorization: `Bearer ${bearer}` }
  for (const path of [
    '/nothing',
    '/topics',
    '/topics/a/nothing',
    '/topics//events',
    '/topics/a/events/1',
    '/topics/a/events/',
  ]) {
    const answer = await request(`${hub.url}${path}`, { headers })
    if (path === '/topics') t.ok(answer.status < 500)
    else checkProblem(t, answer, [400, 404], path)
  }
  checkProblem(t, await request(`${hub.url}/topics/%ff/events`, { headers }), 400, 'a path that is not UTF-8')
  checkProblem(t, await request(`${hub.url}/topics/%zz/events`, { headers }), 400, 'a path with a bad escape')
})
