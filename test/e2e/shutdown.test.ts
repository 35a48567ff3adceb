/** A hub that stops ends its streams in small groups, answers the requests in flight, and exits. */
import { once } from 'node:events'
import http from 'node:http'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { poll, within } from '../helper/deadline.js'
import { history, publish, request } from '../helper/http.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, openStream, streamUrl, type EventStream } from '../helper/stream.js'
import { anyTopic, token } from '../helper/token.js'

const bearer = anyTopic()
/** The time limit for "at once" on a busy machine, in milliseconds. A drain takes 30 seconds. */
const PROMPT = 5_000

/** Opens streams a hundred at a time. */
async function openMany(t: Test, hub: Hub, count: number): Promise<EventStream[]> {
  const streams: EventStream[] = []
  while (streams.length < count) {
    const opening = Array.from({ length: Math.min(100, count - streams.length) }, (_, n) =>
      openLive(t, streamUrl(hub, [`news.${n}`]), {
        token: token({ subscribe: ['**'], sub: `u${streams.length + n}` }),
      }),
    )
    streams.push(...(await Promise.all(opening)))
  }
  return streams
}

async function readiness(hub: Hub): Promise<number> {
  return (await request(`${hub.url}/health/ready`)).status
}

/** Requests `/health/ready` on a connection of an agent. Returns the header `Connection` of the answer. */
async function connectionOf(hub: Hub, agent: http.Agent): Promise<string | undefined> {
  const asking = http.get(`${hub.url}/health/ready`, { agent })
  const answer = new Promise<http.IncomingMessage>((resolve, reject) =>
    asking.once('response', resolve).once('error', reject),
  )
  const response = await within(answer, () => 'no answer')
  await response.toArray()
  return response.headers.connection
}

/** Sends SIGTERM, and waits until the hub is no longer ready. */
async function beginDrain(hub: Hub): Promise<void> {
  hub.signal('SIGTERM')
  await poll(
    async () => ((await readiness(hub).catch(() => 503)) === 503 ? true : undefined),
    () => 'the hub is still ready after SIGTERM',
  )
}

/** Resolves when the hub holds an event of the topic `news`. */
async function isStored(hub: Hub): Promise<void> {
  await poll(
    async () =>
      (await request(`${hub.url}/topics/news`, { headers: { authorization: `Bearer ${bearer}` } })).status === 200
        ? true
        : undefined,
    () => 'the event is not stored',
  )
}

interface Upload {
  line: (event: object) => void
  /** Resolves with the answer, even if it arrives before the end of the upload. */
  answered: () => Promise<{ status: number; body: unknown }>
  end: () => Promise<{ status: number; body: unknown }>
}

/** An NDJSON upload that is sent line by line. */
function upload(hub: Hub): Upload {
  const sending = http.request(`${hub.url}/events`, {
    method: 'POST',
    agent: false,
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/x-ndjson' },
  })
  const answer = new Promise<{ status: number; body: unknown }>((resolve, reject) => {
    sending.on('error', reject)
    sending.once('response', (response) => {
      response
        .setEncoding('utf8')
        .reduce<string>((text, part: string) => text + part, '')
        .then((text) => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }))
        .catch(reject)
    })
  })
  answer.catch(() => undefined) // awaited by `end`
  const answered = () => within(answer, () => 'the upload is not answered')
  return {
    line: (event) => void sending.write(`${JSON.stringify(event)}\n`),
    answered,
    end: () => {
      sending.end()
      return answered()
    },
  }
}

