/** Collects bytes that arrive in pieces. A list of one-byte pieces would take hundreds of times the memory. */

/** The minimum capacity of a buffer that pieces are copied into, in bytes. */
const MIN_CAPACITY = 1024
const EMPTY = Buffer.alloc(0)

/** Collects pieces in one buffer, which doubles when it is full. It takes at most twice the memory of its bytes. */
export class GrowingBuffer {
  #bytes: Buffer = EMPTY
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Adds a piece. The first piece is kept without a copy, since most bodies have only one. */
  append(piece: Buffer): void {
    const length = this.#length + piece.length
    if (this.#length === 0) this.#bytes = piece
    else if (length <= this.#bytes.length) piece.copy(this.#bytes, this.#length)
    else this.#grow(piece, length)
    this.#length = length
  }

  /** Returns all bytes and empties the buffer. The returned bytes do not change later. */
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
