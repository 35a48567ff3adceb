/**
 * Bytes on a socket that are not a valid HTTP request: the hub refuses them, closes the connection, and publishes
 * nothing.
 */
import net from 'node:net'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.js'
import { hubOf } from '../../src/plugins/hub.js'
import { within } from '../helper/deadline.js'
import { NATIVE_SOCKETS } from '../helper/native-sockets.js'
import { anyTopic, SECRET } from '../helper/token.js'

/** The time limits of a request in these tests, in milliseconds. */
const TIME_LIMITS = { head: 300, body: 400 }
/** The interval between the bytes of a slow client, in milliseconds. */
const PACE = 40

async function start(t: Test) {
  const app = await buildApp({
    nativeSockets: NATIVE_SOCKETS,
    log: 'memory',
    jwtSecret: SECRET,
    timeouts: TIME_LIMITS,
    uploadIdle: TIME_LIMITS.body,
    corsOrigins: ['https://app.example'],
  })
  t.teardown(() => app.close())
  const port = Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)

  /** Sends parts one after the other on a new connection. Returns the answer up to the close. */
  async function send(parts: readonly string[], pace = 0): Promise<string> {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    t.teardown(() => void socket.destroy())
    let answer = ''
    socket
      .setEncoding('latin1')
      .on('data', (text: string) => void (answer += text))
      .on('error', () => undefined)
    let next = 0
    socket.on('end', () => {
      // a client with more to send ignores the end of the other side
      if (next >= parts.length) socket.end()
    })
    const timer = setInterval(() => {
      if (next < parts.length) socket.write(parts[next++]!)
    }, pace)
    try {
      await within(
        new Promise((resolve) => socket.once('close', resolve)),
        () => `the connection is not closed: ${JSON.stringify(parts[0])} ${answer}`,
      )
    } finally {
      clearInterval(timer)
    }
    return answer
  }
  return { app, port, send }
}

const HEAD = `host: hub\r\nauthorization: Bearer ${anyTopic()}\r\n`
const JSON_HEAD = `POST /topics/a/events HTTP/1.1\r\n${HEAD}content-type: application/json\r\n`
const EVENT = '{"data":1}'

