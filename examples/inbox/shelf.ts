/**
 * The messages of a device. The hub does not send acknowledged messages again, so the device keeps them. Messages that
 * are not acknowledged yet may arrive again, so each is stored once by its id.
 */
import type { Message } from './server.js'

export interface Kept extends Message {
  /** The id of its event. */
  id: string
}

/**
 * The maximum number of stored messages, the same as the hub's for a topic (`FANFARE_RETAIN_EVENTS`). Older messages
 * are removed.
 */
const MOST = 1_000

export class Shelf {
  readonly #key: string
  readonly #kept: Kept[]

  /** Opens the messages of a user's device in this browser's storage. */
  constructor(user: string, device: string) {
    this.#key = `inbox/${user}/${device}`
    this.#kept = JSON.parse(localStorage.getItem(this.#key) ?? '[]') as Kept[]
  }

  /** The stored messages, oldest first. */
  get messages(): readonly Kept[] {
    return this.#kept
  }

  /** Stores a message. Returns `false` if it is already stored. */
  put(message: Kept): boolean {
    if (this.#kept.some(({ id }) => id === message.id)) return false
    this.#kept.push(message)
    if (this.#kept.length > MOST) this.#kept.shift()
    localStorage.setItem(this.#key, JSON.stringify(this.#kept))
    return true
  }
}
