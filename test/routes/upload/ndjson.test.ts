import { once } from 'node:events'
import http from 'node:http'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { Selection } from '../../../src/model/selection.js'
import { hubOf } from '../../../src/plugins/hub.js'
import { anyTopic, token } from '../../helper/token.js'
import { isProblem, listen, openApp, until, type OpenApp } from '../open-app.js'

const NDJSON = { 'content-type': 'application/x-ndjson' }
const everything = new Selection(['**'])

function post({ send }: OpenApp, payload: string | Buffer | Readable, headers: Record<string, string | null> = {}) {
  return send({ method: 'POST', url: '/events', payload, headers: { ...NDJSON, ...headers } })
}

function line(topic: string, data: unknown, members: object = {}): string {
  return JSON.stringify({ topic, data, ...members })
}

async function stored({ send }: OpenApp): Promise<unknown[]> {
  const { events } = (
    await send({ method: 'GET', url: '/events?topic=**&limit=1000', headers: { accept: 'application/json' } })
  ).json<{ events: { data?: unknown; text?: unknown }[] }>()
  return events.map(({ data, text }) => data ?? text)
}

await t.test('every line is stored, in order: 200', async (t) => {
  const hub = await openApp(t)
  const { epoch } = hubOf(hub.app)
  const response = await post(
    hub,
    [
      line('a', 1),
      line('b', 2, { type: 't', id: 'x' }),
      line('b', 3, { id: 'x' }),
      '{"topic":"a","text":"zwölf\\n€ 𝄞"}',
      line('a', 4, { ephemeral: true }),
      '',
    ].join('\n'),
  )
  t.equal(response.statusCode, 200)
  t.match(response.headers['content-type'], /^application\/json\b/)
  t.strictSame(response.json(), { accepted: 5, duplicates: 1, lastId: `${epoch}-3` })
  t.strictSame(await stored(hub), [1, 2, 'zwölf\n€ 𝄞'])
})

await t.test('blank lines, CRLF, spaces and a missing last line end do not matter', async (t) => {
  for (const body of [
    '\n\n{"topic":"a","data":1}\n\n\r\n  \t\n {"topic":"a","data":2} \n\n',
    '{"topic":"a","data":1}\r\n{"topic":"a","data":2}\r\n',
    '{"topic":"a","data":1}\n{"topic":"a","data":2}',
  ]) {
    const hub = await openApp(t)
    t.match((await post(hub, body)).json(), { accepted: 2, duplicates: 0 }, JSON.stringify(body))
    t.strictSame(await stored(hub), [1, 2])
  }
})

await t.test('an empty upload and one without stored events have no last id', async (t) => {
  const hub = await openApp(t)
  for (const body of ['', '\n', '\r\n\n'])
    t.strictSame((await post(hub, body)).json(), { accepted: 0, duplicates: 0, lastId: null }, JSON.stringify(body))
  t.strictSame((await post(hub, line('a', 1, { ephemeral: true }))).json(), {
    accepted: 1,
    duplicates: 0,
    lastId: null,
  })
})

await t.test(
  'an invalid line ends the upload: earlier lines are stored, and the answer has the line number',
  async (t) => {
    const table: [bad: string, status: number, code: string][] = [
      ['{', 400, 'invalid-json'],
      ['{"topic":"a","data":1}}', 400, 'invalid-json'],
      ['not json', 400, 'invalid-json'],
      ['[]', 400, 'invalid-line'],
      ['null', 400, 'invalid-line'],
      ['"text"', 400, 'invalid-line'],
      ['{"data":1}', 400, 'invalid-line'],
      ['{"topic":"a.*","data":1}', 400, 'invalid-topic'],
      ['{"topic":"a","data":1,"more":1}', 400, 'invalid-line'],
      ['{"topic":"a","data":1,"type":"fanfare.open"}', 400, 'invalid-event'],
      ['{"topic":"a","data":1,"type":"a\\nb"}', 400, 'invalid-event'],
      ['{"topic":7,"data":1}', 400, 'invalid-line'],
      ['{"topic":"a"}', 400, 'invalid-event'],
      ['{"topic":"a","data":1,"text":"x"}', 400, 'invalid-event'],
      ['{"topic":"fanfare.stats","data":1}', 400, 'reserved-topic'],
      [line('a', 'x'.repeat(1_000)), 413, 'event-too-large'],
      [line('a', 'x'.repeat(10_000)), 413, 'event-too-large'],
    ]
    for (const [bad, status, code] of table) {
      const hub = await openApp(t, { maxEventSize: 1_000 })
      const what = bad.slice(0, 60)
      const problem = isProblem(
        t,
        await post(hub, [line('a', 1), '', line('a', 2), bad, line('a', 4), ''].join('\n')),
        status,
        code,
        what,
      )
      t.match(problem, { line: 4, accepted: 2 }, what)
      t.match(problem.detail, /\b4\b/)
      t.strictSame(await stored(hub), [1, 2], what)
    }
  },
)

