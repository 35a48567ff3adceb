/** What the index says of an event, and events that are not in the index yet. */

/** An event that is not in the index yet. */
export interface Unindexed {
  sequence: number
  topic: string
  /** `Topic.recent` of its topic. */
  recent: number[]
  /** The value of its index entry. */
  entry: number
}

/**
 * The value of an index entry: from it trimming knows an event's size, and whether it has to be read for its
 * publisher's id.
 */
export function toIndexEntry(size: number, hasId: boolean): number {
  return 2 * size + (hasId ? 1 : 0)
}

/** What an index entry says of its event. */
export function fromIndexEntry(entry: number): { size: number; hasId: boolean } {
  return { size: Math.floor(entry / 2), hasId: entry % 2 === 1 }
}
