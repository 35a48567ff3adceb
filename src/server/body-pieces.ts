/**
 * Reads a body in pieces that are as large as possible: a piece has all bytes that arrived since the last piece. An
 * iterator over Node's stream would do its work for each chunk, and a client can send chunks of one byte.
 */
import type { Readable } from 'node:stream'
import { cutOff } from './body-timeout.js'
import { GrowingBuffer } from './growing-buffer.js'

/** The number of waiting bytes at which the body is paused. */
const ENOUGH = 64 * 1024

export class BodyPieces {
  readonly #body: Readable & { aborted?: boolean }
  readonly #waiting = new GrowingBuffer()
  #state: 'open' | 'ended' | 'cut off' = 'open'
  #wake: (() => void) | undefined
  #isWaking = false

  constructor(body: Readable) {
    this.#body = body
    body.on('data', this.#onData).once('end', this.#onEnd).once('error', this.#onCutOff).once('close', this.#onCutOff)
  }

  /**
   * Resolves with the next piece, or with `undefined` at the end. Do not call it again before it has resolved.
   * @throws Problem `invalid-request` after the last piece of an incomplete body
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
    if (this.#state === 'cut off') throw cutOff()
    return undefined
  }

  /** Stops reading. The rest of the body stays unread. */
  stop(): void {
    this.#body
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('error', this.#onCutOff)
      .off('close', this.#onCutOff)
    this.#body.on('error', () => undefined) // an error without a listener would end the process
    this.#body.pause()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#waiting.append(chunk)
    if (this.#waiting.length >= ENOUGH) this.#body.pause()
    if (!this.#wake || this.#isWaking) return
    this.#isWaking = true
    setImmediate(() => {
      // wait for the other chunks of the same packet
      this.#isWaking = false
      this.#wake?.()
    })
  }

  readonly #onEnd = (): void => {
    // On HTTP/2 Node ends the body of a request that the client has cancelled.
    this.#state = this.#body.aborted === true ? 'cut off' : 'ended'
    this.#wake?.()
  }

  readonly #onCutOff = (): void => {
    if (this.#state === 'open') this.#state = 'cut off'
    this.#wake?.()
  }
}
