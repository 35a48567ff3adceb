/** Writes blocks of an event stream, one after the other, into a buffer. */

/** The most bytes that one UTF-16 code unit takes in UTF-8. */
const MAX_UTF8_BYTES = 3

export class BatchWriter {
  /** The buffer that it was given, or one of its own where a block did not fit in that. */
  buffer: Buffer
  /** How many bytes have been written. */
  length = 0
  /** How many blocks that are. */
  blocks = 0

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  get bytes(): Buffer {
    return this.buffer.subarray(0, this.length)
  }

  /**
   * Writes a block, which is made of parts. One that is larger than the buffer gets one of its own, if it is the first.
   * @returns `false`: there is no room for it
   */
  write(...parts: (string | Buffer)[]): boolean {
    if (!this.#hasRoomFor(parts)) {
      if (this.blocks > 0) return false
      this.buffer = Buffer.allocUnsafeSlow(sum(parts, byteLength))
    }
    for (const part of parts) this.length += typeof part === 'string' ? this.buffer.write(part, this.length) : part.copy(this.buffer, this.length)
    this.blocks++
    return true
  }

  /** Whether strings have room is known from their lengths nearly always, without looking through them. */
  #hasRoomFor(parts: readonly (string | Buffer)[]): boolean {
    const room = this.buffer.length - this.length
    return sum(parts, (part) => (typeof part === 'string' ? part.length * MAX_UTF8_BYTES : part.length)) <= room || sum(parts, byteLength) <= room
  }
}

function byteLength(part: string | Buffer): number {
  return Buffer.byteLength(part)
}

function sum(parts: readonly (string | Buffer)[], lengthOf: (part: string | Buffer) => number): number {
  let length = 0
  for (const part of parts) length += lengthOf(part)
  return length
}