await t.test('a line that is not UTF-8 is refused', async (t) => {
  const hub = await openApp(t)
  const body = Buffer.concat([
    Buffer.from(`${line('a', 1)}\n{"topic":"a","text":"`),
    Buffer.from([0xf6]),
    Buffer.from('"}\n'),
  ])
  t.match(isProblem(t, await post(hub, body), 400, 'invalid-encoding'), { line: 2, accepted: 1 })
  t.strictSame(await stored(hub), [1])
})

await t.test('a line for a topic that is not granted is refused, with the topic', async (t) => {
  const hub = await openApp(t)
  const authorization = `Bearer ${token({ publish: ['a', 'b.*'] })}`
  const problem = isProblem(
    t,
    await post(hub, [line('a', 1), line('b.1', 2), line('c', 3), line('a', 4)].join('\n'), { authorization }),
    403,
    'not-granted',
  )
  t.match(problem, { line: 3, accepted: 2, detail: /"c"/ })
  t.strictSame(await stored(hub), [1, 2])
  isProblem(t, await post(hub, line('a', 1), { authorization: null }), 401, 'missing-token')
})

await t.test('an endless line is refused before all of it has been read', async (t) => {
  const hub = await openApp(t, { maxEventSize: 1_000 })
  let read = 0
  const endless = new Readable({
    read() {
      read += 1_000
      this.push(read < 1e8 ? Buffer.alloc(1_000, 'x') : null)
    },
  })
  t.match(isProblem(t, await post(hub, endless), 413, 'event-too-large'), { line: 1, accepted: 0 })
  t.ok(read < 1e6, `${read} bytes were read`)
})

await t.test('the result is the same for any pieces of the body', async (t) => {
  const hub = await openApp(t)
  const texts = ['a', 'zwölf', '€ 𝄞', '', 'x\ny\r\n']
  const body = Buffer.from(
    texts.map((text, n) => `${JSON.stringify({ topic: 'a', text })}${n % 2 === 0 ? '\r\n' : '\n\n'}`).join(''),
  )
  let count = 0
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.array(fc.nat(body.length), { maxLength: 30, size: 'max' }), async (cuts) => {
        const offsets = [0, ...cuts.sort((a, b) => a - b), body.length]
        const pieces = offsets
          .slice(1)
          .map((end, index) => body.subarray(offsets[index], end))
          .filter(({ length }) => length > 0)
        const before = hubOf(hub.app).head
        const response = await post(hub, Readable.from(pieces))
        if (response.statusCode !== 200 || response.json<{ accepted: number }>().accepted !== texts.length)
          throw new Error(response.body)
        const { events } = await hubOf(hub.app).read(everything, { after: before, events: 99 })
        if (JSON.stringify(events.map(({ payload }) => payload)) !== JSON.stringify(texts))
          throw new Error(JSON.stringify(events))
        count++
      }),
      { numRuns: 60 },
    ),
  )
  t.equal(hubOf(hub.app).head, count * texts.length)
})

await t.test('lines are stored as they arrive, before the body ends', async (t) => {
  const hub = await openApp(t)
  const subscriber = await hub.subscribe('a')
  const body = new Readable({ read: () => undefined })
  const answer = post(hub, body)
  body.push(`${line('a', 1)}\n${line('a', 2)}\n{"topic":"a",`)
  await until(() => subscriber.data.length === 2)
  t.equal(hubOf(hub.app).head, 2)
  body.push('"data":3}\n')
  await until(() => subscriber.data.length === 3)
  body.push(null)
  t.match((await answer).json(), { accepted: 3 })
})

