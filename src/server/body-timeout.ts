/**
 * Limits the time in which a request arrives. Otherwise a client could occupy a connection forever by sending byte by
 * byte.
 */
import type { Readable } from 'node:stream'
import { Problem } from '../errors.js'
import { GrowingBuffer } from './growing-buffer.js'

/** The time limits of a request, in milliseconds. */
export interface RequestTimeouts {
  /** For the whole head of a request. */
  head: number
  /** For a whole body, or for each mebibyte of a large body. */
  body: number
}

export const REQUEST_TIMEOUTS: RequestTimeouts = { head: 15_000, body: 30_000 }

/** Minimum progress of a large body per period, in bytes: about 280 kbit/s. A body below it is refused with 408. */
const PART = 1024 * 1024

/**
 * Reads a body to its end.
 * @param limit the maximum size in bytes
 * @param timeout the period for `PART` bytes or for the rest of the body, in milliseconds
 * @param done called once: with the body, or with Problem `request-timeout`, `body-too-large` or `invalid-request`
 */
export function readBody(
  body: Readable & { complete?: boolean; aborted?: boolean },
  limit: number,
  timeout: number,
  done: (err: Error | null, bytes: Buffer) => void,
): void {
  const bytes = new GrowingBuffer()
  let lastSize = 0
  // most bodies arrive with the head, and need no timer
  const timer =
    body.complete === true
      ? undefined
      : setTimeout(() => {
          if (bytes.length - lastSize < PART)
            return finish(tooSlow(`The body did not arrive within ${inSeconds(timeout)}`))
          lastSize = bytes.length
          timer?.refresh()
        }, timeout).unref()

  const onData = (chunk: Buffer) => {
    if (bytes.length + chunk.length > limit) finish(tooLarge(limit))
    else bytes.append(chunk)
  }
  // On HTTP/2 Node ends the body of a request that the client has cancelled.
  const onEnd = () => finish(body.aborted === true ? cutOff() : null)
  const onError = () => finish(cutOff())
  body.on('data', onData).on('end', onEnd).on('error', onError)
  body.resume()

  function finish(err: Error | null): void {
    clearTimeout(timer)
    body.removeListener('data', onData).removeListener('end', onEnd).removeListener('error', onError)
    done(err, bytes.take())
  }
}

/** The interval of `check` in milliseconds. It is short, so that an upload ends soon after its token expires. */
const CHECK_INTERVAL = 250

/** The time limit for the parts of an upload. Only time spent waiting counts, not time spent storing. */
export class Waiting {
  readonly #timeout: number
  readonly #awaited: string
  readonly #check: () => unknown
  #left: number

  /**
   * @param timeout the maximum waiting time without `renew`, in milliseconds
   * @param awaited the awaited part, which begins the message
   * @param check called repeatedly while waiting; it throws to end the wait
   */
  constructor(timeout: number, awaited: string, check: () => unknown) {
    this.#timeout = this.#left = timeout
    this.#awaited = awaited
    this.#check = check
  }

  /** Restarts the time limit. */
  renew(): void {
    this.#left = this.#timeout
  }

  /**
   * Waits for a promise.
   * @throws Problem `request-timeout` after the time limit; errors of `check`
   */
  async for<T>(next: Promise<T>): Promise<T> {
    const began = performance.now()
    const left = () => this.#left - (performance.now() - began)
    let timer: NodeJS.Timeout | undefined
    const refused = new Promise<never>((_resolve, reject) => {
      const tick = () => {
        try {
          this.#requireTime(left())
        } catch (err) {
          reject(err instanceof Error ? err : new Error(String(err)))
          return
        }
        schedule()
      }
      const schedule = () => void (timer = setTimeout(tick, Math.max(0, Math.min(left(), CHECK_INTERVAL))).unref())
      schedule()
    })
    next.catch(() => undefined) // it may reject after the wait has ended
    try {
      return await Promise.race([next, refused])
    } finally {
      clearTimeout(timer)
      this.#left = left()
    }
  }

  #requireTime(left: number): void {
    this.#check()
    if (left <= 0) throw tooSlow(`${this.#awaited} did not arrive within ${inSeconds(this.#timeout)}`)
  }
}

/** Returns the refusal of an incomplete body. */
export function cutOff(): Problem {
  return new Problem('invalid-request', 'The request ended before its body was complete.')
}

/** Returns the refusal of a body that exceeds the limit of its route. */
export function tooLarge(limit: number): Problem {
  return new Problem(
    'body-too-large',
    `The body has more than ${limit} bytes, the limit of this route. FANFARE_MAX_EVENT_SIZE limits the size of an event.`,
  )
}

function tooSlow(what: string): Problem {
  return new Problem('request-timeout', `${what}.`)
}

function inSeconds(time: number): string {
  return `${time / 1_000} s`
}
