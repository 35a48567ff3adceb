/**
 * Two thousand streams that are changed, revoked, reloaded and published to at random leave nothing behind.
 * `SOAK_SECONDS` is the duration; the default is one minute.
 *
 * The memory at the end is compared with the memory after a warm-up of the same kind whose streams are all closed. It
 * is not compared with a hub that has just started, whose code is not compiled and whose log and caches are empty. The
 * increase during the warm-up is only printed.
 */
import { existsSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { poll } from '../helper/deadline.js'
import { request, type Answer } from '../helper/http.js'
import { startHub, type Hub } from '../helper/process.js'
import { random } from '../helper/random.js'
import { token } from '../helper/token.js'

const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 60)
const STREAMS = 2_000
const SUBJECTS = 400
const TOPICS = 200
/** The maximum memory at the end, as a multiple of the memory after the warm-up. */
const GROWTH = 1.1
/** The number of sockets and timers that may remain: the connection of a request may still be closing. */
const SPARE = 5
/** One more function per this many streams is allowed, since V8 creates some functions at their first use. */
const STREAMS_PER_FUNCTION = 100
/** How long a subject is revoked, in milliseconds. */
const REVOKED = 1_500
/** The actions of a round, and the pause after it in milliseconds. */
const ROUND = { publishes: 10, actions: 25, pause: 100 }

const draw = random(Number(process.env['SOAK_SEED'] ?? Date.now() % 1e6))
const admin = token({ sub: 'root', subscribe: ['**'], publish: ['**'], admin: true })
const topic = () => `room.${draw.below(TOPICS)}`
const bearerOf = (subject: string) =>
  token({ sub: subject, subscribe: ['room.*'], presence: ['room.*'], info: { name: subject } })

t.setTimeout((SECONDS + 180) * 1_000)

/** A stream whose test reads only the id, and drops the events. */
class Subscriber {
  readonly subject: string
  readonly bearer: string
  readonly #socket: Socket
  #head = ''
  isClosed = false

