/** The streams that are open: each by its connection's id, and how many there are of a subject or from an address. */
import type { CloseReason } from './sse.js'
import type { Subscriber } from './subscriber.js'

export class Connections {
  readonly #byId = new Map<string, Subscriber>()
  readonly #subjects = new Map<string, number>()
  readonly #addresses = new Map<string, number>()

  /** How many are open. */
  get size(): number {
    return this.#byId.size
  }

  get(id: string): Subscriber | undefined {
    return this.#byId.get(id)
  }

  values(): IterableIterator<Subscriber> {
    return this.#byId.values()
  }

  /** How many streams a subject has. */
  ofSubject(subject: string): number {
    return this.#subjects.get(subject) ?? 0
  }

  /** How many streams there are from an address. */
  fromAddress(address: string): number {
    return this.#addresses.get(address) ?? 0
  }

  add(subscriber: Subscriber): void {
    const { id, address, principal } = subscriber.info
    this.#byId.set(id, subscriber)
    count(this.#addresses, address, 1)
    if (principal.subject !== undefined) count(this.#subjects, principal.subject, 1)
  }

  /** @returns whether it was there */
  delete(subscriber: Subscriber): boolean {
    const { id, address, principal } = subscriber.info
    if (!this.#byId.delete(id)) return false
    count(this.#addresses, address, -1)
    if (principal.subject !== undefined) count(this.#subjects, principal.subject, -1)
    return true
  }

  /**
   * Ends every stream that `isMeant` says yes to.
   * @returns how many that were
   */
  end(reason: CloseReason, isMeant: (subscriber: Subscriber) => boolean): number {
    const meant = [...this.#byId.values()].filter(isMeant)
    for (const subscriber of meant) subscriber.end(reason)
    return meant.length
  }
}

function count(counts: Map<string, number>, key: string, by: number): void {
  const now = (counts.get(key) ?? 0) + by
  if (now > 0) counts.set(key, now)
  else counts.delete(key)
}
