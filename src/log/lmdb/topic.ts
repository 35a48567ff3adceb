/** A topic that has events, in memory and as a row. */
import { crc32 } from 'node:zlib'

/**
 * A topic as it is stored: its id, how many events and bytes it has, its newest sequence, the newest that was trimmed,
 * and the checksum of its name.
 */
export type TopicRow = [id: number, events: number, bytes: number, newest: number, trimmed: number, sum: number]
/** The checksum of a name. */
export function sumOf(name: string): number {
  return crc32(name)
}

export class Topic {
  readonly name: string
  readonly id: number
  events = 0
  bytes = 0
  /** Its newest sequence. */
  newest = 0
  /** The newest sequence that has been trimmed; 0: none. */
  trimmed = 0
  /** What `State.trims` was when that was; 0: before this process. */
  trimmedAt = 0
  /** The sequences of its events that are not in the index yet, in order. Every copy of a topic has the same list. */
  readonly recent: number[]

  constructor(name: string, id: number, recent: number[] = []) {
    this.name = name
    this.id = id
    this.recent = recent
  }

  /** Each transaction changes copies. Spreading them took V8 four times as long. */
  copy(): Topic {
    const copy = new Topic(this.name, this.id, this.recent)
    copy.events = this.events
    copy.bytes = this.bytes
    copy.newest = this.newest
    copy.trimmed = this.trimmed
    copy.trimmedAt = this.trimmedAt
    return copy
  }
}
