/**
 * The events of the stream, without their payloads: the topic, type, time and size of each. A process builds this index
 * from the messages of the stream, in their order. The index trims as the log promises: each topic to its newest
 * events, and the whole log to its newest bytes. The stream keeps some more, so that JetStream does not trim a message
 * before every process has got it.
 */
import type { StoredEvent } from '../../model/event.js'
import type { Retention, Trim } from '../log.js'
import type { FiniteNames } from '../finite-names.js'
import type { KeptEvent } from '../memory/kept-event.js'
import { EventQueue } from '../memory/event-queue.js'
import { MemoryTrims } from '../memory/memory-trims.js'
import { RetainedEvents, type TopicLog } from '../memory/retained-events.js'
import { TimeIndex } from '../time-index.js'

/** The members of an event that the index keeps. */
export type EventEntry = Pick<KeptEvent, 'sequence' | 'time' | 'topic' | 'type' | 'size'>

/** An event of the index. The other members are in the stream, and take no memory here. */
class IndexedEvent implements KeptEvent {
  readonly sequence: number
  readonly time: number
  readonly topic: string
  readonly type: string | undefined
  readonly size: number

  /** @param topic the name of the topic: one string that all its events share, which saves memory */
  constructor({ sequence, time, type, size }: EventEntry, topic: string) {
    this.sequence = sequence
    this.time = time
    this.topic = topic
    this.type = type
    this.size = size
  }

  get id(): undefined {
    return undefined
  }

  get kind(): 'text' {
    return 'text'
  }

  get payload(): string {
    return ''
  }
}

/** The maximum bytes of the trim marks. */
const MARKS_BYTES = 64 * 1024 * 1024

export class EventIndex {
  readonly retained: RetainedEvents
  readonly history: MemoryTrims
  readonly times: TimeIndex
  /** Every event up to this sequence is in the index, or has been trimmed. */
  head: number
  readonly #limits: Pick<Retention, 'events' | 'bytes'>

  /**
   * @param trimmed the newest sequence that has been trimmed from the beginning of the stream; 0: none
   * @param finite the topics whose events are not trimmed
   */
  constructor(limits: Pick<Retention, 'events' | 'bytes'>, trimmed: number, finite?: FiniteNames) {
    this.retained = new RetainedEvents(() => 0, finite)
    this.history = new MemoryTrims(this.retained, MARKS_BYTES)
    this.#limits = limits
    this.head = trimmed
    this.history.forgotten = { trimmed, trimmedAt: 0 }
    this.history.newestTrimmed = trimmed
    this.times = new TimeIndex(() => this.retained.order.oldest?.sequence ?? this.head + 1, trimmed)
  }

  /** Adds an event with a greater sequence than all others, and trims what exceeds the limits. */
  add(entry: EventEntry): void {
    const { sequence, time } = entry
    const topic = this.#topic(entry.topic)
    this.retained.push(topic, new IndexedEvent(entry, topic.name))
    this.head = sequence
    this.times.note(sequence, time)
    this.#trimExcess(topic)
    while (this.retained.bytes > this.#limits.bytes) {
      const { oldest } = this.retained
      if (!oldest) return
      this.#trimOne(this.retained.get(oldest.topic)!)
    }
  }

  /** Whether an event is retained. */
  has({ topic, sequence }: Pick<StoredEvent, 'topic' | 'sequence'>): boolean {
    const oldest = this.retained.get(topic)?.events.oldest
    return oldest !== undefined && oldest.sequence <= sequence
  }

  /**
   * Trims events of any topic before a sequence.
   * @param steps the maximum number of events
   * @returns whether there are more
   */
  trimBefore(sequence: number, steps: number): boolean {
    const { order } = this.retained
    for (let step = 0; step < steps; step++) {
      const { oldest } = order
      if (!oldest || oldest.sequence >= sequence) return false
      this.#trimOne(this.retained.get(oldest.topic)!)
    }
    return true
  }

  /**
   * Trims the events of a topic up to a sequence.
   * @param steps the maximum number of events
   * @returns the number of trimmed events; fewer than `steps`: none is left
   */
  trimTopic(name: string, until: number, steps: number): number {
    const topic = this.retained.get(name)
    for (let count = 0; count < steps; count++) {
      const oldest = topic?.events.oldest
      if (!topic || !oldest || oldest.sequence > until) return count
      this.#trimOne(topic)
    }
    return steps
  }

  /** Records that a topic has, or may have, lost events up to a sequence that are not in the index. */
  lost(name: string, until: number): void {
    const { history, retained } = this
    const before = history.trimmedOf(name)
    if (before.trimmed >= until) return
    const topic = retained.get(name)
    history.note(topic ?? { name, events: new EventQueue(), bytes: 0, ...before }, until)
    if (!topic) history.emptied(name)
  }

  /** Records that any topic may have lost events up to a sequence that are not in the index. */
  suspect(until: number): void {
    const { history, retained } = this
    const names = new Set(retained.names())
    for (let mark = history.marks.latest; mark; mark = mark.older) names.add(mark.topic)
    history.suspect(until)
    for (const name of names) this.lost(name, until)
  }

  /** Returns the trims since the last call. */
  takeTrims(): readonly Trim[] {
    return this.history.take()
  }

  /** Trims a topic that has too many events: at most two at a time. A topic that was finite may have many. */
  #trimExcess(topic: TopicLog): void {
    const excess = topic.events.length - this.#limits.events
    if (excess <= 0 || this.retained.finite.has(topic.name)) return
    this.#trimOne(topic)
    if (excess > 1) this.#trimOne(topic)
  }

  /** Returns a topic with events, or adds it before its first event. */
  #topic(name: string): TopicLog {
    const topic = this.retained.get(name)
    if (topic) return topic
    this.history.filled(name)
    return this.retained.add(name, this.history.trimmedOf(name))
  }

  #trimOne(topic: TopicLog): void {
    const event = this.retained.shift(topic)
    if (!event) return
    this.history.note(topic, event.sequence)
    if (topic.events.length > 0) return
    this.retained.delete(topic)
    this.history.emptied(topic.name)
  }
}
