/**
 * Passes a large answer to an HTTP/2 stream in pieces. Node reports the progress of a write only when the peer has
 * taken all of it.
 */
import { Readable } from 'node:stream'

/** The size of a piece in bytes: the maximum of an HTTP/2 frame, unless the peer allows more. */
const PIECE = 16 * 1024

export class AnswerPieces extends Readable {
  readonly #bytes: Buffer
  #passed = 0

  constructor(bytes: Buffer) {
    super({ highWaterMark: PIECE })
    this.#bytes = bytes
  }

  /** Whether an answer is worth the pieces. */
  static suits(payload: unknown): payload is string | Buffer {
    return (typeof payload === 'string' || Buffer.isBuffer(payload)) && payload.length > PIECE
  }

  /** The number of bytes that are not passed to the stream yet. */
  get left(): number {
    return this.#bytes.length - this.#passed + this.readableLength
  }

  override _read(): void {
    const piece = this.#bytes.subarray(this.#passed, this.#passed + PIECE)
    this.#passed += piece.length
    this.push(piece.length > 0 ? piece : null)
  }
}
