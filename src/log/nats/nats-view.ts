/** What a log on NATS tells of itself at any time. */
import type { LogStats, LogView } from '../log.js'
import type { StreamFollower } from './stream-follower.js'
import type { StreamGuard } from './stream-guard.js'

export class NatsView implements LogView {
  readonly #follower: StreamFollower
  readonly #guard: StreamGuard

  constructor(follower: StreamFollower, guard: StreamGuard) {
    this.#follower = follower
    this.#guard = guard
  }

  get epoch(): string {
    return this.#follower.epoch
  }

  get head(): number {
    return this.#follower.index.head
  }

  get mark(): number {
    return this.#follower.index.history.mark
  }

  get failure(): Error | undefined {
    return this.#guard.failure
  }

  stats(): LogStats {
    return this.#follower.index.retained.stats()
  }
}
