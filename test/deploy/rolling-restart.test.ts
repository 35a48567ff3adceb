/** The cluster as it is deployed, whose processes are replaced one after another. */
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { poll } from '../helper/deadline.js'
import { post, type Published } from '../helper/http.js'
import { skipNats } from '../helper/nats.js'
import { skipNginx } from '../helper/nginx.js'
import { difference, due, inLogOrder, type Logged } from '../helper/oracle.js'
import { openLive, openStream, streamUrl, type EventStream, type StreamEvent } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'
import { startDeployedCluster } from './cluster.js'

const bearer = anyTopic()
const TOPICS = ['orders.1', 'orders.2', 'users.1']
const SELECTIONS = [['orders.1'], ['orders.*'], ['**'], ['users.1', 'orders.2'], ['orders.1'], ['**']]
const PUBLISHERS = 3
/** The time between two events of a publisher, in milliseconds. */
const PACE = 20
/** How many events are published between two restarts. */
const BETWEEN = 60
const HEARTBEAT = 500
/** The limit of streams per address. Each hub counts for itself. */
const PER_ADDRESS = 8

/** A subscriber that reconnects as EventSource does. */
class Subscriber {
  /** How often it has connected. */
  streams = 0
  readonly events: StreamEvent[] = []
  /** The hub's own events. */
  readonly told: StreamEvent[] = []
  /** When it has ended, with a fault: an answer that would stop an EventSource for good. */
  readonly ended: Promise<void>
  #stream: EventStream | undefined
  #isOver = false

  constructor(t: Test, url: string) {
    this.ended = this.#follow(t, url)
  }

  get read(): number {
    return this.events.length + (this.#stream?.events.length ?? 0)
  }

  get isConnected(): boolean {
    return this.#stream !== undefined
  }

  stop(): void {
    this.#isOver = true
    this.#stream?.destroy()
  }

  async #follow(t: Test, url: string): Promise<void> {
    let lastEventId: string | undefined
    let retry = 0
    for (;;) {
      const stream = await openStream(t, url, { token: bearer, ...(lastEventId !== undefined && { lastEventId }) })
      this.streams++
      this.#stream = stream
      await stream.closed
      this.#stream = undefined
      this.events.push(...stream.events)
      this.told.push(...stream.all.filter(({ type }) => type?.startsWith('fanfare.')))
      lastEventId = stream.lastId ?? lastEventId
      retry = stream.retries.at(-1) ?? retry
      if (this.#isOver) return
      await delay(retry)
    }
  }
}

/** A publisher that sends each event again, with the same id, until it is acknowledged. */
class Publisher {
  readonly acknowledged: Logged[] = []
  /** How often an attempt has failed, by the status or the error. */
  readonly failures: Record<string, number> = {}
  isOver = false

  async run(url: string, name: string): Promise<void> {
    for (let n = 0; !this.isOver; n++) {
      const topic = TOPICS[n % TOPICS.length]!
      const event = { id: `${name}-${n}`, data: `${name} ${n}` }
      const id = await this.#publish(`${url}/topics/${topic}/events`, event)
      this.acknowledged.push({ id, topic, data: JSON.stringify(event.data) })
      await delay(PACE)
    }
  }

  async #publish(url: string, event: object): Promise<string> {
    for (;;) {
      const answer = await post<Published>(url, event, bearer).catch((err: unknown) => err as Error)
      if (answer instanceof Error) {
        this.#failed(`connection: ${String(answer.cause)}`)
        await delay(PACE)
      } else if (answer.status < 300) return answer.body.id
      else {
        const seconds = Number(answer.headers.get('retry-after') ?? NaN)
        this.#failed(Number.isNaN(seconds) ? `${answer.status} without Retry-After` : String(answer.status))
        await delay((seconds || 1) * 1_000)
      }
    }
  }

  #failed(how: string): void {
    this.failures[how] = (this.failures[how] ?? 0) + 1
  }
}

