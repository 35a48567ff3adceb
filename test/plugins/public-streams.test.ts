/** `app.hub.streams`: finite topics that an application writes. */
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { until } from '../hub/fake-sink.js'
import { openApp } from '../routes/open-app.js'
import { hubOf } from '../../src/plugins/hub.js'

async function read(app: FastifyInstance, topic: string): Promise<unknown[]> {
  const { messages, topic: state } = await hubOf(app).finite.read(topic, 0, Infinity)
  return [
    ...messages.map(({ kind, payload }) => (kind === 'json' ? (JSON.parse(payload) as unknown) : payload)),
    state.status,
  ]
}

async function open(t: Test) {
  const { app, subscribe } = await openApp(t)
  return { app, subscribe, streams: app.hub.streams }
}

async function* words(...texts: string[]): AsyncGenerator<string> {
  for (const text of texts) {
    await delay(1) // the texts come one by one
    yield text
  }
}

await t.test('a run appends and ends', async (t) => {
  const { app, streams, subscribe } = await open(t)
  const run = await streams.create('chats.42.r7', { ttl: '1h', coalesce: 40, createdBy: 'u1' })
  t.match(await hubOf(app).finite.get('chats.42.r7'), { ttl: 3_600_000, coalesce: 40, createdBy: 'u1' })
  const sink = await subscribe('chats.42.r7')
  t.match(run, { topic: 'chats.42.r7', contentType: 'text/plain', status: 'open' })
  await Promise.all(['Hel', 'lo', Buffer.from('!')].map((text) => run.append(text)))
  t.equal(await run.close(), 'done')
  t.equal(await run.close('error'), 'done', 'it stays as it is')
  t.equal(run.status, 'done')
  t.equal(run.signal.aborted, false)
  await until(() => sink.isClosed)
  t.strictSame(sink.data, ['Hel', 'lo', '!'])
  await t.rejects(run.append('more'), { code: 'stream-closed' })
})

await t.test('a run does not write into a topic that was created again', async (t) => {
  const { app, streams } = await open(t)
  const stale = await streams.create('a')
  await hubOf(app).finite.delete('a')
  const run = await streams.create('a')
  await run.append('new')
  await t.rejects(stale.append('stale'), { code: 'stream-not-found' })
  t.equal(await stale.close('error'), 'cancelled')
  await t.rejects(stale.cancel(), { code: 'stream-not-found' })
  t.strictSame(await read(app, 'a'), ['new', 'open'])
})

await t.test('closing a run stops the source of its pipe', async (t) => {
  const { streams } = await open(t)
  const run = await streams.create('a')
  let isCancelled = false
  const source = new ReadableStream({
    pull: () => new Promise(() => undefined),
    cancel: () => void (isCancelled = true),
  })
  const piped = run.pipe(source)
  await run.close()
  t.equal(await piped, 'done')
  t.ok(isCancelled)
})

await t.test('a hub that closes leaves the topic open, and stops the source', async (t) => {
  const { app, streams } = await open(t)
  const run = await streams.create('a')
  const piped = run.pipe(new ReadableStream({ pull: () => new Promise(() => undefined) }))
  const refused = t.rejects(piped, { code: 'hub-closed' })
  await app.close()
  await refused
  t.equal(run.status, 'open')
})

await t.test('the content type is read as over HTTP', async (t) => {
  const { app, streams } = await open(t)
  const json = await streams.create('json', { contentType: 'Application/JSON; charset=utf-8' })
  t.equal(json.contentType, 'application/json; charset=utf-8')
  await json.append({ a: 1 })
  t.strictSame(await read(app, 'json'), [{ a: 1 }, 'open'])
  const text = await streams.create('text', { contentType: 'Text/Plain' })
  await text.append('é')
  t.strictSame(await read(app, 'text'), ['é', 'open'])
  for (const contentType of ['', 'text/plain\r\nx: y', 'text/☃', 'x'.repeat(201)])
    await t.rejects(streams.create('bad', { contentType }), { code: 'invalid-stream' })
})

await t.test('messages fit the content type', async (t) => {
  const { app, streams } = await open(t)
  const json = await streams.create('json', { contentType: 'application/json' })
  for (const value of [{ a: 1 }, 'text', null, [1]]) await json.append(value)
  t.strictSame(await read(app, 'json'), [{ a: 1 }, 'text', null, [1], 'open'])
  await t.rejects(
    json.append(() => 1),
    { code: 'invalid-event' },
  )
  const bytes = await streams.create('bytes', { contentType: 'image/png' })
  await bytes.append(new Uint8Array([1, 2]))
  await bytes.append('é')
  t.strictSame(await read(app, 'bytes'), ['AQI=', 'w6k=', 'open'])
  const text = await streams.create('text')
  await t.rejects(text.append({ a: 1 }), { code: 'invalid-event', message: /application\/json/ })
  await t.rejects(text.append('\ud800'), { code: 'invalid-event' })
})