await t.test('a hub with 1,000 streams drains on SIGTERM', async (t) => {
  const DRAIN = 2_000
  const hub = await startHub(t, { FANFARE_DRAIN: `${DRAIN}ms` })
  const streams = await openMany(t, hub, 1_000)
  t.equal(await readiness(hub), 200)
  const { line, end } = upload(hub)
  for (let n = 0; n < 5; n++) line({ topic: 'news.99', data: n })
  await streams[99]!.count(5)

  const began = performance.now()
  await beginDrain(hub)
  t.pass('the hub is not ready')
  t.equal((await request(`${hub.url}/health/live`)).status, 200, 'the hub is live')

  const late = await openStream(t, streamUrl(hub, ['news.0']), { token: bearer })
  await within(late.closed, () => late.describe())
  t.equal(late.status, 200, 'a new stream gets 200, so that EventSource reconnects')
  t.match(late.headers['content-type'], /^text\/event-stream\b/)
  t.strictSame(
    late.all.map(({ type, data }) => ({ type, data })),
    [{ type: 'fanfare.close', data: `{"reason":"busy","retry":${late.retries[0]}}` }],
  )
  t.equal(late.retries.length, 1)
  t.ok(late.retries[0]! >= 5_000 && late.retries[0]! <= 15_000, `after 5 to 15 seconds: ${late.retries[0] ?? '-'} ms`)

  for (let n = 5; n < 10; n++) line({ topic: 'news.99', data: n })
  const answer = await end()
  t.equal(answer.status, 200, 'an upload in flight is answered')
  t.match(answer.body, { accepted: 10, duplicates: 0 })

  const closed = await Promise.all(streams.map((stream) => within(stream.closed, () => stream.describe())))
  const ended = closed.map((at) => at - began).sort((a, b) => a - b)
  const wrong = streams.filter(
    ({ all }) => all.at(-1)?.type !== 'fanfare.close' || all.at(-1)?.data !== '{"reason":"drain"}',
  )
  t.strictSame(
    wrong.map((stream) => stream.describe()),
    [],
    'each stream gets the reason of its end',
  )
  const lastRead = streams.flatMap(({ events }) => events.slice(-1))
  t.equal(lastRead.length, 10, 'each stream of the topic gets the events of the upload')
  t.ok(
    lastRead.some(({ data }) => data === '9'),
    'streams that are still open get the last event',
  )

  const retries = streams.map((stream) => stream.retries.at(-1)!)
  t.ok(
    retries.every((ms) => ms >= 2_000 && ms <= 4_000),
    `reconnects are due after 2 to 4 seconds: ${Math.min(...retries)} to ${Math.max(...retries)} ms`,
  )
  t.ok(new Set(retries).size > 500, 'the delays differ')
  t.ok(Math.max(...retries) - Math.min(...retries) > 1_500, 'the delays cover most of the range')

  t.comment(
    `ended ${[0, 0.1, 0.25, 0.5, 0.75, 0.9, 1].map((part) => `${Math.round(ended[Math.round(part * 999)]!)} ms`).join(', ')} after the signal`,
  )
  t.ok(ended[899]! - ended[99]! >= DRAIN * 0.4, 'the streams end over the whole drain')
  const largest = Math.max(...ended.map((from) => ended.filter((at) => at >= from && at < from + DRAIN / 10).length))
  t.ok(largest <= 400, `at most ${largest} streams end within a tenth of the drain`)
  t.ok(ended[999]! <= DRAIN + 1_500, 'all streams end within the drain')

  t.strictSame(await within(hub.exited, () => 'the hub does not exit'), { code: 0, signal: null })
  t.ok(performance.now() - began <= DRAIN + 3_000, 'the hub exits after the drain')
})

await t.test('an upload in flight is answered after the last stream has ended', async (t) => {
  const hub = await startHub(t, { FANFARE_DRAIN: '5s' })
  const stream = await openLive(t, streamUrl(hub, ['news']), { token: bearer })
  const { line, end } = upload(hub)
  for (let n = 0; n < 5; n++) line({ topic: 'news', data: n })
  await stream.count(5)

  hub.signal('SIGTERM')
  await within(stream.closed, () => stream.describe())
  t.strictSame(await stream.told('close'), { reason: 'drain' })
  for (let n = 5; n < 10; n++) line({ topic: 'news', data: n })
  const { status, body } = await end()
  t.equal(status, 200)
  t.match(body, { accepted: 10, duplicates: 0 })
  t.strictSame(await within(hub.exited, () => 'the hub does not exit'), { code: 0, signal: null })
})

