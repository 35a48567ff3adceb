/** The followers of a log: each is given every delta, one after the other. */
import type { ApplyDelta, Following, LogDelta, LogView } from './log.js'

export class Followers {
  readonly #followers = new Set<{ apply: ApplyDelta }>()
  /** The delta that the followers are being given, and those that were made meanwhile. */
  readonly #untold: LogDelta[] = []

  /** @param view what the log says now */
  add(apply: ApplyDelta, { head, mark }: Pick<LogView, 'head' | 'mark'>): Following {
    const follower = { apply } // one function may follow twice
    this.#followers.add(follower)
    return { head, mark, stop: () => void this.#followers.delete(follower) }
  }

  /** Gives each follower a delta. A follower that causes another one disturbs the order of none. */
  tell(delta: LogDelta): void {
    this.#untold.push(delta)
    if (this.#untold.length > 1) return
    for (let next: LogDelta | undefined = delta; next; next = this.#untold[0]) {
      for (const { apply } of this.#followers) apply(next)
      this.#untold.shift()
    }
  }

  /** Gives nobody anything any more. */
  clear(): void {
    this.#followers.clear()
  }
}
