/** Requests that are refused before their body is read. The client can read the answer. */
import net from 'node:net'
import t, { type Test } from 'tap'
import { buildApp, type AppSettings } from '../../src/app.js'
import { hubOf } from '../../src/plugins/hub.js'
import { within } from '../helper/deadline.js'
import { NATIVE_SOCKETS } from '../helper/native-sockets.js'
import { anyTopic, SECRET, token } from '../helper/token.js'

async function start(t: Test, settings: AppSettings = {}) {
  const app = await buildApp({ nativeSockets: NATIVE_SOCKETS, log: 'memory', jwtSecret: SECRET, ...settings })
  t.teardown(() => app.close())
  const port = Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)
  return { app, open: () => connect(t, port) }
}

function connect(t: Test, port: number) {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => void socket.destroy())
  const seen = { text: '', hasEnded: false, isClosed: false, error: undefined as Error | undefined }
  let look: () => void = () => undefined
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    seen.text += text
    look()
  })
  socket.on('end', () => {
    seen.hasEnded = true
    look()
  })
  socket.on('error', (error) => (seen.error = error))
  socket.on('close', () => {
    seen.isClosed = true
    look()
  })
  const until = (condition: () => boolean) =>
    within(
      new Promise<void>((resolve) => {
        look = () => (condition() ? resolve() : undefined)
        look()
      }),
      () => JSON.stringify(seen),
    )
  return { socket, seen, until }
}

const head = (start: string, bearer: string | undefined, more: string) =>
  `${start} HTTP/1.1\r\nhost: hub\r\n${bearer === undefined ? '' : `authorization: Bearer ${bearer}\r\n`}${more}\r\n`
const json = (length: number) => `content-type: application/json\r\ncontent-length: ${length}\r\n`
const CHUNKED = 'content-type: application/json\r\ntransfer-encoding: chunked\r\n'

const none = token({ subscribe: ['**'] })
const other = token({ publish: ['b'] })

await t.test(
  'a refusal that does not need the body is answered before the body, and closes the connection',
  async (t) => {
    const { app, open } = await start(t)
    const requests: [what: string, head: string, status: number][] = [
      ['no token', head('POST /topics/a/events', undefined, json(10_000)), 401],
      ['a bad token', head('POST /topics/a/events', 'x', json(10_000)), 401],
      ['a topic that is not granted', head('POST /topics/a/events', other, CHUNKED), 403],
      ['no topic', head('POST /topics/a..b/events', other, json(10_000)), 400],
      ['no token for a batch', head('POST /events', undefined, CHUNKED), 401],
      ['a token without publish grants, for a batch', head('POST /events', none, json(10_000)), 403],
      [
        'a token without publish grants, for NDJSON',
        head('POST /events', none, 'content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n'),
        403,
      ],
      ['no token for a revocation', head('POST /revocations', undefined, json(10_000)), 401],
      ['no token for a named cursor', head('PUT /cursors/a', undefined, json(10_000)), 401],
      ['no token for a stream', head('PATCH /connections/a', undefined, json(10_000)), 401],
      ['too long', head('POST /topics/b/events', other, json(1_000_000)), 413],
      [
        'a wrong type',
        head('POST /topics/b/events', other, 'content-type: image/png\r\ncontent-length: 10000\r\n'),
        415,
      ],
      ['compressed', head('POST /topics/b/events', other, `${json(10_000)}content-encoding: gzip\r\n`), 415],
      ['no route', head('POST /nowhere', undefined, json(10_000)), 404],
      ['an unsupported method', head('PUT /events', undefined, CHUNKED), 405],
      ['a route without a body', head('POST /tickets', other, json(10_000)), 201],
      ['a route without a body, without a token', head('DELETE /sessions', undefined, CHUNKED), 204],
      ['a GET', head('GET /health/live', undefined, json(10_000)), 200],
      ['a token in the query', head(`POST /topics/b/events?token=${other}`, undefined, json(10_000)), 400],
      ['an invalid path', head('POST /topics/%ff/events', other, json(10_000)), 400],
    ]
    await Promise.all(
      requests.map(async ([what, text, status]) => {
        const { socket, seen, until } = open()
        socket.write(text)
        await until(() => seen.hasEnded)
        t.match(seen.text, new RegExp(`^HTTP/1\\.1 ${status} [^]*\\r\\nconnection: close\\r\\n`, 'i'), what)
        socket.write('x'.repeat(5_000)) // the hub must not answer these bytes with a reset
        socket.end()
        await until(() => seen.isClosed)
        t.equal(seen.error, undefined, `${what}: the connection closes without an error`)
      }),
    )
    t.equal(hubOf(app).head, 0)
  },
)

await t.test('a client that reads only after it has sent its whole body gets the answer', async (t) => {
  const { open } = await start(t)
  const { socket, seen, until } = open()
  socket.pause()
  const body = 'x'.repeat(8_000_000)
  socket.write(head('POST /events', none, json(body.length)))
  await within(new Promise((resolve) => socket.write(body, resolve)), () => 'the hub does not read the body')
  socket.resume()
  await until(() => seen.hasEnded)
  t.match(seen.text, /^HTTP\/1\.1 403 [^]*"not-granted"/)
  socket.end()
  await until(() => seen.isClosed)
  t.equal(seen.error, undefined)
})