  constructor(hub: Hub, subject: string) {
    this.subject = subject
    this.bearer = bearerOf(subject)
    const query = new URLSearchParams([
      ['topic', topic()],
      ['topic', topic()],
    ])
    if (draw.below(4) === 0) query.set('presence', 'true')
    if (draw.below(4) === 0) query.set('slow', 'latest')
    if (draw.below(4) === 0) query.set('replay', '5')
    this.#socket = connect(hub.port, '127.0.0.1')
    this.#socket.on('error', () => undefined)
    this.#socket.once('close', () => (this.isClosed = true))
    this.#socket.setEncoding('latin1').on('data', (text: string) => {
      if (this.#head.length < 2_000) this.#head += text
    })
    this.#socket.write(
      `GET /events?${query.toString()} HTTP/1.1\r\nhost: hub\r\naccept: text/event-stream\r\nauthorization: Bearer ${this.bearer}\r\n\r\n`,
    )
  }

  /** The id of the stream, once a head with the status 200 has arrived. */
  get id(): string | undefined {
    return /^fanfare-connection: (\S+)\r$/im.exec(this.#head)?.[1]
  }

  /** Stops reading for a while. */
  stall(time: number): void {
    this.#socket.pause()
    setTimeout(() => this.#socket.resume(), time).unref()
  }

  end(): void {
    if (draw.below(2) === 0) this.#socket.destroy()
    else this.#socket.resetAndDestroy()
  }
}

interface Probe {
  heap: { streams: number; sockets: number; timers: number; functions: number }
  active: Record<string, number>
  memory: number
}

/**
 * Sends a request on its own connection, since connections that a client keeps for later requests would distort the
 * counts.
 */
function ask<Body>(
  url: string,
  init: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer<Body>> {
  return request<Body>(url, { ...init, headers: { ...init.headers, connection: 'close' } })
}

async function probe(hub: Hub, file: string): Promise<Probe> {
  const lines = () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [])
  const before = lines().length
  hub.signal('SIGWINCH')
  const line = await poll(
    async () => lines()[before],
    () => 'the process does not print its counts',
  )
  return JSON.parse(line) as Probe
}

await t.test(`${STREAMS} streams for ${SECONDS} s leave nothing behind`, async (t) => {
  const folder = t.testdir({})
  const file = join(folder, 'probes')
  const hub = await startHub(t, {
    FANFARE_LOG: `file:${folder}/log`,
    FANFARE_RETAIN_EVENTS: '20',
    FANFARE_PRESENCE_GRACE: '300ms',
    FANFARE_MAX_CONNECTIONS: '5000',
    PROBE_FILE: file,
    NODE_OPTIONS: `--import ${new URL('../helper/probe.mjs', import.meta.url).href}`,
  })
  const subscribers = new Set<Subscriber>()
  let opened = 0
  function open(): void {
    opened++
    subscribers.add(new Subscriber(hub, `u${draw.below(SUBJECTS)}`))
  }
  const calls = { made: 0, unexpected: [] as string[] }

  async function call(
    method: string,
    path: string,
    bearer: string,
    body: unknown,
    expected: number[] | (() => number[]),
  ): Promise<void> {
    const headers: Record<string, string> = {
      authorization: `Bearer ${bearer}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    }
    const { status } = await ask(`${hub.url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    calls.made++
    const allowed = typeof expected === 'function' ? expected() : expected
    if (!allowed.includes(status)) calls.unexpected.push(`${method} ${path}: ${status}`)
  }

  /**
   * Runs a random action on a stream. The stream may have ended meanwhile (404), or its subject may be revoked (401).
   */
  async function act(subscriber: Subscriber): Promise<void> {
    const { id, subject, bearer } = subscriber
    if (id === undefined || subscriber.isClosed) {
      if (subscriber.isClosed) subscribers.delete(subscriber)
      return
    }
    switch (draw.below(8)) {
      case 0:
      case 1:
        return call(
          'PATCH',
          `/connections/${id}`,
          bearer,
          { subscribe: [topic()], ...(draw.below(3) === 0 ? { replay: 3 } : {}) },
          [200, 401, 403, 404],
        ) // its token may grant less by now
      case 2:
        return call(
          'PATCH',
          `/connections/${id}`,
          bearer,
          { unsubscribe: Array.from({ length: 20 }, topic) },
          [200, 401, 404],
        )
      case 3:
        return call(
          'PUT',
          `/connections/${id}/token`,
          draw.below(2) === 0 ? bearer : token({ sub: subject, subscribe: [topic()] }),
          undefined,
          [200, 401, 404],
        )
      case 4:
        return call('DELETE', `/connections/${id}`, bearer, undefined, [204, 401, 404])
      case 5:
        subscriber.stall(1_000)
        return
      case 6: {
        if (draw.below(10) > 0) return
        const until = Date.now() + REVOKED
        // on a slow machine the time may be over when the request arrives
        const expected = () => (Date.now() < until ? [201] : [201, 400])
        return call('POST', '/revocations', admin, { subject, until: new Date(until).toISOString() }, expected)
      }
      default:
        subscriber.end()
        subscribers.delete(subscriber)
        open()
    }
  }

  async function live(seconds: number): Promise<void> {
    const end = performance.now() + seconds * 1_000
    while (performance.now() < end) {
      for (let n = 0; n < 100 && subscribers.size < STREAMS; n++) open()
      const all = [...subscribers]
      const publishing = Array.from({ length: ROUND.publishes }, () =>
        call('POST', `/topics/${topic()}/events`, admin, { data: 'x'.repeat(draw.below(2_000)) }, [201]),
      )
      await Promise.all([...publishing, ...Array.from({ length: ROUND.actions }, () => act(draw.pick(all)))])
      for (const subscriber of subscribers) if (subscriber.isClosed) subscribers.delete(subscriber)
      await delay(ROUND.pause) // a fixed load per second, not the maximum load
    }
  }

  async function endAll(): Promise<void> {
    for (const subscriber of subscribers) subscriber.end()
    subscribers.clear()
    await poll(
      async () => ((await ask<{ clients: number }>(`${hub.url}/status`)).body.clients === 0 ? true : undefined),
      () => 'streams are still open',
    )
    const barred = async () =>
      (
        await ask<{ revocations: unknown[] }>(`${hub.url}/revocations`, {
          headers: { authorization: `Bearer ${admin}` },
        })
      ).body.revocations.length
    await poll(
      async () => ((await barred()) === 0 ? true : undefined),
      () => 'a subject is still revoked',
    )
    const here = async (name: string) =>
      (
        await ask<{ subjects: unknown[] }>(`${hub.url}/topics/${name}/presence`, {
          headers: { authorization: `Bearer ${token({ sub: 'eye', presence: ['**'] })}` },
        })
      ).body.subjects.length
    for (let n = 0; n < TOPICS; n++)
      await poll(
        async () => ((await here(`room.${n}`)) === 0 ? true : undefined),
        () => 'a subject is still present',
      )
  }

  const fresh = await probe(hub, file)
  await live(Math.min(20, SECONDS / 4)) // until V8 has compiled the code, and the caches are full
  await endAll()
  const before = await probe(hub, file)
  opened = 0
  await live(SECONDS)
  t.ok(subscribers.size > STREAMS / 2, `${subscribers.size} streams are open`)
  const meanwhile = await probe(hub, file)
  await endAll()
  const after = await probe(hub, file)
  for (const [when, { heap, memory }] of Object.entries({
    'just started': fresh,
    'after the warm-up': before,
    'while streams are open': meanwhile,
    'in the end': after,
  })) {
    t.comment(`${when}: ${(memory / 1e6).toFixed(1)} MB, ${JSON.stringify(heap)}`)
  }
  t.comment(`${calls.made} requests; ${opened} streams after the warm-up`)
  t.strictSame(calls.unexpected, [], 'every answer is expected')
  t.ok(calls.made > SECONDS * 10)
  t.ok(
    after.memory < before.memory * GROWTH,
    `memory is ${((after.memory / before.memory - 1) * 100).toFixed(1)} % more than after the warm-up`,
  )
  const more = (name: keyof Probe['heap']) => after.heap[name] - before.heap[name]
  for (const name of ['streams', 'sockets'] as const)
    t.ok(meanwhile.heap[name] > STREAMS / 2, `the probe finds the open ${name}: ${meanwhile.heap[name]}`)
  t.equal(after.heap.streams, 0, 'streams')
  t.ok(more('sockets') <= SPARE, `${more('sockets')} more sockets`)
  t.ok(more('timers') <= SPARE, `${more('timers')} more timers`)
  t.ok(more('functions') < opened / STREAMS_PER_FUNCTION, `${more('functions')} more functions`)
  t.notMatch(
    hub.output(),
    'MaxListenersExceeded',
    'no listeners accumulate: the heap counts a function once, but Node warns of repeated listeners',
  )
  for (const [name, is] of Object.entries(after.active)) {
    const was = before.active[name] ?? 0
    t.ok(is <= was + SPARE, `${name}: ${was} before, ${is} after`)
  }
  t.equal(await hub.stop(), 0)
})
