/** Entries of the index, and events that the index lacks. */

/** An event that the index lacks. */
export interface Unindexed {
  sequence: number
  topic: string
  /** `Topic.recent` of its topic. */
  recent: number[]
  /** The value of its index entry. */
  entry: number
}

/**
 * Encodes the value of an index entry. The value holds the size of the event, and whether trimming has to read the
 * event for its publisher id.
 */
export function toIndexEntry(size: number, hasId: boolean): number {
  return 2 * size + (hasId ? 1 : 0)
}

/** Decodes the value of an index entry. */
export function fromIndexEntry(entry: number): { size: number; hasId: boolean } {
  return { size: Math.floor(entry / 2), hasId: entry % 2 === 1 }
}
