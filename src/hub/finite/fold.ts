/** The state of a finite topic, from its events. Every process applies the same events, and has the same state. */
import type { ScannedEvent } from '../../model/event.js'
import { decodedLength } from '../../model/base64.js'
import { endOf, noteOf } from './finite-event.js'
import type { EndStatus, Message, Producer } from './finite-topic.js'

/** The newest append of a producer. */
export type ProducerState = Omit<Producer, 'id'>

export class Fold {
  /** The sequence of the newest event; 0: there is none. */
  newest = 0
  /** The sequence of the newest message; 0: there is none. */
  tail = 0
  /** The bytes of all messages. */
  size = 0
  status: 'open' | EndStatus = 'open'
  /** The producer whose append has ended the topic. */
  closedBy: Producer | undefined
  readonly producers = new Map<string, ProducerState>()
  order: string | undefined
  /** The lease of the writer, in milliseconds. */
  lease: number | undefined
  /** The time of the append that has set the lease, in milliseconds since the Unix epoch. */
  leasedAt = 0
  /** The time of the newest event, in milliseconds since the Unix epoch. */
  time = 0

  /** Applies the next event of the topic. An event that is applied already is skipped. */
  apply(event: ScannedEvent): void {
    if (event.sequence <= this.newest) return
    this.newest = event.sequence
    this.time = Math.max(this.time, event.time)
    const { producer, order, lease } = noteOf(event)
    if (producer) this.producers.set(producer.id, { epoch: producer.epoch, seq: producer.seq })
    if (order !== undefined) this.order = order
    if (lease !== undefined) {
      this.lease = lease
      this.leasedAt = event.time
    }
    const end = endOf(event)
    if (end === undefined) {
      this.tail = event.sequence
      this.size += bytesOf(event)
    } else {
      this.status = end
      this.closedBy = producer
      this.producers.clear() // nothing follows: a repetition of the last append is in `closedBy`
    }
  }
}

/** Returns the size of a message, in bytes. */
export function bytesOf({ kind, payload }: Pick<ScannedEvent, 'kind' | 'payload'> | Message): number {
  if (typeof payload !== 'string') return payload.length
  return kind === 'bytes' ? decodedLength(payload) : Buffer.byteLength(payload)
}
