/** Names of settings in messages. */
import { nearest } from '../model/nearest.js'

/**
 * Returns the end of a sentence about an unknown name: the closest known name, if there is one. The common prefix
 * `FANFARE_` does not count.
 */
export function suggestion(name: string, known: readonly string[]): string {
  const bare = (full: string): string => full.replace(/^FANFARE_/, '')
  const meant = nearest(bare(name), known.map(bare))
  return meant === undefined ? '.' : `; did you mean ${known.find((candidate) => bare(candidate) === meant)}?`
}

/** Whether the value of a variable may hold a secret. Messages do not repeat such a value. */
export function isSecret(variable: string, value: unknown): boolean {
  return /SECRET|PASSWORD|KEY$|URL$/.test(variable) || (typeof value === 'string' && /:\/\/[^/]*@/.test(value))
}
