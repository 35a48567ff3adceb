/** How much room text takes in UTF-8. */

/** The most bytes that one UTF-16 code unit takes. */
const MAX_BYTES = 3

/**
 * Whether parts of text, or of bytes, have no more than so many bytes: known from their lengths nearly always, without
 * looking through them.
 */
export function fits(parts: readonly (string | Buffer)[], bytes: number): boolean {
  let most = 0
  for (const part of parts) most += typeof part === 'string' ? part.length * MAX_BYTES : part.length
  return most <= bytes || byteLength(parts) <= bytes
}

/** How many bytes parts of text, or of bytes, have together. */
export function byteLength(parts: readonly (string | Buffer)[]): number {
  let length = 0
  for (const part of parts) length += Buffer.byteLength(part)
  return length
}