await t.test('a source is piped: a stream of the web, of Node, and an iterable', async (t) => {
  const { app, streams } = await open(t)
  const euro = Buffer.from('€')
  const sources = {
    web: new ReadableStream({
      start(controller) {
        controller.enqueue('a')
        controller.enqueue(euro.subarray(0, 1))
        controller.enqueue(euro.subarray(1))
        controller.close()
      },
    }),
    node: Readable.from(['a', '€']),
    iterable: words('a', '', '€'),
    list: ['a', '€'],
  }
  for (const [name, source] of Object.entries(sources)) {
    const run = await streams.create(name)
    t.equal(await run.pipe(source), 'done')
    t.strictSame(await read(app, name), ['a', '€', 'done'], name)
  }
  const many = await streams.create('many')
  await many.pipe(words(...Array.from({ length: 300 }, (_, n) => `${n} `)))
  t.equal((await read(app, 'many')).slice(0, -1).join(''), Array.from({ length: 300 }, (_, n) => `${n} `).join(''))
  const wrong = await streams.create('wrong')
  await t.rejects(wrong.pipe(42 as never), { code: 'invalid-event' })
})

await t.test('a source that fails ends the topic with an error', async (t) => {
  const { app, streams } = await open(t)
  const run = await streams.create('a')
  async function* failing(): AsyncGenerator<string> {
    yield* words('1', '2')
    throw new Error('the model has failed')
  }
  await t.rejects(run.pipe(failing()), /the model has failed/)
  t.strictSame(await read(app, 'a'), ['1', '2', 'error'])
  const json = await streams.create('b')
  await t.rejects(json.pipe([{ no: 'text' }]), { code: 'invalid-event' })
  t.strictSame(await read(app, 'b'), ['error'])
})

await t.test('a cancelled topic stops its source and aborts the signal', async (t) => {
  const { app, streams } = await open(t)
  const stopped: string[] = []
  const endless = (name: string): Record<string, () => unknown> => ({
    web: () =>
      new ReadableStream({ pull: (c) => c.enqueue('x'), cancel: () => void stopped.push(name) }, { highWaterMark: 0 }),
    silent: () => new ReadableStream({ cancel: () => void stopped.push(name) }),
    node: () => new Readable({ read: () => undefined, destroy: (_err, done) => (stopped.push(name), done(null)) }),
    iterable: () =>
      (async function* () {
        try {
          for (;;) yield* words('x')
        } finally {
          stopped.push(name)
        }
      })(),
  })
  for (const name of ['web', 'silent', 'node', 'iterable']) {
    const run = await streams.create(name)
    const piping = run.pipe(endless(name)[name]!() as never)
    await delay(20) // the source is being read
    t.match(await hubOf(app).finite.cancel(name), { status: 'cancelled' })
    t.equal(await piping, 'cancelled')
    t.equal(run.signal.aborted, true)
    t.match(run.signal.reason, { code: 'cancelled' })
    await until(() => stopped.includes(name))
    await t.rejects(run.append('x'), { code: 'cancelled' })
  }
})

await t.test('the signal is aborted when the topic is deleted or expires', async (t) => {
  const { app, streams } = await open(t)
  const deleted = await streams.create('a')
  await hubOf(app).finite.delete('a')
  t.equal(deleted.signal.aborted, true)
  const expired = await streams.create('b', { ttl: '100ms', lease: 0 })
  await until(() => expired.signal.aborted)
  t.equal(expired.status, 'expired')
})

await t.test('a lease is renewed while the process runs', async (t) => {
  const { app, streams } = await open(t)
  const run = await streams.create('a', { lease: 200 })
  await delay(600) // three times the lease
  t.equal(run.status, 'open')
  await run.close()
  t.match(await hubOf(app).finite.get('a'), { status: 'done' })
})

await t.test('an existing topic is opened', async (t) => {
  const { app, streams } = await open(t)
  await streams.create('a')
  await t.rejects(streams.create('a'), { code: 'stream-exists' })
  const again = await streams.open('a')
  await again.append('x')
  await again.cancel()
  t.strictSame(await read(app, 'a'), ['x', 'cancelled'])
  await t.rejects(streams.open('never'), { code: 'stream-not-found' })
  t.equal((await streams.open('a')).status, 'cancelled')
})

await t.test('invalid options are refused', async (t) => {
  const { streams } = await open(t)
  for (const options of [
    { ttl: 'soon' },
    { ttl: -1 },
    { coalesce: {} },
    { expiresAt: 'x' },
    { unknown: 1 },
    5,
    { lease: NaN },
  ])
    await t.rejects(streams.create('a', options as never), { code: 'invalid-stream' }, JSON.stringify(options))
})
