/** The view of an LMDB log: reads its state. */
import type { LogStats, LogView } from '../log.js'
import type { State } from './state.js'
import type { Writer } from './writer.js'

export class FileView implements LogView {
  readonly epoch: string
  readonly #state: State
  readonly #writer: Writer

  constructor(epoch: string, state: State, writer: Writer) {
    this.epoch = epoch
    this.#state = state
    this.#writer = writer
  }

  get head(): number {
    return this.#state.totals.head
  }

  get mark(): number {
    return this.#state.mark
  }

  get failure(): Error | undefined {
    return this.#writer.failure
  }

  stats(): LogStats {
    const { events, bytes } = this.#state.totals
    return { topics: this.#state.topics.size, events, bytes }
  }
}
