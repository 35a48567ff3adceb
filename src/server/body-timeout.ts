/**
 * How long a request may take to arrive: a client that sends it byte by byte would keep a connection for as long as it
 * likes.
 */
import type { Readable } from 'node:stream'
import { Problem } from '../errors.js'
import { GrowingBuffer } from './growing-buffer.js'

/** How long is waited for what a client sends, in milliseconds. */
export interface RequestTimeouts {
  /** For the whole head of a request. */
  head: number
  /** For a body, or for the next part of it. */
  body: number
}

export const REQUEST_TIMEOUTS: RequestTimeouts = { head: 15_000, body: 30_000 }

/** So many bytes of a large body have to come within the time, else it would have to arrive whole: about 280 kbit/s. */
const PART = 1024 * 1024

/**
 * Reads a body to its end, which has to come in time.
 * @param limit the most bytes that it may have
 * @param done is called once: with the body, or with Problem `request-timeout`, `body-too-large` or `invalid-request`
 */
export function readBody(
  body: Readable & { complete?: boolean },
  limit: number,
  timeout: number,
  done: (err: Error | null, bytes: Buffer) => void,
): void {
  const bytes = new GrowingBuffer()
  let seen = 0
  // most bodies are there with the head, and need no timer
  const timer =
    body.complete === true
      ? undefined
      : setTimeout(() => {
          if (bytes.length - seen < PART) return finish(tooSlow(`The body did not arrive within ${inSeconds(timeout)}`))
          seen = bytes.length
          timer?.refresh()
        }, timeout).unref()

  const onData = (chunk: Buffer) => {
    if (bytes.length + chunk.length > limit) finish(tooLarge(limit))
    else bytes.append(chunk)
  }
  const onEnd = () => finish(null)
  const onError = () => finish(new Problem('invalid-request', 'The request ended before its body was complete.'))
  body.on('data', onData).on('end', onEnd).on('error', onError)
  body.resume()

  function finish(err: Error | null): void {
    clearTimeout(timer)
    body.removeListener('data', onData).removeListener('end', onEnd).removeListener('error', onError)
    done(err, bytes.take())
  }
}

/**
 * How often `Waiting` checks whether it may still wait, in milliseconds: an upload ends within a second of its token's
 * end.
 */
const CHECK_INTERVAL = 250

/** Waits for the parts of a body that is read for as long as it lasts. Only time spent waiting counts. */
export class Waiting {
  readonly #timeout: number
  readonly #awaited: string
  readonly #check: () => unknown
  #left: number

  /**
   * @param timeout the longest time without `renew`, in milliseconds
   * @param awaited what has to come, for the message
   * @param check throws when there is no more waiting; called again and again while nothing comes
   */
  constructor(timeout: number, awaited: string, check: () => unknown) {
    this.#timeout = this.#left = timeout
    this.#awaited = awaited
    this.#check = check
  }

  /** Gives the next part the whole time again. */
  renew(): void {
    this.#left = this.#timeout
  }

  /** @throws Problem `request-timeout` when the time is over; what `check` throws */
  async for<T>(next: Promise<T>): Promise<T> {
    const began = performance.now()
    const left = () => this.#left - (performance.now() - began)
    let timer: NodeJS.Timeout | undefined
    const givenUp = new Promise<never>((_resolve, reject) => {
      const look = () => {
        try {
          this.#look(left())
        } catch (err) {
          reject(err instanceof Error ? err : new Error(String(err)))
          return
        }
        schedule()
      }
      const schedule = () => void (timer = setTimeout(look, Math.max(0, Math.min(left(), CHECK_INTERVAL))).unref())
      schedule()
    })
    next.catch(() => undefined) // nobody may be waiting any more when it fails
    try {
      return await Promise.race([next, givenUp])
    } finally {
      clearTimeout(timer)
      this.#left = left()
    }
  }

  #look(left: number): void {
    this.#check()
    if (left <= 0) throw tooSlow(`${this.#awaited} did not arrive within ${inSeconds(this.#timeout)}`)
  }
}

/** The refusal of a body that is larger than a route takes. */
export function tooLarge(limit: number): Problem {
  return new Problem(
    'body-too-large',
    `The body has more than the ${limit} bytes that this route takes; FANFARE_MAX_EVENT_SIZE says how large an event may be.`,
  )
}

function tooSlow(what: string): Problem {
  return new Problem('request-timeout', `${what}.`)
}

function inSeconds(time: number): string {
  return `${time / 1_000} s`
}
