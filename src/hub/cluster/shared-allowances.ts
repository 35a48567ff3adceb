/**
 * Limits the rate of each publisher over all processes with the generic cell rate algorithm (ITU-T I.371): allowance
 * returns continuously, and a refused request uses none. Each process tells the others which publishers use much, so it
 * learns of their requests up to 100 ms late.
 */
import { LRUCache } from 'lru-cache'
import type { ClusterMessage } from '../../cluster/cluster.js'
import { monotonicNow } from '../../model/clock.js'
import { arrayOf, isNumber, isString, shapeOf, tupleOf } from '../../model/shape.js'
import type { Messenger } from './messenger.js'

/** How long a publisher's whole allowance takes to return, in milliseconds. */
const PERIOD = 1_000
/** The interval of messages to the other processes while requests come, in milliseconds. */
const INTERVAL = 100
/** How many publishers are remembered. Beyond that, the publisher with the oldest request is forgotten. */
const KNOWN = 20_000

interface UsedMessage extends ClusterMessage {
  kind: 'allowances-used'
  /** The number of requests of each publisher. */
  used: [publisher: string, requests: number][]
}

const isBody = shapeOf({ used: arrayOf(tupleOf<[string, number]>(isString, isNumber)) })

/** The answer to a request. */
export interface Allowance {
  isAllowed: boolean
  /** The requests within the last period, including this one if it is allowed. */
  used: number
  /** Until the next request is allowed, or the whole allowance has returned; in milliseconds. */
  wait: number
}

export class SharedAllowances {
  readonly #messenger: Messenger
  readonly #rate: number
  /** When the used allowance of each publisher has returned, on the monotonic clock. */
  readonly #usedUntil = new LRUCache<string, number>({ max: KNOWN })
  /** The requests in this process that the others have not been told of. */
  #untold = new Map<string, number>()
  #toldAt = -Infinity

  /** @param rate the number of requests that each publisher may send in a second */
  constructor(messenger: Messenger, rate: number) {
    this.#messenger = messenger
    this.#rate = rate
    messenger.onBroadcast<UsedMessage>('allowances-used', isBody, ({ used }) => {
      const now = monotonicNow()
      for (const [publisher, requests] of used) this.#usedUntil.set(publisher, this.#after(publisher, requests, now))
    })
  }

  /** Takes the allowance of one request, if the publisher has any left. */
  take(publisher: string): Allowance {
    const now = monotonicNow()
    const usedUntil = this.#after(publisher, 1, now)
    const isAllowed = usedUntil <= now + PERIOD + 1e-6
    if (isAllowed) {
      this.#usedUntil.set(publisher, usedUntil)
      this.#tell(publisher, now)
    }
    return {
      isAllowed,
      used: Math.ceil((usedUntil - now) * (this.#rate / PERIOD) - 1e-6),
      wait: usedUntil - now - (isAllowed ? 0 : PERIOD),
    }
  }

  /** Returns when the allowance of a publisher will have returned after further requests. */
  #after(publisher: string, requests: number, now: number): number {
    return Math.max(now, this.#usedUntil.get(publisher) ?? 0) + (requests * PERIOD) / this.#rate
  }

  /**
   * Tells the other processes of a request at the end of the interval. It leaves out publishers that use less than half
   * of an equal share: all processes together do not let such a publisher exceed its rate.
   */
  #tell(publisher: string, now: number): void {
    const nodes = this.#messenger.nodes().length
    if (nodes <= 1) return
    this.#untold.set(publisher, (this.#untold.get(publisher) ?? 0) + 1)
    if (now - this.#toldAt < INTERVAL) return
    const little = (this.#rate * Math.min(now - this.#toldAt, PERIOD)) / PERIOD / nodes / 2
    const used = [...this.#untold].filter(([, requests]) => requests > little)
    this.#untold = new Map()
    this.#toldAt = now
    if (used.length > 0) this.#messenger.broadcast({ kind: 'allowances-used', used } satisfies UsedMessage)
  }
}
