/** Publisher ids whose events are gone: they are remembered until their window is over. */
import type { SteadyClock } from '../steady-clock.js'
import type { Change } from './change.js'
import { idSize } from './rows.js'
import type { State } from './state.js'
import { StoreError } from './store-error.js'
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

  /** An event is gone: its publisher's id is remembered until its window is over, whatever becomes of the topic. */
  add(topic: string, sequence: number, id: string, time: number): void {
    const { orphanIds } = this.#tables
    const until = this.#clock.timeOf(sequence, time) + this.#window
    if (until > this.#clock.time) {
      orphanIds.putSync([until, topic, id], sequence)
      this.#state.orphanIdBytes += idSize(topic, id)
    } else this.#forget(topic, id, sequence)
  }

  /** Forgets publisher ids whose events are gone and whose window is over. */
  forgetExpired(change: Change, limit: number): void {
    const { orphanIds } = this.#tables
    for (const key of [...orphanIds.getKeys({ end: [this.#clock.time, '', ''], limit })]) {
      const [, topic, id] = key
      const sequence = readable(() => orphanIds.get(key))
      orphanIds.removeSync(key)
      change.removals++
      if (sequence !== undefined) this.#forget(topic, id, sequence)
    }
  }

  /** Forgets a publisher's id, unless it has been published anew. */
  #forget(topic: string, id: string, sequence: number): void {
    const { ids } = this.#tables
    const first = readable(() => ids.get([topic, id]))
    if (first === undefined || first[0] === sequence) ids.removeSync([topic, id])
  }
}

/** What is read; `undefined` when it is damaged: then there is nothing to keep. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (err) {
    if (err instanceof StoreError) return undefined
    throw err
  }
}
