/** Writes blocks of an event stream into one buffer. */
import { Chunk, CHUNK_FRAME } from './chunk.js'
import { byteLength, fits } from '../model/utf8.js'

export class BatchWriter {
  /** The given buffer, or a larger one if the first block did not fit. */
  buffer: Buffer
  /** The number of bytes written. */
  length = 0
  /** The number of blocks written. */
  blocks = 0

  /** @param buffer `CHUNK_FRAME` of its bytes are reserved for the frame */
  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  /** Returns the written blocks as one chunk that shares the buffer. Do not call `write` afterwards. */
  chunk(): Chunk {
    return Chunk.within(this.buffer, this.length)
  }

  /**
   * Writes a block, which consists of parts. If the first block is larger than the buffer, it gets a new buffer.
   * @returns `false` if the block does not fit; nothing is written then
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