await t.test(
  'while an upload is in flight the port stays open, and new requests are told that the hub stops',
  async (t) => {
    const hub = await startHub(t, { FANFARE_DRAIN: '30s' })
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    t.not(await connectionOf(hub, agent), 'close', 'a running hub keeps connections')
    const { line, end } = upload(hub)
    line({ topic: 'news', data: 0 })
    await poll(
      async () => ((await history(hub, 'news', 'last=1', bearer)).body.events.length === 1 ? true : undefined),
      () => 'the first line is not stored',
    )

    hub.signal('SIGTERM')
    await poll(
      async () => ((await readiness(hub)) === 503 ? true : undefined),
      () => 'the hub is still ready after SIGTERM',
    )
    t.equal(await connectionOf(hub, agent), 'close', 'a kept connection closes after its next answer')
    const late = await openStream(t, streamUrl(hub, ['news']), { token: bearer })
    await within(late.closed, () => late.describe())
    t.match(late.all, [{ type: 'fanfare.close', data: /"reason":"busy"/ }], 'a new stream is told to reconnect')
    t.match(await publish(hub, 'news', { data: 1 }, bearer), { duplicate: false }, 'publishing continues')
    t.equal(await readiness(hub), 503, 'the port is still open')

    line({ topic: 'news', data: 2 })
    const began = performance.now()
    const { status, body } = await end()
    t.equal(status, 200)
    t.match(body, { accepted: 2, duplicates: 0 })
    t.strictSame(await within(hub.exited, () => 'the hub does not exit'), { code: 0, signal: null })
    t.ok(
      performance.now() - began < PROMPT,
      `the hub exits with the answer to the upload: ${Math.round(performance.now() - began)} ms`,
    )
  },
)

await t.test('a second signal ends the hub at once', async (t) => {
  for (const second of ['SIGTERM', 'SIGINT'] as const) {
    const hub = await startHub(t, { FANFARE_DRAIN: '30s' })
    const streams = await openMany(t, hub, 50)
    const { line } = upload(hub) // an upload that never ends
    line({ topic: 'news', data: 1 })
    await beginDrain(hub)
    const began = performance.now()
    hub.signal(second)
    await within(hub.exited, () => 'the hub does not exit')
    t.ok(performance.now() - began < PROMPT, `${second} after SIGTERM: ${Math.round(performance.now() - began)} ms`)
    await Promise.all(streams.map(({ closed }) => closed))
  }
})

await t.test('a second signal in the middle of a transaction', async (t) => {
  // A thread of Node's pool then runs the transaction and waits for the event loop. An exit that waits for the thread
  // would never end.
  const folder = t.testdir({})

  async function idle(round: number): Promise<void> {
    const hub = await startHub(t, { FANFARE_LOG: `file:${folder}/idle-${round}` })
    hub.signal('SIGTERM')
    await delay(1) // the second signal comes while the hub stops
    hub.signal('SIGTERM')
    const { code, signal } = await within(hub.exited, () => `the hub does not exit:\n${hub.output()}`, PROMPT)
    // 0: the hub had already ended gracefully
    t.ok(signal === null && (code === 0 || code === 1), `idle: ${code ?? signal ?? '-'}`)
  }

  async function busy(round: number): Promise<void> {
    const hub = await startHub(t, { FANFARE_LOG: `file:${folder}/${round}`, FANFARE_DRAIN: '30s' })
    const { line } = upload(hub) // an upload that never ends or pauses
    const sending = setInterval(() => line({ topic: 'news', data: 'x' }))
    try {
      await isStored(hub)
      await beginDrain(hub) // a second signal before the hub handles the first one does not count
      await delay(round) // at different moments of a transaction
      hub.signal('SIGTERM')
      const exit = await within(hub.exited, () => `the hub does not exit:\n${hub.output()}`, PROMPT)
      t.strictSame(exit, { code: 1, signal: null })
    } finally {
      clearInterval(sending)
    }
  }

  for (let round = 0; round < 5; round++) await idle(round)
  for (let round = 0; round < 3; round++) await busy(round)
})

await t.test('an upload at the end of the drain is answered with the line to continue from', async (t) => {
  for (const isQuiet of [false, true]) {
    const hub = await startHub(t, { FANFARE_DRAIN: '1ms' })
    const { line, answered } = upload(hub)
    const event = { topic: 'news', data: 'x' }
    line(event)
    const sending = isQuiet ? undefined : setInterval(() => line(event))
    try {
      await isStored(hub)
      hub.signal('SIGTERM')
      const { status, body } = await answered()
      t.match({ status, body }, { status: 503, body: { code: 'draining', line: Number, accepted: Number } })
      const { line: next, accepted } = body as { line: number; accepted: number }
      t.equal(next, accepted + 1)
      t.match(await within(hub.exited, () => 'the upload does not end', PROMPT), { code: 0 })
    } finally {
      clearInterval(sending)
    }
  }
})