await t.test('many thousand lines are stored in order, and read with backpressure', async (t) => {
  const hub = await openApp(t, { retainEvents: 100_000 })
  let ahead = 0
  let lines = 0
  const body = new Readable({
    highWaterMark: 16 * 1024,
    read() {
      ahead = Math.max(ahead, lines - hubOf(hub.app).head)
      this.push(
        lines < 20_000 ? Array.from({ length: 100 }, () => `${line('a', lines++, { type: 't' })}\n`).join('') : null,
      )
    },
  })
  t.match((await post(hub, body)).json(), {
    accepted: 20_000,
    duplicates: 0,
    lastId: `${hubOf(hub.app).epoch}-20000`,
  })
  t.ok(ahead < 5_000, `${ahead} lines were read ahead`)
  const { events } = await hubOf(hub.app).read(everything, { after: 0, events: 1e6 })
  t.strictSame(
    events.map(({ payload }) => payload),
    Array.from({ length: 20_000 }, (_, n) => String(n)),
  )
})

await t.test('a batch is limited by its work: fewer lines of many topics', async (t) => {
  const hub = await openApp(t)
  const publish = hubOf(hub.app).publisher.publishMany.bind(hubOf(hub.app).publisher)
  const largestOf = async (topicOf: (n: number) => string) => {
    let largest = 0
    hubOf(hub.app).publisher.publishMany = (events) => {
      largest = Math.max(largest, events.length)
      return publish(events)
    }
    t.equal(
      (await post(hub, Array.from({ length: 5_000 }, (_, n) => line(topicOf(n), n)).join('\n'))).json<{
        accepted: number
      }>().accepted,
      5_000,
    )
    return largest
  }
  t.equal(await largestOf((n) => `a.${n}`), 600, 'each line of another topic')
  t.equal(await largestOf((n) => `b.${n % 10}`), 1_190, 'lines of ten topics')
})

await t.test('lines of a client that disconnects are stored, and the hub continues', async (t) => {
  const hub = await openApp(t)
  const request = http.request(`${await listen(hub.app)}/events`, {
    method: 'POST',
    headers: { ...NDJSON, authorization: `Bearer ${anyTopic()}` },
  })
  request.on('error', () => undefined)
  request.write(`${line('a', 1)}\n${line('a', 2)}\n{"topic":"a"`)
  await until(() => hubOf(hub.app).head === 2)
  request.destroy()
  t.match((await post(hub, line('a', 3))).json(), { accepted: 1 })
  t.strictSame(await stored(hub), [1, 2, 3])
})

await t.test(
  'a line beyond the limit of topics ends the upload: earlier lines are stored, and the line is named',
  async (t) => {
    const hub = await openApp(t, { maxTopics: 2 })
    const problem = isProblem(
      t,
      await post(
        hub,
        [
          line('a', 1),
          '',
          line('b', 2),
          line('c', 3, { ephemeral: true }),
          line('a', 4),
          '',
          line('d', 5),
          line('a', 6),
          '',
        ].join('\n'),
      ),
      429,
      'too-many-topics',
    )
    t.match(problem, { line: 7, accepted: 4 })
    t.strictSame(await stored(hub), [1, 2, 4])
  },
)

/** A body that the test writes line by line. */
function pipe(): Readable {
  return new Readable({ read: () => undefined })
}

const soon = () => new Date(Date.now() + 3_600_000).toISOString()

