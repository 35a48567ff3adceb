/** Many subscribers on raw sockets. All read into one buffer, so that a read allocates nothing. */
import type { Socket } from 'node:net'
import { createToken } from '../token.js'
import { now } from './clock.js'
import { MAX_KEPT, Scanner } from './scanner.js'
import { openSocket } from './socket.js'
import { topicName } from './topic.js'

export interface SubscribePlan {
  /** The ports of the servers, which the subscribers use in turn. */
  ports: readonly number[]
  /** Whether the servers speak TLS. */
  isTls: boolean
  /**
   * The address that the subscribers connect from, with the ports from `FIRST_PORT`; default: chosen by the kernel. If
   * it chose only the ports, it would search them ever longer.
   */
  localAddress?: string
  /** The name of these subscribers in later commands. */
  group: string
  count: number
  /** The number of topics. Each subscriber reads one topic, and the subscribers use the topics in turn. */
  topics: number
  /** The maximum number of streams that are being opened at a time. */
  atOnce: number
  lastEventId?: string
  /** The time limit for opening all streams, in milliseconds. */
  timeout: number
}

export interface Connected {
  /** The time from the first connect to the first block of the last stream, in seconds. */
  seconds: number
  /** The time of the first connect, in microseconds. */
  startedAt: number
}

/** The received events since the connect, or since the last `clear`. */
export interface Received {
  delivered: number
  disordered: number
  misplaced: number
  /** The number of ended streams. */
  closed: number
  /** The time of the newest event, in microseconds. */
  lastAt: number
  /** From the publisher's write to the subscriber's read, in milliseconds. */
  latency: { p50: number; p99: number; max: number }
}

const READ_BYTES = 256 * 1024
/**
 * The buffer that every subscriber of this process reads into. The kept bytes of a stream are copied before the read
 * bytes.
 */
const memory = Buffer.alloc(MAX_KEPT + READ_BYTES)
const readBuffer = memory.subarray(MAX_KEPT)

/** The first port of subscribers with a local address. */
const FIRST_PORT = 10_000
/** How long a subscriber waits before it connects again to a busy hub, in milliseconds. */
const BUSY_PAUSE = 100

export class Subscribers {
  readonly #plan: SubscribePlan
  readonly #requests: string[]
  readonly #scanner: Scanner
  readonly #sockets: Socket[] = []
  /** The last received bytes of each stream, if the event in them may be incomplete. */
  readonly #kept: (Buffer | undefined)[] = []
  /** The beginning of each stream; `undefined` once its first block has arrived. */
  readonly #beginning: (string | undefined)[] = []
  /** The number of subscribers that have begun to connect. */
  #opened = 0
  /** The port of the next subscriber with a local address. */
  #nextPort = FIRST_PORT
  #begun = 0
  #closed = 0
  #settle: { done: () => void; fail: (err: Error) => void } | undefined

  constructor(plan: SubscribePlan) {
    this.#plan = plan
    this.#scanner = new Scanner(plan.count)
    this.#requests = Array.from({ length: plan.count }, (_, index) => requestOf(plan, index))
  }

