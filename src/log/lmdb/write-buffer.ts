/**
 * A reused buffer. lmdb writes its bytes from `start` to `end`, two properties that lmdb's types lack. A new Buffer for
 * each value would dominate the cost of encoding it.
 */
export interface WriteBuffer extends Buffer {
  /** The start of the value: 0, since lmdb counts from the start of the underlying memory. */
  start: 0
  /** The end of the value. */
  end: number
}

export function allocateWriteBuffer(bytes: number): WriteBuffer {
  return Object.assign(Buffer.allocUnsafeSlow(bytes), { start: 0 as const, end: 0 })
}
