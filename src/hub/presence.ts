/**
 * Who is there: the subjects that have a stream of a topic, told by subject and not by connection. A stream of a
 * pattern looks on, and is not present on all that it may match.
 */
import { monotonicNow, wallNow } from '../model/clock.js'
import type { PresenceType } from '../model/presence-type.js'
import type { Principal } from '../model/principal.js'
import type { Selection } from '../model/selection.js'
import { isReserved } from '../model/topic.js'

/** A subject on a topic. */
export interface Present {
  subject: string
  /** How many streams of the topic it has; 0: it had one a moment ago, and may come back. */
  connections: number
  /** When it came, on the wall clock. */
  since: number
  /** What its token says that others are told. */
  info: unknown
}

/** What a join or a leave says. */
export interface PresenceChange {
  topic: string
  subject: string
  info: unknown
  /** How many subjects are there now. */
  subjects: number
}

export class Presence {
  readonly #grace: number
  readonly #announce: (type: PresenceType, change: PresenceChange) => void
  readonly #topics = new Map<string, Map<string, Present>>()
  /**
   * Subjects without a stream, in the order in which they leave: the grace is the same for each. `until` is on the
   * monotonic clock.
   */
  readonly #leaving = new Map<Present, { topic: string; until: number }>()

  /** @param grace for how long a subject without a stream is still present, in milliseconds */
  constructor(grace: number, announce: (type: PresenceType, change: PresenceChange) => void) {
    this.#grace = grace
    this.#announce = announce
  }

  /** Who is present on a topic, in the order in which they came. */
  on(topic: string): Present[] {
    return [...(this.#topics.get(topic)?.values() ?? [])]
  }

  /**
   * A stream has opened, ended, or changed its topics.
   * @param before what it read; `undefined`: it has opened
   * @param after what it reads; `undefined`: it has ended
   */
  moved(principal: Principal, before: Selection | undefined, after: Selection | undefined): void {
    const { subject, info } = principal
    if (subject === undefined) return
    for (const topic of after?.topics ?? [])
      if (!before?.topics.includes(topic) && !isReserved(topic)) this.#enter(topic, subject, info)
    for (const topic of before?.topics ?? []) if (!after?.topics.includes(topic)) this.#leave(topic, subject)
  }

  /** A stream has another token, which may say something else of its subject. */
  renewed({ subject, info }: Principal, { topics }: Selection): void {
    if (subject === undefined) return
    for (const topic of topics) {
      const present = this.#topics.get(topic)?.get(subject)
      if (present) present.info = info
    }
  }

  /**
   * Announces the leave of each subject whose grace is over. To be called a few times a second.
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
 * Merges what several processes say of one topic. The streams of a subject are added up. It came when it came first,
 * and says of itself what it said where it came last: there its newest token is most likely.
 * @returns the subjects in the order in which they came
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
