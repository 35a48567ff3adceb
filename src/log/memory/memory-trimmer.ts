/** Trims a memory log: by events per topic, by age and by bytes. It also purges topics. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { StoredEvent } from '../../model/event.js'
import { IDS_PART, type Retention } from '../log.js'
import type { SteadyClock } from '../steady-clock.js'
import { MemoryTrims } from './memory-trims.js'
import type { PublisherIds } from './publisher-ids.js'
import type { RetainedEvents, TopicLog } from './retained-events.js'

/** The time between two trims by age and by the window of publisher ids, in milliseconds. */
const TRIM_INTERVAL = 1_000
/** The maximum number of events that a step trims, so that an append never waits long. */
const TRIM_STEP = 1_000
/** The part of the retained bytes that the marks of trimmed topics may take. */
const MARKS_PART = 1 / 4
/**
 * The first 512 KiB of ids, marks and topic names do not count. Without this allowance, a very small log would retain
 * no event.
 */
const UNCOUNTED = 512 * 1024

export class MemoryTrimmer {
  /** The trim marks of the topics. */
  readonly history: MemoryTrims
  readonly #retained: RetainedEvents
  readonly #ids: PublisherIds
  readonly #clock: SteadyClock
  readonly #retention: Retention
  /** The base for the shares of ids and marks: `retention.bytes`, at least `UNCOUNTED`. */
  readonly #room: number
  readonly #onStep: () => void
  readonly #timer: NodeJS.Timeout

  /** @param onStep called after each trim that is not caused by an append */
  constructor(
    retained: RetainedEvents,
    ids: PublisherIds,
    clock: SteadyClock,
    retention: Retention,
    onStep: () => void,
  ) {
    this.#retained = retained
    this.#ids = ids
    this.#clock = clock
    this.#retention = retention
    this.#onStep = onStep
    this.#room = Math.max(retention.bytes, UNCOUNTED)
    this.history = new MemoryTrims(retained, MARKS_PART * this.#room)
    this.#timer = setInterval(() => this.trim(), TRIM_INTERVAL).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Whether there is room for publisher ids. The ids of trimmed events cannot be trimmed. */
  get hasRoomForIds(): boolean {
    return this.#ids.orphanBytes <= IDS_PART * this.#room
  }

  /**
   * Trims a topic that has too many events: at most two, so that an append never waits long. A topic that was finite
   * may have many.
   */
  trimTopic(topic: TopicLog): void {
    const { length } = topic.events
    if (length <= this.#retention.events || this.#retained.finite.has(topic.name)) return
    this.#trimOne(topic)
    if (length > this.#retention.events + 1) this.#trimOne(topic)
  }

  /** Trims the oldest events until the log, with its data besides the events, takes no more than the maximum bytes. */
  trimBytes(): void {
    const retained = this.#retained
    while (retained.bytes + this.#beside > this.#retention.bytes) {
      const { oldest } = retained
      if (!oldest) return
      this.#trimOne(retained.get(oldest.topic)!)
    }
  }

  /**
   * Trims events that are too old, and publisher ids whose window is over. A timer also calls this.
   * @returns whether there is more to trim
   */
  trim(): boolean {
    const isMore = this.#trimOld()
    this.#onStep()
    if (isMore) setImmediate(() => this.trim())
    return isMore
  }

  #trimOld(): boolean {
    const retained = this.#retained
    let steps = 0
    for (let { oldest } = retained; oldest && this.#isTooOld(oldest); { oldest } = retained) {
      if (++steps > TRIM_STEP) return true
      this.#trimOne(retained.get(oldest.topic)!)
    }
    while (this.#ids.forgetOne(this.#clock.time)) if (++steps > TRIM_STEP) return true
    return false
  }

  /** As `EventLog.purge`. */
  async purge(name: string): Promise<number> {
    const until = this.#retained.head
    let purged = 0
    for (;;) {
      const count = this.#purgeStep(name, until)
      this.#onStep()
      purged += count
      if (count < TRIM_STEP) return purged
      await nextTurn()
    }
  }

  /**
   * Purges some events of a topic.
   * @returns the number of purged events; fewer than a step: none are left
   */
  #purgeStep(name: string, until: number): number {
    const topic = this.#retained.get(name)
    for (let count = 0; count < TRIM_STEP; count++) {
      const oldest = topic?.events.oldest
      if (!topic || !oldest || oldest.sequence > until) return count
      this.#trimOne(topic)
    }
    return TRIM_STEP
  }

  #trimOne(topic: TopicLog): void {
    const event = this.#retained.shift(topic)
    if (!event) return
    this.history.note(topic, event.sequence)
    if (event.id !== undefined) this.#orphan(event, event.id)
    if (topic.events.length > 0) return
    this.#retained.delete(topic)
    this.history.emptied(topic.name)
  }

  /** Keeps the publisher id of a trimmed event until its window is over. */
  #orphan({ topic, sequence, time }: StoredEvent, id: string): void {
    const until = this.#clock.timeOf(sequence, time) + this.#retention.dedupWindow
    this.#ids.orphan(topic, id, sequence, { until, now: this.#clock.time })
  }

  #isTooOld({ sequence, time }: StoredEvent): boolean {
    return this.#clock.timeOf(sequence, time) < this.#clock.time - this.#retention.age
  }

  /** The bytes of ids without events, of marks, and of the tree of topic names, beyond `UNCOUNTED`. */
  get #beside(): number {
    return Math.max(0, this.#ids.orphanBytes + this.history.marks.bytes + this.#retained.treeBytes - UNCOUNTED)
  }
}
