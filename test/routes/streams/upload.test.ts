/** Live uploads to finite topics, on sockets. */
import http from 'node:http'
import t, { type Test } from 'tap'
import { monotonicNow } from '../../../src/model/clock.js'
import { poll, within } from '../../helper/deadline.js'
import { anyTopic, token } from '../../helper/token.js'
import { openStreams, type OpenStreams } from './open-streams.js'

interface Upload {
  write: (part: string | Buffer) => void
  end: () => void
  answer: Promise<{ status: number; headers: http.IncomingHttpHeaders; problem: Record<string, unknown> }>
}

/** Starts a chunked upload. */
function upload(t: Test, url: string, headers: Record<string, string>, bearer = anyTopic()): Upload {
  const request = http.request(url, {
    method: 'POST',
    agent: false,
    headers: { authorization: `Bearer ${bearer}`, ...headers },
  })
  t.teardown(() => void request.destroy())
  const answer = new Promise<Awaited<Upload['answer']>>((resolve, reject) => {
    request.on('error', reject)
    request.once('response', (response) => {
      response
        .setEncoding('utf8')
        .reduce<string>((all, part: string) => all + part, '')
        .then((text) => {
          const problem = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, problem })
        })
        .catch(reject)
    })
  })
  answer.catch(() => undefined)
  request.flushHeaders()
  return {
    write: (part) => void request.write(part),
    end: () => void request.end(),
    answer: within(answer, () => 'the upload is not answered'),
  }
}

const LINES = { 'content-type': 'application/x-ndjson' }
const LIVE_TEXT = { 'content-type': 'text/plain', 'fanfare-upload': 'live' }

/** Waits until a stream has a content. */
async function content({ call }: OpenStreams, path: string, expected: unknown): Promise<void> {
  let body: unknown
  const isAsExpected = async () => {
    body = (await call('GET', path)).body
    return JSON.stringify(body) === JSON.stringify(expected) ? true : undefined
  }
  await poll(isAsExpected, () => `${path} has ${JSON.stringify(body)}`)
}

await t.test('each line of JSON is stored as it comes', async (t) => {
  const streams = await openStreams(t)
  await streams.create('a', 'application/json')
  const sending = upload(t, `${streams.url}a`, { ...LINES, 'stream-closed': 'true' })
  sending.write('{"n": 1}\n')
  await content(streams, 'a', [{ n: 1 }])
  sending.write('\n\n[2, 3]\n"fo')
  await content(streams, 'a', [{ n: 1 }, [2, 3]])
  sending.write('ur"')
  sending.end()
  const { status, headers } = await sending.answer
  t.equal(status, 204)
  t.equal(headers['stream-closed'], 'true')
  t.strictSame((await streams.call('GET', 'a')).body, [{ n: 1 }, [2, 3], 'four'])
  t.equal(headers['stream-next-offset'], (await streams.call('HEAD', 'a')).headers.get('stream-next-offset'))
})

await t.test('bytes are stored as they come, and characters are kept whole', async (t) => {
  const streams = await openStreams(t)
  await streams.create('a', 'text/plain')
  const sending = upload(t, `${streams.url}a`, LIVE_TEXT)
  const euro = Buffer.from('€')
  sending.write('one ')
  await content(streams, 'a', 'one ')
  sending.write(euro.subarray(0, 1))
  sending.write(euro.subarray(1, 2))
  sending.write(Buffer.concat([euro.subarray(2), Buffer.from(' two\n\n')]))
  await content(streams, 'a', 'one € two\n\n')
  sending.write(euro.subarray(0, 2))
  sending.end()
  t.equal((await sending.answer).status, 204)
  const { messages } = await streams.finite.read('a', 0, 1_000)
  t.equal(messages.at(-1)?.kind, 'bytes', 'the incomplete end is stored too')
  t.ok(messages.slice(0, -1).every(({ kind }) => kind === 'text'))
})

await t.test('a writer is told at once that its stream was cancelled', async (t) => {
  const streams = await openStreams(t)
  await streams.create('a', 'application/json')
  const sending = upload(t, `${streams.url}a`, LINES)
  sending.write('1\n2\n')
  await content(streams, 'a', [1, 2])
  const began = monotonicNow()
  await streams.call('POST', 'a/cancel')
  const { status, headers, problem } = await sending.answer
  t.ok(monotonicNow() - began < 200, 'at once')
  t.match({ status, problem }, { status: 409, problem: { code: 'cancelled', accepted: 2, line: 3 } })
  t.match(headers, { 'stream-closed': 'true', 'fanfare-status': 'cancelled', 'stream-next-offset': /^\d{16}$/ })
})

