/** A finite topic as this process knows it: its record, and the state that its events make up, once they are read. */
import { monotonicNow } from '../../model/clock.js'
import type { StoredEvent } from '../../model/event.js'
import { EVENT_OVERHEAD } from './admission.js'
import { bytesOf, type Fold } from './fold.js'
import type { FiniteRecord } from './finite-record.js'
import type { FiniteTopic } from './finite-topic.js'

/** The approximate size of a topic without events in the log, in bytes. */
const RECORD_BYTES = 1_000

export class Entry {
  readonly topic: string
  record: FiniteRecord
  /** `undefined` until the events are read. */
  fold: Fold | undefined
  /** The read of the events that is running; `undefined`: none is. */
  loading: Promise<void> | undefined
  /** The events that were appended during the read. */
  pending: StoredEvent[] = []
  /** The approximate size of the topic in the log, in bytes. */
  bytes = RECORD_BYTES
  /** The last sign of life in this process, in milliseconds since the Unix epoch. The record may have an older one. */
  seen = 0
  /** When to check the lifetime of the topic next, in milliseconds since the Unix epoch. */
  lookAt = 0
  /** Whether the record is gone. */
  isGone = false
  /** Called at once after each change. */
  readonly listeners = new Set<() => void>()
  /** Called after changes: once for all changes within `coalesce`. */
  readonly #waiting = new Set<() => void>()
  #wakesAt = 0
  #timer: NodeJS.Timeout | undefined

  constructor(topic: string, record: FiniteRecord) {
    this.topic = topic
    this.record = record
  }

  /** Applies an event of the log. */
  apply(event: StoredEvent): void {
    this.bytes += bytesOf(event) + EVENT_OVERHEAD
    if (this.fold) {
      this.fold.apply(event)
      this.changed()
    } else if (this.loading) this.pending.push(event)
  }

  /** Whether the creation is not complete: its events are not stored yet. */
  get isPending(): boolean {
    return this.record.initial === true && this.fold?.newest === 0
  }

  /** Whether the log has no events of the topic, as far as this process knows. */
  get isEmpty(): boolean {
    return this.fold ? this.fold.newest === 0 : this.bytes <= RECORD_BYTES
  }

  /** The offset before the topic's own messages. */
  get start(): number {
    return this.record.fork?.offset ?? this.record.base
  }

  /** Describes the topic. Its events must have been read. */
  describe(): FiniteTopic {
    const { topic, record } = this
    const fold = this.fold!
    return {
      topic,
      contentType: record.contentType,
      ttl: record.ttl,
      expiresAt: record.expiresAt,
      coalesce: record.coalesce,
      fork: record.fork && { source: record.fork.source, offset: record.fork.offset },
      incarnation: record.incarnation,
      createdBy: record.createdBy,
      createdAt: record.createdAt,
      tail: fold.tail === 0 ? this.start : fold.tail,
      status: fold.status,
      size: fold.size,
      isDeleted: record.deleted === true,
    }
  }

  /** Calls the listeners at once, and resolves the promises of `next` at most once within `coalesce`. */
  changed(): void {
    for (const listener of [...this.listeners]) listener()
    const { coalesce = 0 } = this.record
    const isOver = this.isGone || this.record.deleted === true || this.fold?.status !== 'open'
    const now = coalesce > 0 ? monotonicNow() : 0
    if (isOver || now >= this.#wakesAt) this.#wake(now + coalesce)
    else this.#timer ??= setTimeout(() => this.#wake(monotonicNow() + coalesce), this.#wakesAt - now).unref()
  }

  /** Resolves after the next change, or when `signal` is aborted. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      if (signal.aborted) return resolve()
      this.#waiting.add(done)
      signal.addEventListener('abort', done)
    })
  }

  #wake(next: number): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#wakesAt = next
    for (const wake of [...this.#waiting]) wake()
  }
}
