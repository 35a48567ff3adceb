/**
 * Acknowledges the newest stored message, at most once per second. If a receipt is lost, the hub sends a message again.
 */

/** The minimum time between two receipts, in milliseconds. */
const INTERVAL = 1_000

export class Receipts {
  readonly #send: (id: string) => Promise<void>
  #newest: string | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  /** @param send sends a receipt for an id and for all messages before it */
  constructor(send: (id: string) => Promise<void>) {
    this.#send = send
  }

  /** Sends a receipt for a message within the interval. */
  acknowledge(id: string): void {
    this.#newest = id
    this.#timer ??= setTimeout(() => void this.settle(), INTERVAL)
  }

  /** Sends the pending receipt now. Resolves when the receipt has been sent, or has failed. */
  async settle(): Promise<void> {
    const id = this.#newest
    this.#newest = undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (id !== undefined) await this.#send(id).catch(() => undefined) // the next receipt covers this message too
  }
}
