const QUOTED_AT_MOST = 80

/** Prints an untrusted value for a message: as one line, shortened. An object is printed as its type only. */
export function quote(value: unknown): string {
  if (typeof value === 'string')
    return JSON.stringify(value.length > QUOTED_AT_MOST ? `${value.slice(0, QUOTED_AT_MOST)}…` : value)
  if (value === null) return 'null'
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : typeof value
}
