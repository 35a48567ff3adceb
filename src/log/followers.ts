/** The followers of a log. Each gets every delta, one after the other. */
import type { ApplyDelta, Following, LogDelta, LogView } from './log.js'

export class Followers {
  readonly #followers = new Set<{ apply: ApplyDelta }>()
  /** The delta that is being delivered, then the deltas that were made meanwhile. */
  readonly #untold: LogDelta[] = []

  /** @param view the current view of the log */
  add(apply: ApplyDelta, { head, mark }: Pick<LogView, 'head' | 'mark'>): Following {
    const follower = { apply } // one function may follow twice
    this.#followers.add(follower)
    return { head, mark, stop: () => void this.#followers.delete(follower) }
  }

  /** Gives each follower a delta. If a follower causes another delta, every follower gets it after this one. */
  tell(delta: LogDelta): void {
    this.#untold.push(delta)
    if (this.#untold.length > 1) return
    for (let next: LogDelta | undefined = delta; next; next = this.#untold[0]) {
      for (const { apply } of this.#followers) apply(next)
      this.#untold.shift()
    }
  }

  /** Removes all followers. */
  clear(): void {
    this.#followers.clear()
  }
}
