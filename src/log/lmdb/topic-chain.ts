/**
 * Detects events that are missing although they were not trimmed: each event contains the sequence of the previous
 * event of its topic. This also detects a damaged index or order of keys, which checksums do not.
 */
import type { Damage } from './damage.js'
import type { State } from './state.js'
import type { Topic } from './topic.js'

export class Chain {
  readonly #state: State
  readonly #damage: Damage
  readonly #after: number
  /** The newest event of each topic that was read. */
  readonly #seen = new Map<string, number>()
  #topic = ''
  #sequence = 0

  /** @param after events up to this sequence are ignored */
  constructor(state: State, damage: Damage, after: number) {
    this.#state = state
    this.#damage = damage
    this.#after = after
  }

  /** Returns whether all events between an event and the last read event of its topic were trimmed. */
  follows(topic: string, sequence: number, previous: number): boolean {
    const isSame = topic === this.#topic
    const last = isSame ? this.#sequence : (this.#seen.get(topic) ?? this.#after)
    if (!isSame) {
      if (this.#topic !== '') this.#seen.set(this.#topic, this.#sequence)
      this.#topic = topic
    }
    this.#sequence = sequence
    if (previous <= last || previous <= (this.#state.topics.get(topic)?.trimmed ?? Infinity)) return true
    this.#damage.report(`the lookup of event ${previous} of the topic ${topic}`)
    return false
  }

  /** Returns whether the newest event of a topic was read; also `true` if it is not between `after` and `until`. */
  reached({ name, newest }: Topic, until: number): boolean {
    if (newest <= this.#after || newest > until) return true
    if ((name === this.#topic ? this.#sequence : this.#seen.get(name)) === newest) return true
    this.#damage.report(`the lookup of event ${newest} of the topic ${name}`)
    return false
  }
}
