/** Bytes that arrive in pieces. A list of pieces would cost hundreds of times the bytes when each piece is one byte. */

/** The least capacity of a buffer that pieces are copied into, in bytes. */
const MIN_CAPACITY = 1024
const EMPTY = Buffer.alloc(0)

/**
 * Collects pieces in one buffer that doubles when it is full: it never holds more than twice the bytes it was given.
 */
export class GrowingBuffer {
  #bytes: Buffer = EMPTY
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Adds a piece. The first piece is kept as it is, without a copy; most bodies have no other. */
  append(piece: Buffer): void {
    const length = this.#length + piece.length
    if (this.#length === 0) this.#bytes = piece
    else if (length <= this.#bytes.length) piece.copy(this.#bytes, this.#length)
    else this.#grow(piece, length)
    this.#length = length
  }

  /** Returns all bytes and forgets them. The bytes are never written to again. */
  take(): Buffer {
    const bytes = this.#bytes.subarray(0, this.#length)
    this.#bytes = EMPTY
    this.#length = 0
    return bytes
  }

  #grow(piece: Buffer, length: number): void {
    const bytes = Buffer.allocUnsafe(Math.max(MIN_CAPACITY, 2 * this.#length, length))
    this.#bytes.copy(bytes, 0, 0, this.#length)
    piece.copy(bytes, this.#length)
    this.#bytes = bytes
  }
}
