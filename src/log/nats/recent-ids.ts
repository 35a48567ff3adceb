/** The publisher ids of the window in which JetStream refuses duplicates, with the sequences of their events. */
import { monotonicNow } from '../../model/clock.js'

/** Ids are kept a little longer than JetStream keeps them, so that each of its refusals can be explained. */
const LONGER = 2_000
/** The number of expired ids that each new one removes. */
const STEP = 4

interface Remembered {
  sequence: number
  /** When the id is forgotten, on the monotonic clock. */
  until: number
}

export class RecentIds {
  readonly #window: number
  /** By message id. The oldest comes first. */
  readonly #ids = new Map<string, Remembered>()

  /** @param window in milliseconds */
  constructor(window: number) {
    this.#window = window
  }

  find(id: string): number | undefined {
    const found = this.#ids.get(id)
    return found && found.until > monotonicNow() ? found.sequence : undefined
  }

  /** @param age the time since the event was stored, in milliseconds */
  add(id: string, sequence: number, age = 0): void {
    const now = monotonicNow()
    let steps = 0
    for (const [old, { until }] of this.#ids) {
      if (until > now || ++steps > STEP) break
      this.#ids.delete(old)
    }
    if (age > this.#window) return
    this.#ids.delete(id)
    this.#ids.set(id, { sequence, until: now - age + this.#window + LONGER })
  }

  clear(): void {
    this.#ids.clear()
  }
}