await t.test('a writer is told that its stream was deleted', async (t) => {
  const streams = await openStreams(t)
  await streams.create('a', 'text/plain')
  const sending = upload(t, `${streams.url}a`, LIVE_TEXT)
  sending.write('x')
  await content(streams, 'a', 'x')
  await streams.call('DELETE', 'a')
  t.match(await sending.answer, { status: 404, problem: { code: 'stream-not-found', accepted: 1 } })
})

await t.test('a stream ends with an error if its writer falls silent', async (t) => {
  const streams = await openStreams(t)
  await streams.create('a', 'application/json')
  const sending = upload(t, `${streams.url}a`, { ...LINES, 'fanfare-lease': '1s' })
  const began = monotonicNow()
  // longer than the lease
  for (let n = 0; n < 8; n++) {
    sending.write('\n') // keeps the stream open
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  t.equal((await streams.finite.get('a'))?.status, 'open')
  const { status, problem, headers } = await sending.answer
  t.ok(monotonicNow() - began > 2_000)
  t.match({ status, problem }, { status: 409, problem: { code: 'stream-closed' } })
  t.equal(headers['fanfare-status'], 'error')
})

await t.test('an upload that sends nothing for too long is refused, and the stream stays open', async (t) => {
  const streams = await openStreams(t, { uploadIdle: 300 })
  await streams.create('a', 'text/plain')
  const sending = upload(t, `${streams.url}a`, LIVE_TEXT)
  sending.write('x')
  t.match(await sending.answer, { status: 408, problem: { code: 'request-timeout', accepted: 1 } })
  t.equal((await streams.finite.get('a'))?.status, 'open')
})

await t.test('an upload ends within a second of the expiry of its token', async (t) => {
  const streams = await openStreams(t)
  await streams.create('a', 'application/json')
  const exp = Date.now() / 1_000 + 1
  const sending = upload(t, `${streams.url}a`, LINES, token({ publish: ['**'], exp }))
  sending.write('1\n')
  t.match(await sending.answer, { status: 401, problem: { code: 'expired-token', accepted: 1 } })
  t.ok(Date.now() / 1_000 - exp < 1)
})

await t.test('the lines before a bad one are stored', async (t) => {
  const streams = await openStreams(t)
  await streams.create('a', 'application/json')
  const sending = upload(t, `${streams.url}a`, LINES)
  sending.write('1\n2\n{bad}\n4\n')
  sending.end()
  t.match(await sending.answer, { status: 400, problem: { code: 'invalid-json', accepted: 2, line: 3 } })
  t.strictSame((await streams.call('GET', 'a')).body, [1, 2])
})

await t.test('what a cut-off upload has sent stays stored', async (t) => {
  const streams = await openStreams(t)
  await streams.create('a', 'text/plain')
  const request = http.request(`${streams.url}a`, {
    method: 'POST',
    headers: { authorization: `Bearer ${anyTopic()}`, ...LIVE_TEXT },
  })
  request.on('error', () => undefined)
  request.write('half')
  await content(streams, 'a', 'half')
  request.destroy()
  t.equal((await streams.append('a', ' done')).status, 204)
  t.equal((await streams.call('GET', 'a')).body, 'half done')
})

await t.test('a stopping hub ends an upload', async (t) => {
  const streams = await openStreams(t)
  await streams.create('a', 'text/plain')
  const sending = upload(t, `${streams.url}a`, LIVE_TEXT)
  sending.write('x')
  await content(streams, 'a', 'x')
  const closing = streams.app.close()
  t.match(await sending.answer, { status: 503, problem: { code: 'draining', accepted: 1 } })
  await closing
})

await t.test('an upload of another kind is refused', async (t) => {
  const streams = await openStreams(t)
  await streams.create('text', 'text/plain')
  await streams.create('json', 'application/json')
  const code = async (path: string, headers: Record<string, string>) => {
    const sending = upload(t, `${streams.url}${path}`, headers)
    sending.end()
    const { status, problem } = await sending.answer
    return `${status} ${String(problem['code'])}`
  }
  t.equal(await code('text', LINES), '409 content-type-mismatch')
  t.equal(await code('json', { 'content-type': 'application/json', 'fanfare-upload': 'live' }), '400 invalid-request')
  t.equal(await code('json', { ...LINES, 'fanfare-upload': 'fast' }), '400 invalid-request')
  t.equal(await code('json', { ...LINES, 'stream-seq': '1' }), '400 invalid-request')
  t.equal(
    await code('json', { ...LINES, 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }),
    '400 invalid-request',
  )
  t.equal(await code('none', LINES), '404 stream-not-found')
})

await t.test('lines of JSON are bytes for a stream of that type', async (t) => {
  const streams = await openStreams(t)
  await streams.create('a', 'application/x-ndjson')
  const lines = '{"a": 1}\n\n{bad\n'
  const appended = await streams.call('POST', 'a', { text: lines, headers: LINES })
  t.equal(appended.status, 204)
  t.equal((await streams.call('GET', 'a')).body, lines)
})
