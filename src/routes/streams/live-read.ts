/** A request that waits for messages. It counts as a stream, and ends with its token and with the hub. */
import type { FastifyRequest } from 'fastify'
import type { Connections, LiveRead } from '../../hub/connections.js'
import { requirePrincipal } from '../../plugins/auth.js'
import type { CloseReason } from '../../wire/sse.js'
import { countElsewhere, requireFreeStream } from '../subscribe/connection-limits.js'
import type { StreamsContext } from './context.js'

export class WaitingRead implements LiveRead {
  readonly info: LiveRead['info']
  /** Why the hub has ended the read. */
  reason: CloseReason | undefined
  readonly #connections: Connections
  readonly #ending = new AbortController()

  constructor(connections: Connections, info: LiveRead['info']) {
    this.#connections = connections
    this.info = info
    connections.addRead(this)
  }

  /** Aborted when the hub ends the read, or the client has gone. */
  get ended(): AbortSignal {
    return this.#ending.signal
  }

  get isEnded(): boolean {
    return this.#ending.signal.aborted
  }

  end(reason: CloseReason): void {
    this.reason ??= reason
    this.close()
  }

  /** Ends the read without a reason. */
  close(): void {
    this.#connections.deleteRead(this)
    this.#ending.abort()
  }

  /**
   * Runs a wait until it resolves, the read has ended or the time is over.
   * @param time in milliseconds
   */
  async wait(run: (signal: AbortSignal) => Promise<void>, time: number): Promise<void> {
    if (this.isEnded) return
    const waiting = new AbortController()
    const stop = () => waiting.abort()
    const timer = setTimeout(stop, time).unref()
    this.#ending.signal.addEventListener('abort', stop, { once: true })
    try {
      await run(waiting.signal)
    } finally {
      clearTimeout(timer)
      this.#ending.signal.removeEventListener('abort', stop)
    }
  }
}

/**
 * Opens a live read within the limits of open streams.
 * @throws Problem `draining`, `too-many-connections`
 */
export async function openRead({ hub, settings }: StreamsContext, request: FastifyRequest): Promise<WaitingRead> {
  const address = request.ip
  const elsewhere = await countElsewhere(hub, settings, { address, principal: requirePrincipal(request) })
  const identity = { address, principal: requirePrincipal(request) }
  requireFreeStream(hub, settings, identity, elsewhere)
  return new WaitingRead(hub.connections, identity)
}