await t.test('a request with an ambiguous end', async (t) => {
  const { app, send } = await start(t)
  const withLength = `content-length: ${EVENT.length}\r\n`
  const chunked = (size: string) => `${JSON_HEAD}transfer-encoding: chunked\r\n\r\n${size}\r\n${EVENT}\r\n0\r\n\r\n`
  const requests: Record<string, string> = {
    'Content-Length and Transfer-Encoding': `${JSON_HEAD}${withLength}transfer-encoding: chunked\r\n\r\n${EVENT}`,
    'Transfer-Encoding and Content-Length': `${JSON_HEAD}transfer-encoding: chunked\r\n${withLength}\r\na\r\n${EVENT}\r\n0\r\n\r\n`,
    'two lengths': `${JSON_HEAD}${withLength}content-length: 5\r\n\r\n${EVENT}`,
    'the same length twice': `${JSON_HEAD}${withLength}${withLength}\r\n${EVENT}`,
    'a list of lengths': `${JSON_HEAD}content-length: 10, 10\r\n\r\n${EVENT}`,
    'a length with a sign': `${JSON_HEAD}content-length: +10\r\n\r\n${EVENT}`,
    'a length in hexadecimal': `${JSON_HEAD}content-length: 0xa\r\n\r\n${EVENT}`,
    'a space before the colon': `${JSON_HEAD}content-length : 10\r\n\r\n${EVENT}`,
    'a folded header': `${JSON_HEAD}x: a\r\n b\r\n${withLength}\r\n${EVENT}`,
    'a folded Transfer-Encoding': `${JSON_HEAD}transfer-encoding:\r\n chunked\r\n\r\na\r\n${EVENT}\r\n0\r\n\r\n`,
    'bare LF everywhere': `${JSON_HEAD}${withLength}\r\n`.replaceAll('\r\n', '\n') + EVENT,
    'a bare LF': `${JSON_HEAD.replace(/json\r\n/, 'json\n')}${withLength}\r\n${EVENT}`,
    'a bare CR': `${JSON_HEAD}x: a\rb\r\n${withLength}\r\n${EVENT}`,
    'a NUL': `${JSON_HEAD}x: a\0b\r\n${withLength}\r\n${EVENT}`,
    'a header without a name': `${JSON_HEAD}: x\r\n${withLength}\r\n${EVENT}`,
    'an invalid chunk size': chunked('zz'),
    'an empty chunk size': chunked(''),
    'a negative chunk size': chunked('-a'),
    'a chunk size that is too large': chunked('fffffffffffffffff'),
    'a chunk that is longer than its size': chunked('5'),
    'a chunk size that ends with LF': chunked('a').replace('\r\na\r\n', '\r\na\n'),
    'Transfer-Encoding: xchunked': `${JSON_HEAD}transfer-encoding: xchunked\r\n\r\na\r\n${EVENT}\r\n0\r\n\r\n`,
    'chunked, but not as the last coding': `${JSON_HEAD}transfer-encoding: chunked, identity\r\n\r\na\r\n${EVENT}\r\n0\r\n\r\n`,
    'two Transfer-Encodings': `${JSON_HEAD}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\na\r\n${EVENT}\r\n0\r\n\r\n`,
  }
  for (const [what, request] of Object.entries(requests)) {
    const smuggled = `POST /topics/smuggled/events HTTP/1.1\r\n${HEAD}content-type: application/json\r\n${withLength}\r\n${EVENT}`
    const answer = await send([request + smuggled])
    t.match(answer, /^HTTP\/1\.1 400 .*\r\ncontent-type: application\/problem\+json/is, what)
    t.equal(answer.split('HTTP/1.1 ').length, 2, `${what}: one answer`)
  }
  t.equal(hubOf(app).head, 0, 'nothing is published')
})