await t.test('the cluster as it is deployed', { skip: skipNats || skipNginx }, async (t) => {
  const cluster = await startDeployedCluster(t, {
    FANFARE_HEARTBEAT: `${HEARTBEAT}ms`,
    FANFARE_RETAIN_EVENTS: '100000',
    FANFARE_MAX_CONNECTIONS_PER_ADDRESS: String(PER_ADDRESS),
  })
  const { nginx } = cluster

  await t.test('a stream through nginx is not buffered', async (t) => {
    const stream = await openLive(t, streamUrl(nginx, ['quiet']), { token: bearer }) // the block has arrived
    await stream.until(() => stream.heartbeats >= 2)
    t.equal((await post(`${nginx.url}/topics/quiet/events`, { text: 'one' }, bearer)).status, 201)
    await stream.count(1)
    t.equal(stream.isClosed, false)
    stream.destroy()
  })

  await t.test('every hub and a NATS server can be replaced under load', async (t) => {
    const subscribers = SELECTIONS.map((topics) => new Subscriber(t, streamUrl(nginx, topics)))
    const failed = Promise.race(subscribers.map(({ ended }) => ended))
    const publisher = new Publisher()
    const until = async (condition: () => boolean, what: string) =>
      Promise.race([
        poll(
          async () => condition() || undefined,
          () => what,
        ),
        failed.then(() => Promise.reject(new Error('a subscriber has ended'))),
      ])
    await until(() => subscribers.every(({ isConnected }) => isConnected), 'not all subscribers are connected')
    const publishing = Promise.all(Array.from({ length: PUBLISHERS }, (_, n) => publisher.run(nginx.url, `p${n}`)))

    const publishMore = async () => {
      const before = publisher.acknowledged.length
      await until(() => publisher.acknowledged.length >= before + BETWEEN, 'nothing is published')
    }
    for (const n of cluster.hubs.keys()) {
      await publishMore()
      const { code, streams } = await cluster.restartHub(n)
      t.equal(code, 0, 'the hub ends gracefully')
      t.ok(Number(streams) > 0, 'and had streams')
      await until(() => subscribers.every(({ isConnected }) => isConnected), 'a subscriber does not come back')
    }
    await publishMore()
    await cluster.restartServer(0)
    await publishMore()
    publisher.isOver = true
    await publishing

    const log = inLogOrder(publisher.acknowledged)
    const expected = SELECTIONS.map((topics) => due(log, topics))
    await until(
      () => subscribers.every(({ isConnected, read }, n) => isConnected && read >= expected[n]!.length),
      'a subscriber does not get every event',
    )
    for (const subscriber of subscribers) subscriber.stop()
    await Promise.all(subscribers.map(({ ended }) => ended))
    for (const [n, { events, told }] of subscribers.entries()) {
      t.equal(difference(events, expected[n]!), 'none', `${SELECTIONS[n]!.join(' ')}: each event comes once, in order`)
      t.notOk(
        told.some(({ type }) => type === 'fanfare.gap'),
        'without a gap',
      )
    }
    t.ok(
      subscribers.every(({ streams }) => streams > 1),
      'each subscriber has lost its hub at least once',
    )
    const refused = Object.keys(publisher.failures).filter((how) => how !== '503' && !how.startsWith('connection:'))
    t.strictSame(refused, [], 'a publish fails only with 503 and Retry-After, or by its connection')
    t.comment(
      `${log.length} events, ${subscribers.reduce((sum, { streams }) => sum + streams, 0)} streams, failed publishes: ${JSON.stringify(publisher.failures)}`,
    )
  })

  await t.test('the hubs count streams by the address of the client', async (t) => {
    const open = async (address: string, n: number) => {
      const headers = { 'x-forwarded-for': `192.0.2.${n}` }
      const options = { token: bearer, headers, localAddress: address }
      return openStream(t, streamUrl(nginx, ['many']), options)
    }
    const reason = async (stream: EventStream) => {
      const first = await stream.next()
      return first.type === 'fanfare.close' ? (JSON.parse(first.data) as { reason: string }).reason : first.type
    }
    const limit = cluster.hubs.length * PER_ADDRESS
    let count = 0
    while (count <= limit && (await reason(await open('127.0.0.8', count))) === 'fanfare.open') count++
    t.ok(count >= PER_ADDRESS && count <= limit, `${count} streams, whatever the client says of itself`)
    t.equal(await reason(await open('127.0.0.9', 0)), 'fanfare.open')
  })
})
