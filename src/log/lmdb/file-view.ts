/** The view of an LMDB log: reads its state. */
import type { LogStats, LogView } from '../log.js'
import type { Role } from './role.js'
import type { State } from './state.js'

export class FileView implements LogView {
  readonly epoch: string
  /** The newest sequence that the followers know. */
  toldHead: number
  readonly #state: State
  readonly #role: () => Role

  constructor(epoch: string, state: State, role: () => Role) {
    this.epoch = epoch
    this.#state = state
    this.#role = role
    this.toldHead = state.totals.head
  }

  /** The state may be ahead while followers are told what they have missed. */
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