  /** @throws Error if a stream is refused, or if not all streams have their first block in time */
  async connect(): Promise<Connected> {
    const startedAt = now()
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => this.#settle?.fail(new Error(`only ${this.#begun} of ${this.#plan.count} streams have begun`)),
        this.#plan.timeout,
      )
      this.#settle = {
        done: () => (clearTimeout(timer), resolve()),
        fail: (err) => (clearTimeout(timer), reject(err)),
      }
      const first = Math.min(this.#plan.atOnce, this.#plan.count)
      while (this.#opened < first) this.#open(this.#opened++)
    })
    return { seconds: (now() - startedAt) / 1e6, startedAt }
  }

  /** Stops reading. */
  pause(): void {
    for (const socket of this.#sockets) socket.pause()
  }

  /** Reads again. */
  resume(): void {
    for (const socket of this.#sockets) socket.resume()
  }

  clear(): void {
    this.#scanner.clear()
  }

  /** Resolves when `expected` events have arrived, or none for `quiet` milliseconds. */
  async receive(expected: number, quiet: number): Promise<Received> {
    let seen = this.#scanner.delivered
    for (let since = now(); seen < expected && now() - since < quiet * 1e3;) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      if (this.#scanner.delivered === seen) continue
      seen = this.#scanner.delivered
      since = now()
    }
    const { delivered, disordered, misplaced, lastAt, latency } = this.#scanner
    return {
      delivered,
      disordered,
      misplaced,
      lastAt,
      closed: this.#closed,
      latency: { p50: latency.quantile(0.5) / 1e3, p99: latency.quantile(0.99) / 1e3, max: latency.max / 1e3 },
    }
  }

  #open(index: number): void {
    const onread = {
      buffer: readBuffer,
      callback: (length: number) => {
        this.#read(index, length)
        return true
      },
    }
    const { ports, isTls, localAddress } = this.#plan
    const socket = openSocket({
      port: ports[index % ports.length]!,
      isTls,
      ...(localAddress !== undefined && { localAddress, localPort: this.#nextPort++ }),
      onread,
    })
    this.#sockets[index] = socket
    this.#beginning[index] = ''
    socket.on('error', (err) => this.#settle?.fail(err))
    socket.on('close', () => {
      this.#closed++
      this.#settle?.fail(new Error(`stream ${index} was closed: ${this.#beginning[index] ?? ''}`))
    })
    socket.write(this.#requests[index]!)
  }

  #read(index: number, length: number): void {
    const at = now()
    if (this.#beginning[index] !== undefined) {
      this.#begin(index, readBuffer.toString('latin1', 0, length), at)
      return
    }
    const kept = this.#kept[index]
    let from = MAX_KEPT
    if (kept) {
      from -= kept.length
      memory.set(kept, from)
    }
    this.#scan(index, memory, from, MAX_KEPT + length, at)
  }

  #scan(index: number, bytes: Buffer, from: number, to: number, at: number): void {
    const keep = this.#scanner.scan(index, bytes, from, to, at)
    this.#kept[index] = keep < to ? Buffer.from(bytes.subarray(keep, to)) : undefined
  }

  /** Reads the head of the response and the first block. */
  #begin(index: number, text: string, at: number): void {
    const beginning = this.#beginning[index]! + text
    this.#beginning[index] = beginning
    const head = beginning.indexOf('\r\n\r\n')
    const block = head === -1 ? -1 : beginning.indexOf('\n\n', head + 4)
    if (block === -1) return
    if (beginning.includes('{"reason":"busy"', head)) {
      // a worker may be full while others have room, and the next connection goes to another one
      this.#sockets[index]!.removeAllListeners('close').destroy()
      setTimeout(() => this.#open(index), BUSY_PAUSE)
      return
    }
    if (!beginning.startsWith('HTTP/1.1 200 ') || beginning.includes('event: fanfare.close', head)) {
      this.#settle?.fail(new Error(`stream ${index} was refused: ${beginning.slice(0, 1_000)}`))
      return
    }
    this.#beginning[index] = undefined
    const rest = Buffer.from(beginning.slice(block + 2), 'latin1')
    if (rest.length > 0) this.#scan(index, rest, 0, rest.length, at)
    this.#begun++
    if (this.#begun === this.#plan.count) {
      this.#settle?.done()
      this.#settle = undefined
    } else if (this.#opened < this.#plan.count) this.#open(this.#opened++)
  }
}

/** Returns a subscriber's request. Each subscriber has its own token, as different users have. */
function requestOf({ group, topics, lastEventId }: SubscribePlan, index: number): string {
  return [
    `GET /topics/${topicName(index % topics)}/events HTTP/1.1`,
    'host: localhost',
    'accept: text/event-stream',
    `authorization: Bearer ${createToken(`${group}-${index}`)}`,
    ...(lastEventId === undefined ? [] : [`last-event-id: ${lastEventId}`]),
    '\r\n',
  ].join('\r\n')
}
