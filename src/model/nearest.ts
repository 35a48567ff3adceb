/** Finds the known name that is closest to an unknown one. */
import leven from 'leven'

/**
 * Returns the name in `known` with the smallest edit distance to `name`, ignoring case; `undefined` if more than half
 * of its characters differ.
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let fewest = Infinity
  for (const candidate of known) {
    const changes = leven(name.toUpperCase(), candidate.toUpperCase())
    if (changes >= fewest || 2 * changes > Math.max(name.length, candidate.length)) continue
    best = candidate
    fewest = changes
  }
  return best
}