await t.test('clients that never read or never finish delay the exit only briefly', async (t) => {
  const DRAIN = 1_000
  // Requests in flight after the drain have a few more seconds.
  const ALLOWED = DRAIN + 8_000

  async function stalledSubscribers(): Promise<void> {
    const hub = await startHub(t, { FANFARE_DRAIN: `${DRAIN}ms` })
    const streams = await openMany(t, hub, 10)
    for (const stream of streams) stream.pause()
    const text = 'x'.repeat(200_000)
    for (let n = 0; n < 400; n++) await publish(hub, `news.${n % 10}`, { text }, bearer)
    const began = performance.now()
    t.equal(await hub.stop(), 0, 'the exit is normal')
    t.ok(performance.now() - began < ALLOWED, `stalled subscribers: ${Math.round(performance.now() - began)} ms`)
  }

  async function unfinishedUpload(): Promise<void> {
    const hub = await startHub(t, { FANFARE_DRAIN: `${DRAIN}ms` })
    const stream = await openLive(t, streamUrl(hub, ['news']), { token: bearer })
    const { line } = upload(hub)
    line({ topic: 'news', data: 1 })
    await stream.count(1)
    const began = performance.now()
    await hub.stop()
    t.ok(performance.now() - began < ALLOWED, `an unfinished upload: ${Math.round(performance.now() - began)} ms`)
  }

  await Promise.all([stalledSubscribers(), unfinishedUpload()])
})

await t.test('a hub without streams ends promptly', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const hub = await startHub(t, { FANFARE_DRAIN: '30s' })
    // The connection stays open, but an idle connection does not delay the exit.
    await publish(hub, 'news', { data: 1 }, bearer)
    const began = performance.now()
    t.equal(await hub.stop(signal), 0, signal)
    t.ok(performance.now() - began < PROMPT, `${Math.round(performance.now() - began)} ms`)
  }
})

await t.test('a connection that its client keeps open does not prevent the exit', async (t) => {
  const hub = await startHub(t, { FANFARE_DRAIN: '100ms' })
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const body = JSON.stringify({ data: 'in flight' })
  const sending = http.request(`${hub.url}/topics/a/events`, {
    method: 'POST',
    agent,
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json', 'content-length': body.length },
  })
  const answer = new Promise<http.IncomingMessage>((resolve, reject) =>
    sending.once('response', resolve).once('error', reject),
  )
  sending.write(body.slice(0, 5))
  await request(`${hub.url}/status`) // bytes that were sent before this request have arrived
  hub.signal('SIGTERM')
  await poll(
    async () => (hub.logs().some(({ msg }) => msg === 'stopping') ? true : undefined),
    () => 'the hub does not begin to stop',
  )
  sending.end(body.slice(5))
  const response = await within(answer, () => 'the requests in flight are not answered')
  response.resume()
  t.equal(response.statusCode, 201)
  const { code } = await within(hub.exited, () => 'the hub does not exit', PROMPT)
  t.equal(code, 0)
})

await t.test('idle connections and incomplete requests do not prevent the exit', async (t) => {
  const hub = await startHub(t, { FANFARE_DRAIN: '30s' })
  const opening = ['', '', 'GET /status HTTP/1.1\r\nHost: hub\r\n'].map(async (head) => {
    const socket = connect(hub.port, '127.0.0.1').on('error', () => undefined)
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    socket.write(head)
  })
  await Promise.all(opening)
  await request(`${hub.url}/status`) // the hub has accepted them
  hub.signal('SIGTERM')
  t.strictSame(await within(hub.exited, () => 'the hub does not exit', PROMPT), { code: 0, signal: null })
})

await t.test('requests that arrive just before the signal are answered', async (t) => {
  const hub = await startHub(t, { FANFARE_DRAIN: '100ms' })
  const answers = Array.from(
    { length: 300 },
    () =>
      new Promise<string>((resolve) => {
        const socket = connect(hub.port, '127.0.0.1').on('error', () => undefined)
        t.teardown(() => socket.destroy())
        let answer = ''
        socket.on('data', (bytes) => (answer += String(bytes)))
        socket.once('close', () => resolve(answer))
        socket.write('GET /status HTTP/1.1\r\nHost: hub\r\n\r\n')
      }),
  )
  await request(`${hub.url}/status`)
  hub.signal('SIGTERM')
  for (const answer of await Promise.all(answers)) t.match(answer, /^HTTP\/1.1 (200|401) /)
  t.strictSame(await within(hub.exited, () => 'the hub does not exit', PROMPT), { code: 0, signal: null })
})