await t.test('a line is refused if the token has expired or was revoked during the upload', async (t) => {
  const exp = Date.now() / 1_000 + 1.5
  const table: [what: string, claims: object, revoke: object | undefined, code: string][] = [
    ['expired', { sub: 'u0', exp }, undefined, 'expired-token'],
    ['its subject was revoked', { sub: 'u1' }, { subject: 'u1' }, 'revoked-token'],
    ['itself revoked', { sub: 'u2', jti: 'one' }, { jti: 'one' }, 'revoked-token'],
  ]
  for (const [what, claims, revoke, code] of table) {
    const hub = await openApp(t)
    const body = pipe()
    const answer = post(hub, body, { authorization: `Bearer ${token({ ...claims, publish: ['a'] })}` })
    body.push(`${line('a', 1)}\n\n${line('a', 2)}\n`)
    await until(() => hubOf(hub.app).head === 2)
    if (revoke) {
      const admin = `Bearer ${token({ admin: true })}`
      const { statusCode } = await hub.send({
        method: 'POST',
        url: '/revocations',
        payload: { ...revoke, until: soon() },
        headers: { authorization: admin },
      })
      t.equal(statusCode, 201)
    } else await until(() => Date.now() / 1_000 > exp)
    body.push(`${line('a', 3)}\n`)
    const problem = isProblem(t, await answer, 401, code, what)
    t.match(problem, { line: 4, accepted: 2 }, what)
    t.strictSame(await stored(hub), [1, 2], what)
  }
})

await t.test('events that waited for the log are refused if their token was revoked meanwhile', async (t) => {
  const hub = await openApp(t)
  const publish = hubOf(hub.app).publisher.publishMany.bind(hubOf(hub.app).publisher)
  let release: () => void = () => undefined
  const released = new Promise<void>((resolve) => (release = resolve))
  let calls = 0
  t.intercept(hubOf(hub.app).publisher, 'publishMany', {
    value: async (events: Parameters<typeof publish>[0]) => {
      calls++
      await released
      return publish(events)
    },
  })
  const body = pipe()
  const answer = post(hub, body, { authorization: `Bearer ${token({ sub: 'u1', publish: ['a'] })}` })
  body.push(`${line('a', 1)}\n`)
  await until(() => calls === 1)
  body.push(`\n${line('a', 2)}\n${line('a', 3)}\n`)
  await hub.send({
    method: 'POST',
    url: '/revocations',
    payload: { subject: 'u1', until: soon() },
    headers: { authorization: `Bearer ${token({ admin: true })}` },
  })
  release()
  body.push(null)
  t.match(isProblem(t, await answer, 401, 'revoked-token'), { line: 3, accepted: 1 })
  t.strictSame(await stored(hub), [1])
})

await t.test('an upload without a complete line in time ends with 408 and the line to continue from', async (t) => {
  const hub = await openApp(t, { uploadIdle: 300 })
  await listen(hub.app) // the hub's timers do not keep the process alive
  const table: [sent: string, line: number, accepted: number][] = [
    ['', 1, 0],
    ['{"topic":"a"', 1, 0],
    [`${line('a', 1)}\n`, 2, 1],
    [`${line('a', 1)}\n\n${line('a', 2)}\n`, 4, 2],
    [`${line('a', 1)}\n${line('a', 2)}`, 2, 1],
    ['\n\n', 3, 0],
  ]
  await Promise.all(
    table.map(async ([sent, at, accepted]) => {
      const body = pipe()
      if (sent !== '') body.push(sent)
      const problem = isProblem(t, await post(hub, body), 408, 'request-timeout', JSON.stringify(sent))
      t.match(problem, { line: at, accepted }, JSON.stringify(sent))
    }),
  )
})

await t.test('a blank line keeps an upload open, part of a line does not', async (t) => {
  const hub = await openApp(t, { uploadIdle: 1_000 })
  await listen(hub.app)
  const [blank, partial] = [pipe(), pipe()]
  const answers = [post(hub, blank), post(hub, partial)] as const
  const timer = setInterval(() => {
    blank.push('\n')
    partial.push(' ')
  }, 50)
  isProblem(t, await answers[1], 408, 'request-timeout')
  blank.push(`${line('a', 1)}\n`)
  blank.push(null)
  clearInterval(timer)
  t.match((await answers[0]).json(), { accepted: 1 })
})

await t.test('blank lines do not keep an upload open beyond the expiry of its token', async (t) => {
  const hub = await openApp(t)
  await listen(hub.app)
  const body = pipe()
  const answer = post(hub, body, { authorization: `Bearer ${token({ sub: 'u1', publish: ['a'] })}` })
  const timer = setInterval(() => body.push('\n'), 20)
  t.teardown(() => clearInterval(timer))
  await hub.send({
    method: 'POST',
    url: '/revocations',
    payload: { subject: 'u1', until: soon() },
    headers: { authorization: `Bearer ${token({ admin: true })}` },
  })
  isProblem(t, await answer, 401, 'revoked-token')
})

