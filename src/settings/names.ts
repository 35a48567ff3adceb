/** Names of settings in messages. */
import { nearest } from '../model/nearest.js'

/**
 * Ends a sentence about an unknown name with the nearest known one. The prefix that most names have makes no name near.
 */
export function suggestion(name: string, known: readonly string[]): string {
  const bare = (full: string): string => full.replace(/^FANFARE_/, '')
  const meant = nearest(bare(name), known.map(bare))
  return meant === undefined ? '.' : `; did you mean ${known.find((candidate) => bare(candidate) === meant)}?`
}

/** Whether the value of a variable is not to be repeated: it is a secret, or may hold one. */
export function isSecret(variable: string): boolean {
  return /SECRET|KEY$|URL$/.test(variable)
}
