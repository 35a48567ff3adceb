/** Cursors: positions in the hub's log, `<epoch>-<sequence>`. They are ordered within one epoch only. */

/** The length of the epoch and the `-` after it. */
const PREFIX = 9

/**
 * Whether `cursor` is in the same log as `other`, and at the same position or behind it. A missing cursor reaches
 * nothing, and is not reached.
 */
export function reaches(cursor: string | undefined, other: string | null | undefined): boolean {
  return (
    cursor?.slice(0, PREFIX) === other?.slice(0, PREFIX) &&
    Number(cursor?.slice(PREFIX)) >= Number(other?.slice(PREFIX)) // two missing cursors are no numbers
  )
}

/** Returns `other`, unless it is missing or `cursor` reaches it. */
export function furthest(cursor: string | undefined, other: string | undefined): string | undefined {
  return other === undefined || reaches(cursor, other) ? cursor : other
}

/** Whether a text is a cursor. No time (RFC 3339) has this form. */
export function isCursor(text = ''): boolean {
  return /^[a-z0-9]{8}-\d+$/.test(text)
}
