/**
 * A body in pieces as large as possible: what has come since the last piece, in one buffer. Node runs microtasks
 * between the chunks of a body, so an iterator of its streams does all its work for each chunk, and a client can send
 * chunks of one byte.
 */
import type { Readable } from 'node:stream'
import { Problem } from '../errors.js'
import { GrowingBuffer } from './growing-buffer.js'

/** The body is paused while so many bytes wait. */
const ENOUGH = 64 * 1024

export class BodyPieces {
  readonly #body: Readable
  readonly #waiting = new GrowingBuffer()
  #state: 'open' | 'ended' | 'cut off' = 'open'
  #wake: (() => void) | undefined
  #isWaking = false

  constructor(body: Readable) {
    this.#body = body
    body.on('data', this.#onData).once('end', this.#onEnd).once('error', this.#onCutOff).once('close', this.#onCutOff)
  }

  /**
   * Resolves with the next piece, or with `undefined` at the end. To be called again only when it has resolved.
   * @throws Problem `invalid-request` when the body is cut off, once what came before has been taken
   */
  async next(): Promise<Buffer | undefined> {
    if (this.#waiting.length === 0 && this.#state === 'open') {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        this.#body.resume()
      })
      this.#wake = undefined
    }
    if (this.#waiting.length > 0) return this.#waiting.take()
    if (this.#state === 'cut off')
      throw new Problem('invalid-request', 'The request ended before its body was complete.')
    return undefined
  }

  /** Leaves the rest of the body to others. */
  stop(): void {
    this.#body
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('error', this.#onCutOff)
      .off('close', this.#onCutOff)
    this.#body.on('error', () => undefined) // nobody reads it any more
    this.#body.pause()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#waiting.append(chunk)
    if (this.#waiting.length >= ENOUGH) this.#body.pause()
    if (!this.#wake || this.#isWaking) return
    this.#isWaking = true
    setImmediate(() => {
      // other chunks of the same packet come first
      this.#isWaking = false
      this.#wake?.()
    })
  }

  readonly #onEnd = (): void => {
    this.#state = 'ended'
    this.#wake?.()
  }

  readonly #onCutOff = (): void => {
    if (this.#state === 'open') this.#state = 'cut off'
    this.#wake?.()
  }
}
