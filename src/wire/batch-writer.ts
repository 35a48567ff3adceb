/** Writes blocks of an event stream, one after the other, into a buffer. */
import { Chunk, CHUNK_FRAME } from './chunk.js'
import { byteLength, fits } from '../model/utf8.js'

export class BatchWriter {
  /** The buffer that it was given, or one of its own where a block did not fit in that. */
  buffer: Buffer
  /** How many bytes have been written. */
  length = 0
  /** How many blocks that are. */
  blocks = 0

  /** @param buffer has room for `CHUNK_FRAME` bytes less than it has */
  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  /** Returns what has been written as one chunk, in the buffer. Nothing can be written any more. */
  chunk(): Chunk {
    return Chunk.within(this.buffer, this.length)
  }

  /**
   * Writes a block, which is made of parts. One that is larger than the buffer gets one of its own, if it is the first.
   * @returns `false`: there is no room for it
   */
  write(...parts: (string | Buffer)[]): boolean {
    if (!fits(parts, this.buffer.length - CHUNK_FRAME - this.length)) {
      if (this.blocks > 0) return false
      this.buffer = Buffer.allocUnsafeSlow(byteLength(parts) + CHUNK_FRAME)
    }
    for (const part of parts) {
      const end = Chunk.START + this.length
      this.length += typeof part === 'string' ? this.buffer.write(part, end) : part.copy(this.buffer, end)
    }
    this.blocks++
    return true
  }
}
