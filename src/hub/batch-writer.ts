/** Writes blocks of an event stream, one after the other, into a buffer. */
import { byteLength, fits } from './utf8.js'

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
    if (!fits(parts, this.buffer.length - this.length)) {
      if (this.blocks > 0) return false
      this.buffer = Buffer.allocUnsafeSlow(byteLength(parts))
    }
    for (const part of parts) this.length += typeof part === 'string' ? this.buffer.write(part, this.length) : part.copy(this.buffer, this.length)
    this.blocks++
    return true
  }
}