await t.test('a head that is too large', async (t) => {
  const { send } = await start(t)
  const many = (count: number) => Array.from({ length: count }, (_, n) => `h${n}: x\r\n`).join('')
  for (const [what, head] of Object.entries({
    'a long header': `GET /status HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(17_000)}\r\n\r\n`,
    'many headers': `GET /status HTTP/1.1\r\nhost: x\r\n${many(3_000)}\r\n`,
    'a long query': `GET /status?${'x'.repeat(17_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
    '10,000 topics': `GET /events?${Array.from({ length: 10_000 }, (_, n) => `topic=t.${n}`).join('&')} HTTP/1.1\r\n${HEAD}\r\n`,
  })) {
    const answer = await send([head])
    t.match(answer, /^HTTP\/1\.1 431 .*"headers-too-large"/s, what)
  }
})

await t.test('a request that arrives byte by byte ends at the time limit', async (t) => {
  const { app, send } = await start(t)
  const drip = (head: string, piece = 'a') => [head, ...Array.from({ length: 1_000 }, () => piece)]
  const lines = `POST /events HTTP/1.1\r\n${HEAD}content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n`
  const slow: Record<string, [parts: string[], status: number]> = {
    'nothing at all': [[], 408],
    'a head': [drip('GET /status HTTP/1.1\r\nx: '), 408],
    'the head of a second request': [
      drip('GET /health/live HTTP/1.1\r\nhost: x\r\n\r\nGET /status HTTP/1.1\r\nx: '),
      200,
    ],
    'a body': [drip(`${JSON_HEAD}content-length: 10000\r\n\r\n`), 408],
    'a body in chunks': [drip(`${JSON_HEAD}transfer-encoding: chunked\r\n\r\n`, '1\r\na\r\n'), 408],
    'a line': [drip(lines, '1\r\na\r\n'), 408],
    'lines without a token': [drip(lines.replace(/authorization.*?\r\n/, ''), '1\r\n\n\r\n'), 401],
    'a body after a refusal': [
      drip(`${JSON_HEAD.replace(/Bearer .*?\r\n/, 'Bearer x\r\n')}content-length: 10000\r\n\r\n`),
      401,
    ],
    'a body of a GET': [drip('GET /health/live HTTP/1.1\r\nhost: x\r\ncontent-length: 10000\r\n\r\n'), 200],
  }
  await Promise.all(
    Object.entries(slow).map(async ([what, [parts, status]]) => {
      const began = performance.now()
      t.match(
        await send(parts, PACE),
        new RegExp(`^HTTP/1\\.1 ${status} `),
        `${what}: closed after ${Math.round(performance.now() - began)} ms`,
      )
    }),
  )
  t.equal(hubOf(app).head, 0)
})

await t.test('a slow NDJSON upload and a stream stay open', async (t) => {
  const { app, port, send } = await start(t)
  const stream = net.connect(port, '127.0.0.1')
  t.teardown(() => void stream.destroy())
  let read = ''
  stream.on('data', (chunk: Buffer) => void (read += chunk.toString()))
  stream.write(`GET /topics/a/events HTTP/1.1\r\n${HEAD}\r\n`)
  const line = '{"topic":"a","data":1}\n'
  const parts = Array.from({ length: 20 }, () => `${line.length.toString(16)}\r\n${line}\r\n`)
  const answer = await send(
    [
      `POST /events HTTP/1.1\r\n${HEAD}connection: close\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n`,
      ...parts,
      '0\r\n\r\n',
    ],
    2 * PACE,
  )
  t.match(
    answer,
    /^HTTP\/1\.1 200 .*"accepted":20/s,
    `an upload lasts ${(parts.length * 2 * PACE) / TIME_LIMITS.body} times the limit for progress`,
  )
  t.equal(stream.destroyed, false)
  await within(
    new Promise<void>((resolve) => {
      const look = () => (read.split('data: 1\n').length > 20 ? resolve() : setImmediate(look))
      look()
    }),
    () => read,
  )
  t.equal(hubOf(app).connections.size, 1)
})

await t.test('an HTTP/1.1 request must have exactly one header Host', async (t) => {
  const { send } = await start(t)
  const tail = 'connection: close\r\norigin: https://app.example\r\n\r\n'
  for (const [what, hosts] of [
    ['none', ''],
    ['two', 'host: a\r\nHost: b\r\n'],
  ] as const) {
    for (const path of ['/status', '/topics/a/events', '/nothing']) {
      const answer = await send([`GET ${path} HTTP/1.1\r\n${hosts}${tail}`])
      t.match(answer, /^HTTP\/1\.1 400 /, `${what}: ${path}`)
      t.match(answer, /^content-type: application\/problem\+json/im)
      t.match(answer, /^cache-control: no-store\r$/im)
      t.match(answer, /^access-control-allow-origin: https:\/\/app\.example\r$/im)
      t.match(answer, /one header \\"Host\\"/)
    }
  }
  t.match(await send([`GET /status HTTP/1.0\r\n${tail}`]), /^HTTP\/1\.1 200 /, 'HTTP/1.0 requires no Host')
  for (const host of ['a b', 'a/b', '[::1', '::1', 'a@b', 'a:b', '[::1]x', 'a,b:80:80', 'a"b', 'h\u00fc']) {
    t.match(await send([`GET /status HTTP/1.1\r\nhost: ${host}\r\n${tail}`]), /^HTTP\/1\.1 400 [^]*is not a host/, host)
  }
  for (const host of [
    'a',
    'a.example:8080',
    '127.0.0.1:80',
    '[::1]:80',
    '[::1]',
    'a:',
    '',
    'xn--bcher-kva.example',
    'a_b',
    '%41',
  ]) {
    t.match(await send([`GET /status HTTP/1.1\r\nhost: ${host}\r\n${tail}`]), /^HTTP\/1\.1 200 /, host)
  }
})
