/** A request that waits for messages. It counts as a stream, is in the list of streams, and ends with its token. */
import type { FastifyRequest } from 'fastify'
import type { Connections, LiveRead } from '../../hub/connections.js'
import type { StreamState } from '../../hub/stream.js'
import { wallNow } from '../../model/clock.js'
import { Selection } from '../../model/selection.js'
import { requirePrincipal } from '../../plugins/auth.js'
import type { CloseReason } from '../../wire/sse.js'
import { countElsewhere, requireFreeStream } from '../subscribe/connection-limits.js'
import type { StreamsContext } from './context.js'

export class WaitingRead implements LiveRead {
  readonly info: LiveRead['info']
  readonly selection: Selection
  readonly since = wallNow()
  sentEvents = 0
  sentBytes = 0
  /** The offset of the subscriber. */
  after: number
  /** Whether the read has everything, and waits elsewhere than in `wait`. */
  isWaiting = false
  /** Whether the socket is full. */
  isFull = false
  /** Why the hub has ended the read. */
  reason: CloseReason | undefined
  readonly #connections: Connections
  readonly #ending = new AbortController()
  /** Ends the wait that is under way. */
  #wake: (() => void) | undefined

  constructor(connections: Connections, info: LiveRead['info'], topic: string, after: number) {
    this.#connections = connections
    this.info = info
    this.selection = new Selection([topic])
    this.after = after
    connections.addRead(this)
  }

  /** Aborted when the hub ends the read, or the client has gone. */
  get ended(): AbortSignal {
    return this.#ending.signal
  }

  get isEnded(): boolean {
    return this.#ending.signal.aborted
  }

  get state(): StreamState {
    if (this.isEnded) return 'closed'
    if (this.isFull) return 'waiting'
    return this.isWaiting || this.#wake ? 'live' : 'catching-up'
  }

  /** As `Connection.lag`. A read that waits has everything. */
  lag(head: number): number {
    return this.isWaiting || this.#wake ? 0 : Math.max(0, head - this.after)
  }

  /** Counts what the subscriber has been sent. */
  sent(events: number, bytes: number): void {
    this.sentEvents += events
    this.sentBytes += bytes
  }

  end(reason: CloseReason): void {
    this.reason ??= reason
    this.close()
  }

  /**
   * Ends the read without a reason of the hub.
   * @param how the read has ended, unless the hub has ended it
   */
  close(how: 'ended' | 'lifetime' | 'gone' | 'answered' = 'gone'): void {
    this.#connections.deleteRead(this, this.reason ?? how)
    this.#ending.abort()
    this.#wake?.()
  }

  /**
   * Resolves when a wait is over, the read has ended or the time is over.
   * @param join begins the wait, which calls `wake` in a later turn, and returns a function that leaves it
   * @param time in milliseconds
   */
  wait(join: (wake: () => void) => () => void, time: number): Promise<void> {
    if (this.isEnded) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        leave()
        this.#wake = undefined
        resolve()
      }
      const timer = setTimeout(wake, time).unref()
      const leave = join(wake)
      this.#wake = wake
    })
  }
}

/**
 * Opens a live read within the limits of open streams.
 * @param after the offset of the subscriber
 * @throws Problem `draining`, `too-many-connections`
 */
export async function openRead(
  { hub, settings }: StreamsContext,
  request: FastifyRequest,
  topic: string,
  after: number,
): Promise<WaitingRead> {
  const address = request.ip
  const elsewhere = await countElsewhere(hub, settings, { address, principal: requirePrincipal(request) })
  const identity = { id: hub.drawConnectionId(), address, principal: requirePrincipal(request) }
  requireFreeStream(hub, settings, identity, elsewhere)
  return new WaitingRead(hub.connections, identity, topic, after)
}
