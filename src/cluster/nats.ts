/**
 * The processes that share a log on NATS. Each node sends a sign of life at intervals, and has a subject for requests.
 * A message carries the id of the node that sent it.
 */
import { randomBytes } from 'node:crypto'
import { createInbox, headers, type MsgHdrs } from '@nats-io/transport-node'
import { monotonicNow } from '../model/clock.js'
import { NatsLink } from '../nats/nats-link.js'
import type { NatsOptions } from '../nats/nats-options.js'
import { ClusterError, type Answer, type Cluster, type ClusterMessage, type ClusterReceiver } from './cluster.js'
import { labelOf, PartJoiner, splitPayload } from './message-parts.js'

/** The time between two signs of life of a node, in milliseconds. */
const SIGN_INTERVAL = 2_000
/**
 * A node without a sign of life for this time, in milliseconds, has gone. With the default grace, its subjects leave
 * within 15 s.
 */
const GONE_AFTER = 7_000
/** How long a new node waits for the signs of life of the others, in milliseconds. */
const GREETING = 200

const SENDER = 'Fanfare-Node'
const REFUSED = 'Fanfare-Refused'
const PART = 'Fanfare-Part'
/** The answer of a receiver that returns nothing. */
const NOTHING = ''

/** A received message. */
interface Received {
  subject: string
  reply: string | undefined
  headers: MsgHdrs | undefined
  data: Uint8Array
}

/** A request to another node that has not been answered. */
interface Pending {
  node: string
  resolve: (value: unknown) => void
  reject: (err: ClusterError) => void
}

/** @param from the node that has sent the message */
type Handle = (message: Received, from: string) => void

export class NatsCluster implements Cluster {
  readonly node = randomBytes(8).toString('hex')
  readonly #link: NatsLink
  readonly #timeout: number
  /** The subjects of signs of life, departures, broadcasts and requests. */
  readonly #subjects: { here: string; who: string; gone: string; all: string; to: (node: string) => string }
  readonly #inbox = createInbox()
  /** The other nodes, with the time of their latest sign of life on the monotonic clock. */
  readonly #others = new Map<string, number>()
  readonly #pending = new Map<string, Pending>()
  readonly #parts = new PartJoiner()
  #requests = 0
  /** The number of sent messages. */
  #sent = 0
  #receive!: (receiver: ClusterReceiver) => void
  readonly #receiving = new Promise<ClusterReceiver>((resolve) => (this.#receive = resolve))
  #receiver: ClusterReceiver | undefined
  #isClosed = false
  #timer: NodeJS.Timeout | undefined

  /**
   * Joins the nodes with the same prefix.
   * @throws NatsError if NATS cannot be used
   */
  static async open(options: NatsOptions): Promise<NatsCluster> {
    const cluster = new NatsCluster(await NatsLink.open(options, 'fanfare cluster'), options)
    await cluster.#join()
    return cluster
  }

  private constructor(link: NatsLink, { prefix, timeout }: NatsOptions) {
    this.#link = link
    this.#timeout = timeout
    const subject = `${prefix}.c`
    this.#subjects = {
      here: `${subject}.here`,
      who: `${subject}.who`,
      gone: `${subject}.gone`,
      all: `${subject}.all`,
      to: (node) => `${subject}.to.${node}`,
    }
    this.#listenToOthers(this.#subjects.here, (_message, from) => this.#seen(from))
    this.#listenToOthers(this.#subjects.who, (_message, from) => this.#greet(from))
    this.#listenToOthers(this.#subjects.gone, (_message, from) => this.#lost(from))
    this.#listenToOthers(this.#subjects.all, (message, from) => this.#receiveBroadcast(message, from))
    this.#listen(this.#subjects.to(this.node), (message, from) => void this.#answer(message, from))
    this.#listen(`${this.#inbox}.*`, (message, from) => this.#answered(message, from))
    link.watch((isUp) => {
      if (!isUp) return
      for (const other of this.#others.keys()) this.#seen(other) // their signs of life were lost meanwhile
      this.#say(this.#subjects.who)
    })
  }

