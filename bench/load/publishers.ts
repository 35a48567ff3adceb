/**
 * Publishes events on keep-alive connections. Each publisher encodes its request once, and then changes only digits.
 */
import type { Socket } from 'node:net'
import { createToken } from '../token.js'
import { now } from './clock.js'
import { blankPayload, structuredPayload, writeDigits, writeMark } from './mark.js'
import { postRequest } from './request.js'
import { Responses } from './responses.js'
import { openSocket } from './socket.js'
import { TOPIC_DIGITS, topicName } from './topic.js'

export interface PublisherPlan {
  /** The ports of the servers, which the publishers use in turn. */
  ports: readonly number[]
  /** Whether the servers speak TLS; default: no. */
  isTls?: boolean
  publishers: number
  /** The number of topics, which a publisher uses in turn. */
  topics: number
  /** The size of an event's data, in bytes. */
  payload: number
  /** How many tokens a publisher uses in turn; default: 1, so that the server has verified its token before. */
  tokens?: number
  /** The key of the tokens, as for `createToken`. */
  privateKey?: string
  /** Whether the data is an object with many members instead of one string. */
  structured?: boolean
}

export interface PublishPlan {
  /** The number of events of all publishers together. */
  events: number
  /**
   * Events per second of all publishers together; `undefined`: each publishes its next event once its last is answered.
   */
  rate?: number
}

export interface Published {
  /** The number of accepted events. */
  published: number
  startedAt: number
  /** From the first write to the last answer. */
  seconds: number
}

export class Publishers {
  readonly #connections: Connection[]

  constructor(plan: PublisherPlan) {
    this.#connections = Array.from({ length: plan.publishers }, (_, index) => new Connection(plan, index))
  }

  async connect(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.connect()))
  }

  /** @throws Error if an event is refused or a connection ends */
  async publish({ events, rate }: PublishPlan): Promise<Published> {
    const startedAt = now()
    const before = this.#answered()
    await (rate === undefined ? this.#closedLoop(events) : this.#paced(events, rate, startedAt))
    return { published: this.#answered() - before, startedAt, seconds: (now() - startedAt) / 1e6 }
  }

  close(): void {
    for (const connection of this.#connections) connection.close()
  }

  async #closedLoop(events: number): Promise<void> {
    const share = Math.floor(events / this.#connections.length)
    const rest = events % this.#connections.length
    await Promise.all(
      this.#connections.map((connection, index) => connection.publishSequentially(share + (index < rest ? 1 : 0))),
    )
  }

  /** Publishes at a fixed rate, without waiting for answers. */
  async #paced(events: number, rate: number, startedAt: number): Promise<void> {
    for (let sent = 0; sent < events; sent++) {
      const wait = startedAt + (sent * 1e6) / rate - now()
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait / 1e3))
      this.#connections[sent % this.#connections.length]!.publish()
    }
    await Promise.all(this.#connections.map((connection) => connection.answered()))
  }

  #answered(): number {
    return this.#connections.reduce((sum, { count }) => sum + count, 0)
  }
}

class Connection {
  readonly #plan: PublisherPlan
  readonly #index: number
  readonly #request: Buffer
  readonly #topicAt: number
  readonly #markAt: number
  readonly #tokenAt: number
  readonly #tokens: readonly Buffer[]
  readonly #responses = new Responses()
  /** The number of events published to each topic. */
  readonly #numbers: Uint32Array
  /** The topic of the next event. */
  #topic: number
  #socket: Socket | undefined
  #sent = 0
  /** The number of events left to publish, each after the answer to the one before. */
  #unsent = 0
  #waiting: { resolve: () => void; reject: (err: Error) => void } | undefined

  constructor(plan: PublisherPlan, index: number) {
    this.#plan = plan
    this.#index = index
    this.#topic = index % plan.topics
    this.#numbers = new Uint32Array(plan.topics)
    const { payload, tokens = 1, privateKey, structured = false } = plan
    this.#tokens = Array.from({ length: tokens }, (_, number) =>
      Buffer.from(createToken(`publisher-${index}-${String(number).padStart(6, '0')}`, privateKey)),
    )
    this.#request = postRequest(`/topics/${topicName(0)}/events`, this.#tokens[0]!.toString(), {
      data: structured ? structuredPayload(payload) : blankPayload(payload),
    })
    this.#tokenAt = this.#request.indexOf(this.#tokens[0]!)
    this.#topicAt = this.#request.indexOf('/events') - TOPIC_DIGITS
    this.#markAt = this.#request.indexOf('~', this.#request.indexOf('\r\n\r\n'))
  }

  /** The number of received responses. */
  get count(): number {
    return this.#responses.count
  }

  async connect(): Promise<void> {
    const buffer = Buffer.alloc(16 * 1024)
    const onread = { buffer, callback: (length: number) => this.#read(buffer, length) }
    await new Promise<void>((resolve, reject) => {
      const { ports, isTls = false } = this.#plan
      const port = ports[this.#index % ports.length]!
      this.#socket = openSocket({ port, isTls, onread }, resolve)
      this.#socket.on('error', (err) => (reject(err), this.#fail(err)))
      this.#socket.on('close', () => this.#fail(new Error('the connection of a publisher was closed')))
    })
  }

  /** Publishes a number of events, each after the answer to the one before. */
  publishSequentially(events: number): Promise<void> {
    if (events === 0) return Promise.resolve()
    this.#unsent = events - 1
    this.#send(this.#request) // changed in place: no request is in flight when the next one is written
    return this.answered()
  }

  /** Publishes one event, even while others are in flight. */
  publish(): void {
    this.#send(Buffer.from(this.#request))
  }

  /** Resolves when all events have been sent and answered. */
  answered(): Promise<void> {
    if (this.#responses.failure !== undefined)
      return Promise.reject(new Error(`an event was refused: ${this.#responses.failure}`))
    if (this.#isIdle()) return Promise.resolve()
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }))
  }

  close(): void {
    this.#socket?.removeAllListeners('close').destroy()
  }

  #send(request: Buffer): void {
    const { topics, publishers } = this.#plan
    writeDigits(request, this.#topicAt, TOPIC_DIGITS, this.#topic)
    writeMark(request, this.#markAt, this.#index, this.#numbers[this.#topic]!++, now())
    if (this.#tokens.length > 1) this.#tokens[this.#sent % this.#tokens.length]!.copy(request, this.#tokenAt)
    this.#topic = (this.#topic + publishers) % topics
    this.#sent++
    this.#socket!.write(request)
  }

  #read(bytes: Buffer, length: number): boolean {
    this.#responses.read(bytes, length)
    if (this.#responses.failure !== undefined) this.#fail(new Error(`an event was refused: ${this.#responses.failure}`))
    else if (this.#unsent > 0) {
      this.#unsent--
      this.#send(this.#request)
    } else if (this.#isIdle()) {
      this.#waiting?.resolve()
      this.#waiting = undefined
    }
    return true
  }

  #isIdle(): boolean {
    return this.#unsent === 0 && this.#responses.count === this.#sent
  }

  #fail(err: Error): void {
    this.#waiting?.reject(err)
    this.#waiting = undefined
  }
}
