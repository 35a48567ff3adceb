/**
 * Presence: the subjects with a stream of a topic. Joins and leaves are per subject, not per stream. A stream of a
 * pattern makes no subject present.
 */
import { monotonicNow, wallNow } from '../model/clock.js'
import type { PresenceType } from '../model/presence-type.js'
import type { Principal } from '../model/principal.js'
import type { Selection } from '../model/selection.js'
import { isAnything, isNumber, isString, isTime, shapeOf } from '../model/shape.js'
import { isReserved } from '../model/topic.js'

/** The presence of a subject on a topic. */
export interface Present {
  subject: string
  /** The number of streams of the topic that the subject has; 0: the last one has just ended, and the grace runs. */
  connections: number
  /** When the subject joined, on the wall clock. */
  since: number
  /** The claim `info` of the subject's token. */
  info: unknown
}

/** Whether a value of another process is the presence of a subject. */
export const isPresent = shapeOf<Present>({
  subject: isString,
  connections: isNumber,
  since: isTime,
  info: isAnything,
})

/** The data of a join or a leave. */
export interface PresenceChange {
  topic: string
  subject: string
  info: unknown
  /** The number of subjects that are present after the change. */
  subjects: number
}

export class Presence {
  readonly #grace: number
  readonly #announce: (type: PresenceType, change: PresenceChange) => void
  readonly #topics = new Map<string, Map<string, Present>>()
  /**
   * Subjects without a stream, in the order in which they leave: all have the same grace. `until` is on the monotonic
   * clock.
   */
  readonly #leaving = new Map<Present, { topic: string; until: number }>()

  /** @param grace how long a subject stays present after its last stream has ended, in milliseconds */
  constructor(grace: number, announce: (type: PresenceType, change: PresenceChange) => void) {
    this.#grace = grace
    this.#announce = announce
  }

  /** Returns the subjects that are present on a topic, in the order in which they joined. */
  on(topic: string): Present[] {
    return [...(this.#topics.get(topic)?.values() ?? [])]
  }

  /** Whether a subject is present on a topic. */
  has(topic: string, subject: string): boolean {
    return this.#topics.get(topic)?.has(subject) === true
  }

  /** Returns the number of subjects that are present on a topic. */
  count(topic: string): number {
    return this.#topics.get(topic)?.size ?? 0
  }

  /** Returns all subjects with their topics. */
  *all(): Generator<{ topic: string } & Present, undefined> {
    for (const [topic, subjects] of this.#topics) for (const present of subjects.values()) yield { topic, ...present }
  }

  /**
   * Reports that a stream has opened, ended, or changed its topics.
   * @param before the earlier selection; `undefined`: the stream has opened
   * @param after the new selection; `undefined`: the stream has ended
   */
  moved(principal: Principal, before: Selection | undefined, after: Selection | undefined): void {
    const { subject, info } = principal
    if (subject === undefined) return
    for (const topic of after?.topics ?? [])
      if (!before?.topics.includes(topic) && !isReserved(topic)) this.#enter(topic, subject, info)
    for (const topic of before?.topics ?? []) if (!after?.topics.includes(topic)) this.#leave(topic, subject)
  }

  /** Takes the `info` of a stream's new token. */
  renewed({ subject, info }: Principal, { topics }: Selection): void {
    if (subject === undefined) return
    for (const topic of topics) {
      const present = this.#topics.get(topic)?.get(subject)
      if (present) present.info = info
    }
  }

  /**
   * Announces the leaves of subjects whose grace is over. Call it a few times a second.
   * @param now on the monotonic clock
   */
  tick(now: number): void {
    for (const [present, { topic, until }] of this.#leaving) {
      if (until > now) return
      this.#leaving.delete(present)
      this.#remove(topic, present)
    }
  }

  #enter(topic: string, subject: string, info: unknown): void {
    let subjects = this.#topics.get(topic)
    if (!subjects) this.#topics.set(topic, (subjects = new Map<string, Present>()))
    const present = subjects.get(subject)
    if (present) {
      present.connections++
      present.info = info
      this.#leaving.delete(present)
      return
    }
    subjects.set(subject, { subject, connections: 1, since: wallNow(), info })
    this.#announce('fanfare.join', { topic, subject, info: info ?? null, subjects: subjects.size })
  }

  #leave(topic: string, subject: string): void {
    const present = this.#topics.get(topic)?.get(subject)
    if (!present || --present.connections > 0) return
    if (this.#grace === 0) this.#remove(topic, present)
    else this.#leaving.set(present, { topic, until: monotonicNow() + this.#grace })
  }

  #remove(topic: string, { subject, info }: Present): void {
    const subjects = this.#topics.get(topic)
    if (!subjects?.delete(subject)) return
    if (subjects.size === 0) this.#topics.delete(topic)
    this.#announce('fanfare.leave', { topic, subject, info: info ?? null, subjects: subjects.size })
  }
}

/**
 * Merges the presence of one topic in several processes. The streams of a subject are added up. The earliest join
 * counts as `since`. `info` comes from the latest join: that token is most likely the newest.
 * @returns the subjects in the order in which they joined
 */
export function mergePresent(lists: readonly (readonly Present[])[]): Present[] {
  const merged = new Map<string, Present>()
  for (const present of lists.flat().sort((a, b) => a.since - b.since)) {
    const { subject, connections, info } = present
    const known = merged.get(subject)
    if (known) {
      known.connections += connections
      known.info = info
    } else merged.set(subject, { ...present })
  }
  return [...merged.values()]
}
