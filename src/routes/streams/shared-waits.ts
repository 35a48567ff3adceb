/** Waits for live reads. Readers at the same offset of a topic share one wait of the hub. */
import type { FiniteTopics } from '../../hub/finite/finite-topic.js'

interface SharedWait {
  /** Called when the wait is over. */
  readonly wakes: Set<() => void>
  readonly controller: AbortController
}

export class SharedWaits {
  readonly #finite: Pick<FiniteTopics, 'wait'>
  readonly #waits = new Map<string, SharedWait>()

  constructor(finite: Pick<FiniteTopics, 'wait'>) {
    this.#finite = finite
  }

  /**
   * Calls `wake` once, in a later turn of the event loop, when something follows `after`, or the topic has ended or is
   * gone.
   * @returns a function that leaves the wait
   */
  join(topic: string, after: number, wake: () => void): () => void {
    const key = `${topic} ${after}`
    const shared = this.#waits.get(key) ?? this.#begin(key, topic, after)
    shared.wakes.add(wake)
    return () => {
      shared.wakes.delete(wake)
      if (shared.wakes.size > 0) return
      this.#forget(key, shared)
      shared.controller.abort()
    }
  }

  #begin(key: string, topic: string, after: number): SharedWait {
    const shared: SharedWait = { wakes: new Set(), controller: new AbortController() }
    this.#waits.set(key, shared)
    const over = (): void => {
      this.#forget(key, shared)
      for (const wake of [...shared.wakes]) wake()
    }
    this.#finite.wait(topic, after, shared.controller.signal).then(over, over) // the next read gets an error
    return shared
  }

  #forget(key: string, shared: SharedWait): void {
    if (this.#waits.get(key) === shared) this.#waits.delete(key)
  }
}
