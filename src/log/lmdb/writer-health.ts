/** Tells whether the log can store events, and why not. */
import { LARGEST_EVENT, TWO_LARGEST_EVENTS } from './largest-event.js'
import { NoRoomError, type Room } from './room.js'

export class WriterHealth {
  /** The reason why the log cannot store events; `undefined` if it can. */
  failure: Error | undefined
  readonly #room: Room
  readonly #onHealth: (failure: Error | undefined) => void

  constructor(room: Room, onHealth: (failure: Error | undefined) => void) {
    this.#room = room
    this.#onHealth = onHealth
    if (!room.fits(LARGEST_EVENT, 'publish')) this.set(room.failure)
  }

  /** Whether the reason is a lack of room. */
  get isFull(): boolean {
    return this.failure instanceof NoRoomError
  }

  /** Checks for room: for the largest event, or for two of them if there was no room before. */
  async lookForRoom(): Promise<void> {
    const { isFull } = this
    if (await this.#room.make(isFull ? TWO_LARGEST_EVENTS : LARGEST_EVENT, 'publish')) {
      if (isFull) this.set(undefined)
    } else if (!this.failure || isFull) this.set(this.#room.failure)
  }

  set(failure: Error | undefined): void {
    const changed = (failure === undefined) !== (this.failure === undefined)
    this.failure = failure
    if (changed) this.#onHealth(failure)
  }
}
