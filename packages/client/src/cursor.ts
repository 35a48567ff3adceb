/** Cursors: positions in the hub's log, `<epoch>-<sequence>`. They are ordered within one epoch only. */

/** The length of the epoch and the `-` after it. */
const PREFIX = 9

/** Whether `cursor` is in the same log as `other`, and at the same position or behind it. */
export function reaches(cursor: string | undefined, other: string | undefined): boolean {
  return (
    cursor !== undefined &&
    other !== undefined &&
    cursor.slice(0, PREFIX) === other.slice(0, PREFIX) &&
    Number(cursor.slice(PREFIX)) >= Number(other.slice(PREFIX))
  )
}

/** Whether a text is a cursor. No time (RFC 3339) has this form. */
export function isCursor(text: string): boolean {
  return /^[a-z0-9]{8}-\d+$/.test(text)
}
