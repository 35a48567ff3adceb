/**
 * The messages of a device. The hub does not send acknowledged messages again, so the device keeps them. Messages that
 * are not acknowledged yet may arrive again, so each is stored once by its id.
 */
import type { Message } from './server.js'

export interface Kept extends Message {
  /** Its event's id. */
  id: string
}

/**
 * How many messages are kept, as many as the hub keeps of a topic (`FANFARE_RETAIN_EVENTS`): the older ones make room.
 */
const MOST = 1_000

export class Shelf {
  readonly #key: string
  readonly #kept: Kept[]

  /** Opens what a user's device has in this browser's storage. */
  constructor(user: string, device: string) {
    this.#key = `inbox/${user}/${device}`
    this.#kept = JSON.parse(localStorage.getItem(this.#key) ?? '[]') as Kept[]
  }

  /** Oldest first. */
  get messages(): readonly Kept[] {
    return this.#kept
  }

  /** Keeps a message; `false`: it is there already. */
  put(message: Kept): boolean {
    if (this.#kept.some(({ id }) => id === message.id)) return false
    this.#kept.push(message)
    if (this.#kept.length > MOST) this.#kept.shift()
    localStorage.setItem(this.#key, JSON.stringify(this.#kept))
    return true
  }
}
