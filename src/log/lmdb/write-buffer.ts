/**
 * A buffer of which lmdb writes the beginning. Its writes take a part of a buffer by two properties that its types
 * leave out; a Buffer for each value would be most of what it costs to encode one.
 */
export interface WriteBuffer extends Buffer {
  /** Where the value begins: at 0, since lmdb counts from the start of the memory behind the buffer. */
  start: 0
  /** Where the value ends. */
  end: number
}

export function allocateWriteBuffer(bytes: number): WriteBuffer {
  return Object.assign(Buffer.allocUnsafeSlow(bytes), { start: 0 as const, end: 0 })
}