await t.test('a silent upload ends at the expiry of its token, even within a line', async (t) => {
  const hub = await openApp(t)
  await listen(hub.app) // the hub's timers do not keep the process alive
  const table: [what: string, sent: string, line: number, accepted: number][] = [
    ['nothing', '', 1, 0],
    ['part of a line', '{"topic":"a"', 1, 0],
    ['a line', `${line('a', 1)}\n`, 2, 1],
    ['a line and a part', `${line('a', 1)}\n\n{"topic`, 3, 1],
  ]
  const uploads = table.flatMap(([what, sent, at, accepted], n) =>
    (['expired-token', 'revoked-token'] as const).map((code) => {
      const claims = code === 'expired-token' ? { exp: (Date.now() + 2_000) / 1_000 } : {}
      const body = pipe()
      if (sent !== '') body.push(sent)
      const answer = post(hub, body, {
        authorization: `Bearer ${token({ sub: `${code}-${n}`, publish: ['a'], ...claims })}`,
      })
      return { what, at, accepted, code, answer, sub: `${code}-${n}` }
    }),
  )
  await until(() => hubOf(hub.app).head === 4)
  for (const { code, sub } of uploads) {
    if (code === 'revoked-token')
      await hub.send({
        method: 'POST',
        url: '/revocations',
        payload: { subject: sub, until: soon() },
        headers: { authorization: `Bearer ${token({ admin: true })}` },
      })
  }
  for (const { what, at, accepted, code, answer } of uploads)
    t.match(isProblem(t, await answer, 401, code, `${code}: ${what}`), { line: at, accepted }, what)
})

await t.test('the type may be application/ndjson, and every line may begin with a byte order mark', async (t) => {
  const hub = await openApp(t)
  t.match(
    (
      await post(hub, `\ufeff${line('a', 1)}\n${line('a', 2)}`, { 'content-type': 'application/ndjson; charset=utf-8' })
    ).json(),
    { accepted: 2 },
  )
  t.match((await post(hub, `\ufeff\n${line('a', 3)}`)).json(), { accepted: 1 })
  t.match(
    (await post(hub, `${line('a', 4)}\n\ufeff${line('a', 5)}\n\ufeff\r\n\ufeff${line('a', 6)}\n`)).json(),
    { accepted: 3 },
    'a byte order mark before each line, as in joined files',
  )
  isProblem(t, await post(hub, `\ufeff\ufeff${line('a', 7)}`), 400, 'invalid-json', 'two byte order marks are refused')
  isProblem(
    t,
    await post(hub, `{\ufeff"topic":"a","data":8}`),
    400,
    'invalid-json',
    'a byte order mark within a line is refused',
  )
  t.strictSame(await stored(hub), [1, 2, 3, 4, 5, 6])
  isProblem(t, await post(hub, line('a', 1), { 'content-encoding': 'gzip' }), 415, 'unsupported-media-type')
  isProblem(
    t,
    await post(hub, line('a', 1), { 'content-type': 'application/ndjson; charset=utf-16' }),
    415,
    'unsupported-media-type',
  )
})

await t.test('an upload during a drain is answered, and its connection closes', async (t) => {
  const { app } = await openApp(t)
  const origin = await listen(app)
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const upload = () =>
    http.request(`${origin}/events`, {
      method: 'POST',
      agent,
      headers: { ...NDJSON, authorization: `Bearer ${anyTopic()}` },
    })
  for (const expected of ['keep-alive', 'close']) {
    const sending = upload()
    sending.write(`${line('a', 1)}\n`)
    const { head } = hubOf(app)
    await until(() => hubOf(app).head > head)
    if (expected === 'close') await hubOf(app).drain(0)
    sending.end(`${line('a', 2)}\n`)
    const [answer] = (await once(sending, 'response')) as [http.IncomingMessage]
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers.connection, expected)
    t.match(JSON.parse((await answer.toArray()).join('')), { accepted: 2 })
  }
})