await t.test('a client that sends an endless body is disconnected', async (t) => {
  const { open } = await start(t, { timeouts: { head: 15_000, body: 300 } })
  const { socket, seen, until } = open()
  socket.write(head('POST /events', undefined, CHUNKED))
  const timer = setInterval(() => socket.write('1\r\na\r\n'), 20)
  t.teardown(() => clearInterval(timer))
  await until(() => seen.isClosed)
  t.match(seen.text, /^HTTP\/1\.1 401 /)
})

await t.test('bytes after a refused body are not read as a request', async (t) => {
  const { app, open } = await start(t)
  const { socket, seen, until } = open()
  const publish = head('POST /topics/b/events', other, json(10)) + '{"data":1}'
  socket.write(head('POST /topics/a/events', other, json(3_000)))
  await until(() => seen.hasEnded)
  socket.write('x'.repeat(3_000) + publish.repeat(3))
  socket.end()
  await until(() => seen.isClosed)
  t.equal(seen.text.split('HTTP/1.1 ').length, 2, 'one answer')
  t.equal(hubOf(app).head, 0)
})

await t.test('a connection stays open after a refusal if the body has been read', async (t) => {
  const { open } = await start(t)
  const { socket, seen, until } = open()
  for (const [n, [text, status]] of (
    [
      [head('POST /topics/b/events', other, json(1)) + '{', 400],
      [head('POST /topics/a/events', other, json(10)) + '{"data":1}', 403],
      [head('POST /tickets', other, json(2)) + '{}', 201],
      [head('POST /topics/b/events', other, json(10)) + '{"data":1}', 201],
    ] as const
  ).entries()) {
    socket.write(text)
    await until(() => seen.text.split('HTTP/1.1 ').length === n + 2 && /\}$/.test(seen.text))
    t.match(seen.text.split('HTTP/1.1 ').at(-1), new RegExp(`^${status} `))
    t.notMatch(seen.text, /connection: close/i)
  }
})

await t.test('100 Continue is sent only if the body will be read', async (t) => {
  const { app, open } = await start(t)
  const expect = `${json(10)}expect: 100-continue\r\n`
  for (const [start, bearer, status] of [
    ['POST /topics/a/events', other, 403],
    ['POST /topics/b/events', undefined, 401],
    ['POST /nowhere', other, 404],
    ['POST /tickets', other, 201],
  ] as const) {
    const { socket, seen, until } = open()
    socket.write(head(start, bearer, expect))
    await until(() => seen.hasEnded)
    t.match(seen.text, new RegExp(`^HTTP/1\\.1 ${status} `), start)
    socket.end()
  }
  t.equal(hubOf(app).head, 0)
  for (const [start, body, type] of [
    ['POST /topics/b/events', '{"data":1}', 'json'],
    ['POST /events', '{"topic":"b","data":1}', 'x-ndjson'],
    ['POST /events', '{"events":[{"topic":"b","data":1}]}', 'json'],
  ] as const) {
    const { socket, seen, until } = open()
    socket.write(
      head(
        start,
        other,
        `content-type: application/${type}\r\ncontent-length: ${body.length}\r\nexpect: 100-continue\r\n`,
      ),
    )
    await until(() => seen.text === 'HTTP/1.1 100 Continue\r\n\r\n')
    socket.write(body)
    await until(() => /HTTP\/1\.1 20[01] /.test(seen.text))
    socket.end()
  }
  t.equal(hubOf(app).head, 3)
})

await t.test('bodies in one-byte chunks are read completely', async (t) => {
  const { app, open } = await start(t)
  for (const [start, type, body] of [
    ['POST /topics/b/events', 'json', '{"data":"'],
    ['POST /events', 'json', '{"events":[{"topic":"b","data":"'],
    ['POST /events', 'x-ndjson', '{"topic":"b","data":"'],
  ] as const) {
    const { socket, seen, until } = open()
    const text = `${body}${'x'.repeat(100_000)}"}${type === 'json' && start === 'POST /events' ? ']}' : ''}`
    socket.write(
      head(start, anyTopic(), `content-type: application/${type}\r\ntransfer-encoding: chunked\r\n`) +
        text.replaceAll(/./g, '1\r\n$&\r\n') +
        '0\r\n\r\n',
    )
    await until(() => /^HTTP\/1\.1 20[01] /.test(seen.text))
    socket.end()
  }
  t.equal(hubOf(app).head, 3)
})

await t.test('an unknown expectation is refused with 417', async (t) => {
  const { app, open } = await start(t, { corsOrigins: ['https://app.example.com'] })
  for (const target of ['POST /topics/b/events', 'GET /health/live', 'POST /nowhere']) {
    const { socket, seen, until } = open()
    socket.write(head(target, other, `${json(10)}origin: https://app.example.com\r\nexpect: the-best\r\n`))
    await until(() => seen.hasEnded)
    t.match(seen.text, /^HTTP\/1\.1 417 /, target)
    for (const header of [
      /\r\ncontent-type: application\/problem\+json\r\n/i,
      /\r\ncache-control: no-store\r\n/i,
      /\r\naccess-control-allow-origin: https:\/\/app\.example\.com\r\n/i,
      /\r\nconnection: close\r\n/i,
    ])
      t.match(seen.text, header, target)
    t.match(seen.text, /"code":"expectation-failed"/)
    t.notMatch(seen.text, /100 Continue/)
    socket.end()
  }
  t.equal(hubOf(app).head, 0)
})
