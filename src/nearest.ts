/** Finds the name that was probably meant by one that is not known. */
import leven from 'leven'

/** Returns the name of `known`, which has one at least, that the fewest changes of characters lead to from `name`, whatever the case. */
export function nearest(name: string, known: readonly string[]): string {
  const distance = (candidate: string) => leven(name.toUpperCase(), candidate.toUpperCase())
  return known.reduce((best, candidate) => (distance(candidate) < distance(best) ? candidate : best))
}
