/** A topic with events, in memory and as a row. */
import { crc32 } from 'node:zlib'

/** The stored row of a topic. `sum` is the checksum of its name. */
export type TopicRow = [id: number, events: number, bytes: number, newest: number, trimmed: number, sum: number]

/** Returns the checksum of the name of a topic. */
export function sumOf(name: string): number {
  return crc32(name)
}

export class Topic {
  readonly name: string
  readonly id: number
  events = 0
  bytes = 0
  /** The newest sequence of the topic. */
  newest = 0
  /** The newest trimmed sequence; 0: none. */
  trimmed = 0
  /** The value of `State.mark` at the last trim; 0 if that was before the log was opened. */
  trimmedAt = 0
  /** The sequences of events that the index lacks, in order. All copies of a topic share this list. */
  readonly recent: number[]

  constructor(name: string, id: number, recent: number[] = []) {
    this.name = name
    this.id = id
    this.recent = recent
  }

  /** Returns a copy for a transaction to change. A spread would take four times as long. */
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