  /** Handles each message to a subject. A message in parts is handled once it is complete. */
  #listen(subject: string, handle: Handle): void {
    this.#link.connection.subscribe(subject, {
      callback: (err, { subject, reply, headers, data }) => {
        const from = err ? '' : (headers?.get(SENDER) ?? '')
        if (from === '' || this.#isClosed) return
        const part = headers?.get(PART) ?? ''
        const whole = part === '' ? data : this.#parts.join(from, part, data)
        if (whole) handle({ subject, reply, headers, data: whole }, from)
      },
    })
  }

  /** Handles each message of other nodes to a subject. */
  #listenToOthers(subject: string, handle: Handle): void {
    this.#listen(subject, (message, from) => {
      if (from !== this.node) handle(message, from)
    })
  }

  nodes(): readonly string[] {
    return [this.node, ...this.#others.keys()].sort()
  }

  receive(receiver: ClusterReceiver): void {
    this.#receiver = receiver
    this.#receive(receiver)
  }

  broadcast(message: ClusterMessage): void {
    if (this.#isClosed || !this.#link.isUp) return
    this.#say(this.#subjects.all, JSON.stringify(message))
  }

  async request(node: string, message: ClusterMessage): Promise<unknown> {
    this.#requireOpen()
    if (node !== this.node && !this.#others.has(node)) throw gone(node)
    return this.#request(node, JSON.stringify(message))
  }

  async survey(message: ClusterMessage): Promise<Answer[]> {
    this.#requireOpen()
    const payload = JSON.stringify(message)
    const others = [...this.#others.keys()].sort()
    const answers = await Promise.allSettled(others.map((node) => this.#request(node, payload)))
    this.#requireOpen()
    return answers.flatMap((answer, index) =>
      answer.status === 'fulfilled' ? [{ node: others[index]!, value: answer.value }] : [],
    )
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#timer)
    for (const { reject } of this.#pending.values()) reject(closed())
    this.#pending.clear()
    if (this.#link.isUp) {
      this.#say(this.#subjects.gone)
      await Promise.race([this.#link.connection.flush().catch(() => undefined), later(this.#timeout)])
    }
    await this.#link.close()
  }

  /** Announces this node, and asks the others for a sign of life, which they send at once. */
  async #join(): Promise<void> {
    this.#say(this.#subjects.who)
    this.#timer = setInterval(() => this.#tick(), SIGN_INTERVAL).unref()
    // if the connection breaks meanwhile, the node announces itself again once there is another
    await Promise.race([this.#link.connection.flush().catch(() => undefined), later(this.#timeout)])
    await later(GREETING)
  }

  #tick(): void {
    if (!this.#link.isUp) return
    this.#say(this.#subjects.here)
    const before = monotonicNow() - GONE_AFTER
    for (const [node, seen] of this.#others) if (seen < before) this.#lost(node)
  }

  #seen(node: string): void {
    this.#others.set(node, monotonicNow())
  }

  #greet(node: string): void {
    this.#seen(node)
    this.#say(this.#subjects.here)
  }

  #lost(node: string): void {
    this.#others.delete(node)
    this.#parts.forget(node)
    for (const [token, pending] of this.#pending) {
      if (pending.node !== node) continue
      this.#pending.delete(token)
      pending.reject(gone(node))
    }
  }

  #receiveBroadcast(message: Received, from: string): void {
    this.#seen(from)
    this.#receiver?.broadcast(parse(message), from)
  }

  #request(node: string, payload: string): Promise<unknown> {
    const token = String(++this.#requests)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#pending.get(token)?.reject(gone(node)), this.#timeout)
      const settle = (finish: () => void): void => {
        clearTimeout(timer)
        this.#pending.delete(token)
        finish()
      }
      this.#pending.set(token, {
        node,
        resolve: (value) => settle(() => resolve(value)),
        reject: (err) => settle(() => reject(err)),
      })
      try {
        this.#say(this.#subjects.to(node), payload, `${this.#inbox}.${token}`)
      } catch (err) {
        this.#pending.get(token)!.reject(new ClusterError('refused', messageOf(err)))
      }
    })
  }

  async #answer(message: Received, from: string): Promise<void> {
    const { reply } = message
    if (reply === undefined || reply === '') return
    const receiver = await this.#receiving
    let payload = NOTHING
    let refusal: string | undefined
    try {
      const answer = await receiver.request(parse(message), from)
      if (answer !== undefined) payload = JSON.stringify(answer)
    } catch (err) {
      refusal = messageOf(err)
    }
    if (!this.#isClosed) this.#say(reply, payload, undefined, refusal)
  }

  #answered(message: Received, from: string): void {
    const pending = this.#pending.get(message.subject.slice(this.#inbox.length + 1))
    if (pending?.node !== from) return
    const { headers, data } = message
    if (headers?.has(REFUSED)) pending.reject(new ClusterError('refused', decodeURIComponent(headers.get(REFUSED))))
    else pending.resolve(data.length === 0 ? undefined : parse(message))
  }

  /** Sends a message, in parts if it is larger than the server allows. */
  #say(subject: string, payload = '', reply?: string, refusal?: string): void {
    const { connection } = this.#link
    const parts = splitPayload(payload, connection.info?.max_payload ?? Infinity)
    const number = ++this.#sent
    for (const [n, part] of parts.entries()) {
      const fields: MsgHdrs = headers()
      fields.set(SENDER, this.node)
      if (refusal !== undefined) fields.set(REFUSED, encodeURIComponent(refusal.toWellFormed()))
      if (parts.length > 1) fields.set(PART, labelOf(number, n + 1, parts.length))
      connection.publish(subject, part, { headers: fields, ...(reply !== undefined && { reply }) })
    }
  }

  #requireOpen(): void {
    if (this.#isClosed) throw closed()
  }
}

/** Parses a message of another process. Returns `undefined`, which every shape check refuses, if it is not JSON. */
function parse({ data }: Received): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString())
  } catch {
    return undefined
  }
}

function gone(node: string): ClusterError {
  return new ClusterError('node-gone', `The node ${node} has gone or does not answer.`)
}

function closed(): ClusterError {
  return new ClusterError('closed', 'The node has left the cluster.')
}

function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}

function later(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
