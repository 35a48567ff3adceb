/** Requests to NATS with a time limit, which wait for the connection and turn failures into refusals. */
import { setTimeout as delay } from 'node:timers/promises'
import { monotonicNow } from '../../model/clock.js'
import { HubError } from '../../model/hub-error.js'
import type { NatsLink } from '../../nats/nats-link.js'

/** The time between two attempts, in milliseconds. */
const RETRY = 100

/** The parts of the connection that calls need. */
type Link = Pick<NatsLink, 'isUp' | 'watch'>

export class Calls {
  readonly #link: Link
  readonly #timeout: number
  #isClosed = false

  /** @param timeout the time limit of each call, in milliseconds */
  constructor(link: Link, timeout: number) {
    this.#link = link
    this.#timeout = timeout
  }

  /**
   * Runs a request once the connection is up.
   * @throws HubError `log-unavailable` if it fails or does not end in time
   */
  ask<T>(request: () => Promise<T>): Promise<T> {
    if (this.#isClosed) return Promise.reject(unavailable('The log is closed.'))
    return within(monotonicNow() + this.#timeout, this.#link.isUp ? request() : this.#whenUp(request))
  }

  /**
   * As `ask`, but repeats the request until it succeeds or the time is over. A `HubError` of the request ends the
   * attempts.
   */
  askAgain<T>(request: () => Promise<T>): Promise<T> {
    const deadline = monotonicNow() + this.#timeout
    const attempt = async (): Promise<T> => {
      for (;;) {
        try {
          return await request()
        } catch (err) {
          if (err instanceof HubError || this.#isClosed || monotonicNow() + RETRY >= deadline) throw err
          await delay(RETRY)
        }
      }
    }
    return this.ask(attempt)
  }

  /** Refuses all later calls. */
  close(): void {
    this.#isClosed = true
  }

  #whenUp<T>(request: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const stop = this.#link.watch((isUp) => {
        if (!isUp) return
        stop()
        clearTimeout(timer)
        request().then(resolve, reject)
      })
      const timer = setTimeout(() => {
        stop()
        reject(new Error('there is no connection'))
      }, this.#timeout).unref()
    })
  }
}

/**
 * Waits for NATS, up to a time on the monotonic clock.
 * @throws HubError `log-unavailable`
 */
export async function within<T>(deadline: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('it has not answered in time')), Math.max(1, deadline - monotonicNow()))
  })
  try {
    return await Promise.race([work, late])
  } catch (err) {
    if (err instanceof HubError) throw err
    throw unavailable(`The log on NATS is not available: ${err instanceof Error ? err.message : String(err)}.`, err)
  } finally {
    clearTimeout(timer)
    work.catch(() => undefined) // prevents an unhandled rejection after the deadline
  }
}

export function unavailable(message: string, cause?: unknown): HubError {
  return new HubError('log-unavailable', message, { cause })
}
