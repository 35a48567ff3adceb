/** Finds the name that was probably meant by one that is not known. */
import leven from 'leven'

/**
 * Returns the name of `known` that the fewest changes of characters lead to from `name`, whatever the case; `undefined`
 * when more than half of its characters would change.
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
