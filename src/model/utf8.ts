/** The size of text in UTF-8. */

/** The maximum size of one UTF-16 code unit in UTF-8, in bytes. */
const MAX_BYTES = 3

/**
 * Whether strings and buffers have at most `bytes` bytes together. The lengths of the strings nearly always suffice;
 * only close cases count the bytes.
 */
export function fits(parts: readonly (string | Buffer)[], bytes: number): boolean {
  let most = 0
  for (const part of parts) most += typeof part === 'string' ? part.length * MAX_BYTES : part.length
  return most <= bytes || byteLength(parts) <= bytes
}

/** Returns the number of bytes of strings and buffers together. */
export function byteLength(parts: readonly (string | Buffer)[]): number {
  let length = 0
  for (const part of parts) length += Buffer.byteLength(part)
  return length
}
