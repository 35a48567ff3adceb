/** Publisher ids whose events were removed. The log remembers each id until its deduplication window ends. */
import type { SteadyClock } from '../steady-clock.js'
import type { Change } from './change.js'
import { idSize } from './rows.js'
import type { State } from './state.js'
import { unlessDamaged } from './store-error.js'
import type { Tables } from './tables.js'

export class OrphanIds {
  readonly #tables: Tables
  readonly #state: State
  readonly #clock: SteadyClock
  readonly #window: number

  constructor(tables: Tables, state: State, clock: SteadyClock, window: number) {
    this.#tables = tables
    this.#state = state
    this.#clock = clock
    this.#window = window
  }

  /** Keeps the publisher id of a removed event until its window ends, even if the topic is removed. */
  add(topic: string, sequence: number, id: string, time: number): void {
    const { orphanIds } = this.#tables
    const until = this.#clock.timeOf(sequence, time) + this.#window
    if (until > this.#clock.time) {
      orphanIds.putSync([until, topic, id], sequence)
      this.#state.orphanIdBytes += idSize(topic, id)
    } else this.#forget(topic, id, sequence)
  }

  /** Forgets publisher ids whose window has ended; at most `limit`. */
  forgetExpired(change: Change, limit: number): void {
    const { orphanIds } = this.#tables
    for (const key of [...orphanIds.getKeys({ end: [this.#clock.time, '', ''], limit })]) {
      const [, topic, id] = key
      const sequence = unlessDamaged(() => orphanIds.get(key))
      orphanIds.removeSync(key)
      change.removals++
      if (sequence !== undefined) this.#forget(topic, id, sequence)
    }
  }

  /** Forgets a publisher id, unless a newer event has it. */
  #forget(topic: string, id: string, sequence: number): void {
    const { ids } = this.#tables
    const first = unlessDamaged(() => ids.get([topic, id]))
    if (first === undefined || first[0] === sequence) ids.removeSync([topic, id])
  }
}
