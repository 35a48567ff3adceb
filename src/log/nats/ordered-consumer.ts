/**
 * Follows a stream: gets every message from a sequence on, in order and each once. JetStream pushes the messages
 * through a consumer, which lasts as long as the connection. If a message is missing, or JetStream is silent for too
 * long, another consumer begins after the last message.
 */
import { randomBytes } from 'node:crypto'
import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node'
import type { NatsLink } from '../../nats/nats-link.js'
import { CONSUMER_NOT_FOUND, JetStreamError, type JetStream } from './jetstream.js'

/** The time between two signs of life of JetStream, in milliseconds. */
const HEARTBEAT = 1_000
/** After this time without one, in milliseconds, the consumer counts as lost. */
const SILENCE = 2_500
/** The time between two attempts to make a consumer, in milliseconds. */
const RETRY = 250
/** The time after which JetStream deletes a consumer without a subscription, in milliseconds. */
const INACTIVE = 10_000
/** The first and the maximum delay before `reach` asks whether an awaited message exists, in milliseconds. */
const FIRST_PROBE_DELAY = 25
const MAX_PROBE_DELAY = 1_000

const MILLISECOND = 1e6

/** A message of the stream, with its sequence and time. */
export interface Delivery {
  message: Msg
  sequence: number
  /** In milliseconds since the Unix epoch. */
  time: number
  /** The number of messages of the stream after this one. */
  pending: number
}

export interface ConsumerOptions {
  stream: string
  filter: string
  /** Whether the messages come without their payloads. */
  headersOnly?: boolean
  /** Called with each message. */
  onMessage: (delivery: Delivery) => void
  /** Called when the consumer starts, and when it restarts. Returns the sequence to begin with. */
  onStart?: () => number
}

interface Waiter {
  sequence: number
  resolve: () => void
}

export class OrderedConsumer {
  /** The next message has at least this sequence. */
  next: number
  readonly #link: NatsLink
  readonly #jetstream: JetStream
  readonly #options: ConsumerOptions
  #name = ''
  #subscription: Subscription | undefined
  /** The number of messages of the consumer so far. */
  #received = 0
  /** The number of consumers so far. */
  #generation = 0
  #isStopped = false
  #silence: NodeJS.Timeout | undefined
  #retry: NodeJS.Timeout | undefined
  #probe: NodeJS.Timeout | undefined
  #probeDelay = FIRST_PROBE_DELAY
  readonly #unwatch: () => void
  readonly #waiters = new Set<Waiter>()

