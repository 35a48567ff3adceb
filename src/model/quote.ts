const QUOTED_AT_MOST = 80

/** Prints a value that somebody sent for a message: one line, shortened. What is no string is named by its kind. */
export function quote(value: unknown): string {
  if (typeof value === 'string')
    return JSON.stringify(value.length > QUOTED_AT_MOST ? `${value.slice(0, QUOTED_AT_MOST)}…` : value)
  if (value === null) return 'null'
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : typeof value
}
