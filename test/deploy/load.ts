/** A load of subscribers and publishers, which reconnect and try again while processes are replaced. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { post, type Published } from '../helper/http.js'
import { poll } from '../helper/deadline.js'
import { difference, due, inLogOrder, type Logged } from '../helper/oracle.js'
import { openStream, streamUrl, type EventStream, type StreamEvent } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

const bearer = anyTopic()
const TOPICS = ['orders.1', 'orders.2', 'users.1']
const SELECTIONS = [['orders.1'], ['orders.*'], ['**'], ['users.1', 'orders.2'], ['orders.1'], ['**']]
/** The time between two events of a publisher, in milliseconds. */
const PACE = 20
const PUBLISHERS = 3
/** How many events are published between two restarts. */
const BETWEEN = 60

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
      const stream = await this.#open(t, url, lastEventId)
      if (!stream) return
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

  /** Tries again while nobody listens on the port. An answer other than 200 is a fault. */
  async #open(t: Test, url: string, lastEventId: string | undefined): Promise<EventStream | undefined> {
    while (!this.#isOver) {
      try {
        return await openStream(t, url, { token: bearer, ...(lastEventId !== undefined && { lastEventId }) })
      } catch (err) {
        if ((err as NodeJS.ErrnoException).code === undefined) throw err
        await delay(PACE)
      }
    }
    return undefined
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

/** Subscribers of `SELECTIONS` and publishers of `TOPICS`, at one URL. */
export class Load {
  readonly #publisher = new Publisher()
  readonly #subscribers: Subscriber[]
  readonly #failed: Promise<void>
  #publishing: Promise<unknown> = Promise.resolve()

  private constructor(t: Test, hub: { url: string }) {
    this.#subscribers = SELECTIONS.map((topics) => new Subscriber(t, streamUrl(hub, topics)))
    this.#failed = Promise.race(this.#subscribers.map(({ ended }) => ended))
    this.#failed.catch(() => undefined) // `#until` reports it
  }

  /** Connects the subscribers, then starts the publishers. */
  static async start(t: Test, hub: { url: string }): Promise<Load> {
    const load = new Load(t, hub)
    await load.areConnected()
    const publishers = Array.from({ length: PUBLISHERS }, (_, n) => load.#publisher.run(hub.url, `p${n}`))
    load.#publishing = Promise.all(publishers)
    return load
  }

  /** Waits until every subscriber is connected. */
  async areConnected(): Promise<void> {
    const areAll = () => this.#subscribers.every(({ isConnected }) => isConnected)
    await this.#until(areAll, 'a subscriber does not come back')
  }

  /** Waits until `BETWEEN` more events are published. */
  async publishMore(): Promise<void> {
    const { acknowledged } = this.#publisher
    const before = acknowledged.length
    await this.#until(() => acknowledged.length >= before + BETWEEN, 'nothing is published')
  }

  /** Ends the load, and tests that each subscriber has had every event once, in order. */
  async end(t: Test): Promise<void> {
    const [subscribers, publisher] = [this.#subscribers, this.#publisher]
    publisher.isOver = true
    await this.#publishing
    const log = inLogOrder(publisher.acknowledged)
    const expected = SELECTIONS.map((topics) => due(log, topics))
    await this.#until(
      () => subscribers.every(({ isConnected, read }, n) => isConnected && read >= expected[n]!.length),
      'a subscriber does not get every event',
    )
    for (const subscriber of subscribers) subscriber.stop()
    await Promise.all(subscribers.map(({ ended }) => ended))
    for (const [n, { events, told, streams }] of subscribers.entries()) {
      t.equal(difference(events, expected[n]!), 'none', `${SELECTIONS[n]!.join(' ')}: each event comes once, in order`)
      t.notOk(
        told.some(({ type }) => type === 'fanfare.gap'),
        'without a gap',
      )
      t.ok(streams > 1, 'and the subscriber has lost its hub at least once')
    }
    const refused = Object.keys(publisher.failures).filter((how) => how !== '503' && !how.startsWith('connection:'))
    t.strictSame(refused, [], 'a publish fails only with 503 and Retry-After, or by its connection')
    const streams = subscribers.reduce((sum, one) => sum + one.streams, 0)
    t.comment(`${log.length} events, ${streams} streams, failed publishes: ${JSON.stringify(publisher.failures)}`)
  }

  async #until(condition: () => boolean, what: string): Promise<void> {
    const reached = poll(
      async () => condition() || undefined,
      () => what,
    )
    await Promise.race([reached, this.#failed.then(() => Promise.reject(new Error('a subscriber has ended')))])
  }
}