  /** @param next the sequence to begin with */
  constructor(link: NatsLink, jetstream: JetStream, next: number, options: ConsumerOptions) {
    this.#link = link
    this.#jetstream = jetstream
    this.next = next
    this.#options = options
    this.#unwatch = link.watch((isUp) => {
      if (isUp) this.#restart()
    })
  }

  /** Begins to follow. Rejects if the first consumer cannot be made; later attempts are made until `stop`. */
  async start(): Promise<void> {
    await this.#try(++this.#generation)
  }

  /** Resolves when every message up to a sequence has been delivered, or no longer exists. */
  reach(sequence: number): Promise<void> {
    if (this.next > sequence || this.#isStopped) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiters.add({ sequence, resolve })
      this.#probeLater()
    })
  }

  /**
   * Ends the consumer, and makes another one when some work is done or has failed. In `onMessage`, the message then
   * counts as not delivered.
   */
  restartAfter(work: Promise<unknown>): void {
    this.#end()
    const generation = ++this.#generation
    const again = (): void => {
      if (generation === this.#generation) this.#restart()
    }
    work.then(again, again)
  }

  stop(): void {
    this.#isStopped = true
    this.#unwatch()
    this.#end()
    clearTimeout(this.#retry)
    clearTimeout(this.#probe)
    for (const { resolve } of this.#waiters) resolve()
    this.#waiters.clear()
  }

  /** Asks later whether the awaited messages exist, unless a message arrives meanwhile. */
  #probeLater(): void {
    const before = this.#received
    this.#probe ??= setTimeout(() => {
      void this.#probeStream(before).finally(() => {
        this.#probe = undefined
        if (this.#waiters.size > 0 && !this.#isStopped) this.#probeLater()
      })
    }, this.#probeDelay)
  }

  /** @param before the number of messages when the wait began */
  async #probeStream(before: number): Promise<void> {
    if (this.#received !== before) {
      this.#probeDelay = FIRST_PROBE_DELAY
      return
    }
    this.#probeDelay = Math.min(2 * this.#probeDelay, MAX_PROBE_DELAY)
    if (this.#name === '' || !this.#link.isUp) return
    const generation = this.#generation
    const { next } = this
    const last = Math.max(...[...this.#waiters].map(({ sequence }) => sequence))
    const { stream } = this.#options
    try {
      if (!(await this.#hasMessage(next, last))) {
        if (this.next === next) this.#goTo(last + 1)
        return
      }
      await this.#jetstream.consumerInfo(stream, this.#name)
    } catch (err) {
      // any other error, such as a broken connection or a stream without a leader: the next probe asks again
      if (err instanceof JetStreamError && err.code === CONSUMER_NOT_FOUND && generation === this.#generation)
        this.#restart()
    }
  }

  /**
   * Whether the stream has messages from one sequence to another. Its leader is asked twice: a new leader may learn of
   * the newest messages a little late.
   */
  async #hasMessage(first: number, last: number): Promise<boolean> {
    const { stream, filter } = this.#options
    const isThere = async (): Promise<boolean> => {
      const found = await this.#jetstream.nextMessage(stream, first, filter)
      return found !== undefined && found.seq <= last
    }
    if (await isThere()) return true
    const { state } = await this.#jetstream.streamInfo(stream)
    return state.last_seq < last || (await isThere())
  }

  #goTo(next: number): void {
    this.next = Math.max(this.next, next)
    for (const waiter of this.#waiters) {
      if (waiter.sequence >= this.next) continue
      this.#waiters.delete(waiter)
      waiter.resolve()
    }
  }

  #restart(): void {
    if (this.#isStopped) return
    this.#end()
    const generation = ++this.#generation
    this.#try(generation).catch(() => undefined)
  }

  /** Makes a consumer. If that fails, tries again later, and rejects. */
  async #try(generation: number): Promise<void> {
    clearTimeout(this.#retry)
    try {
      await this.#begin(generation)
    } catch (err) {
      if (!this.#isStopped && generation === this.#generation)
        this.#retry = setTimeout(() => this.#restart(), RETRY).unref()
      throw err
    }
  }

  #end(): void {
    clearTimeout(this.#silence)
    this.#silence = undefined
    this.#subscription?.unsubscribe()
    this.#subscription = undefined
    if (this.#name !== '' && this.#link.isUp && !this.#link.connection.isClosed())
      this.#jetstream.deleteConsumer(this.#options.stream, this.#name)
    this.#name = ''
  }

  async #begin(generation: number): Promise<void> {
    const { stream, filter, headersOnly = false, onStart } = this.#options
    const inbox = createInbox()
    const name = `fanfare-${randomBytes(8).toString('hex')}`
    this.#received = 0
    if (onStart) this.next = onStart()
    this.#subscription = this.#link.connection.subscribe(inbox, {
      callback: (err, message) => {
        if (!err && generation === this.#generation) this.#receive(message)
      },
    })
    this.#name = name
    await this.#jetstream.createConsumer(stream, {
      name,
      deliver_subject: inbox,
      deliver_policy: 'by_start_sequence',
      opt_start_seq: this.next,
      filter_subject: filter,
      headers_only: headersOnly,
      ack_policy: 'none',
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
      flow_control: true,
      idle_heartbeat: HEARTBEAT * MILLISECOND,
      inactive_threshold: INACTIVE * MILLISECOND,
    })
    if (generation === this.#generation) this.#listen()
  }

  /** Waits for a sign of life. */
  #listen(): void {
    if (this.#silence) this.#silence.refresh()
    else if (!this.#isStopped) this.#silence = setTimeout(() => this.#restart(), SILENCE).unref()
  }

  #receive(message: Msg): void {
    this.#listen()
    const { reply } = message
    if (reply?.startsWith('$JS.ACK.')) {
      const delivery = deliveryOf(message, reply)
      if (delivery.number !== ++this.#received) {
        this.#restart()
        return
      }
      const generation = this.#generation
      this.#options.onMessage(delivery)
      if (generation === this.#generation) this.#goTo(delivery.sequence + 1)
      return
    }
    if (message.headers?.code !== 100) return
    if (reply) message.respond() // flow control
    const stalled = message.headers.get('Nats-Consumer-Stalled')
    if (stalled !== '') this.#link.connection.publish(stalled)
    const last = message.headers.get('Nats-Last-Consumer')
    if (last !== '' && Number(last) !== this.#received) this.#restart()
  }
}

/**
 * Reads the subject for acknowledgements:
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>`, in newer
 * servers with the domain and a hash of the account before the stream.
 */
function deliveryOf(message: Msg, reply: string): Delivery & { number: number } {
  const parts = reply.split('.')
  const first = parts.length === 9 ? 5 : 7
  return {
    message,
    sequence: Number(parts[first]),
    number: Number(parts[first + 1]),
    time: Number(parts[first + 2]!.slice(0, -6)),
    pending: Number(parts[first + 3]),
  }
}
