/** The view of an LMDB log: reads its state. */
import type { LogStats, LogView } from '../log.js'
import type { Role } from './role.js'
import type { State } from './state.js'
import type { Tables } from './tables.js'

export class FileView implements LogView {
  readonly #meta: Tables['meta']
  #epoch = ''
  /** The newest sequence that the followers know. */
  toldHead: number
  readonly #state: State
  readonly #role: () => Role

  constructor({ meta }: Pick<Tables, 'meta'>, state: State, role: () => Role) {
    this.#meta = meta
    this.#state = state
    this.#role = role
    this.toldHead = state.totals.head
  }

  get epoch(): string {
    return this.#epoch
  }

  /** Reads the epoch. Call it once the log is open: the leader draws the epoch of a new log. */
  readEpoch(): void {
    this.#epoch = this.#meta.get('epoch') as string
  }

  /** The state may be ahead while the followers catch up. */
  get head(): number {
    return Math.min(this.toldHead, this.#state.totals.head)
  }

  get mark(): number {
    return this.#state.mark
  }

  get failure(): Error | undefined {
    return this.#role().failure
  }

  stats(): LogStats {
    const { events, bytes } = this.#state.totals
    return { topics: this.#state.topics.size, events, bytes }
  }
}
