/**
 * Notices events that are missing though nobody has trimmed them: every event names the event before it of the same
 * topic. What finds events, the index and the order of keys, may be damaged in ways that only show there.
 */
import type { Damage } from './damage.js'
import type { State } from './state.js'
import type { Topic } from './topic.js'

export class Chain {
  readonly #state: State
  readonly #damage: Damage
  readonly #after: number
  /** For each topic, the newest event that was seen. */
  readonly #seen = new Map<string, number>()
  #topic = ''
  #sequence = 0

  /** @param after events up to this sequence are not looked at */
  constructor(state: State, damage: Damage, after: number) {
    this.#state = state
    this.#damage = damage
    this.#after = after
  }

  /** Whether an event follows the one that was seen before it of its topic, or what comes between was trimmed. */
  follows(topic: string, sequence: number, previous: number): boolean {
    const isSame = topic === this.#topic
    const last = isSame ? this.#sequence : (this.#seen.get(topic) ?? this.#after)
    if (!isSame) {
      if (this.#topic !== '') this.#seen.set(this.#topic, this.#sequence)
      this.#topic = topic
    }
    this.#sequence = sequence
    if (previous <= last || previous <= (this.#state.topics.get(topic)?.trimmed ?? Infinity)) return true
    this.#damage.report(`what finds event ${previous} of the topic ${topic}`)
    return false
  }

  /** Whether the newest event of a topic was seen, when it lies behind `after` and up to `until`. */
  reached({ name, newest }: Topic, until: number): boolean {
    if (newest <= this.#after || newest > until) return true
    if ((name === this.#topic ? this.#sequence : this.#seen.get(name)) === newest) return true
    this.#damage.report(`what finds event ${newest} of the topic ${name}`)
    return false
  }
}
