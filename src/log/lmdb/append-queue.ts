/** Appends that wait for a transaction. */
import { lengthOf, type NewEvent } from '../../model/event.js'
import type { Appended, Expected } from '../log.js'
import type { Origin } from './answers.js'

/** The size at which a group takes no further append: writing a group blocks the event loop. */
const GROUP_EVENTS = 1_000
const GROUP_CHARACTERS = 8 * 1024 * 1024

export interface PendingAppend {
  events: readonly NewEvent[]
  /** As `AppendOptions.expected`. */
  expected?: Expected | undefined
  /** The other process that requested the append. */
  origin?: Origin | undefined
  resolve: (appended: Appended[]) => void
  reject: (err: Error) => void
}

export class AppendQueue {
  readonly #pending: PendingAppend[] = []
  /** Called when so many appends wait. */
  #awaited: { count: number; resolve: () => void } | undefined

  get length(): number {
    return this.#pending.length
  }

  push(append: PendingAppend): void {
    this.#pending.push(append)
    if (this.#awaited && this.#pending.length >= this.#awaited.count) this.#awaited.resolve()
  }

  /** Resolves when `count` appends wait, or after `time` milliseconds. Only one call may be pending. */
  async reaches(count: number, time: number): Promise<void> {
    if (this.#pending.length >= count) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, time)
      this.#awaited = { count, resolve: () => (clearTimeout(timer), resolve()) }
    })
    this.#awaited = undefined
  }

  /** Removes and returns the oldest appends: as many as one transaction stores, and at least one if any waits. */
  takeGroup(): PendingAppend[] {
    let count = 0
    let characters = 0
    let taken = 0
    while (taken < this.#pending.length && (taken === 0 || (count < GROUP_EVENTS && characters < GROUP_CHARACTERS))) {
      const { events } = this.#pending[taken++]!
      count += events.length
      for (const event of events) characters += lengthOf(event)
    }
    return this.#pending.splice(0, taken)
  }
}
