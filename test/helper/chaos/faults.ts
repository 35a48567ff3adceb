/** Random faults: kills, graceful stops and freezes of places, each of which recovers. */
import { setTimeout as delay } from 'node:timers/promises'
import { DEADLINE, poll } from '../deadline.js'
import type { Random } from '../random.js'
import type { Place } from './places.js'
import type { Story } from './story.js'

/** Places that the same faults happen to. */
export interface Group {
  places: readonly Place[]
  /** How many of them may be disturbed at a time: one of these numbers is drawn for each fault. */
  limits: readonly number[]
  /** The lengths of freezes, in milliseconds. */
  freezes: readonly number[]
  /** Resolves when the places have recovered from a fault of one of them: until then it counts as disturbed. */
  recovered?: () => Promise<void>
}

type What = 'kill' | 'stop' | 'freeze'

const WHAT: readonly What[] = ['kill', 'kill', 'kill', 'kill', 'kill', 'stop', 'freeze', 'freeze']
/** The times between two faults, by default, and those until a place starts again; in milliseconds. */
const PAUSES = [20, 100, 300, 600]

export class Faults {
  kills = 0
  stops = 0
  freezes = 0
  readonly #groups: readonly Group[]
  readonly #random: Random
  readonly #story: Story
  readonly #running = new Map<Place, Promise<void>>()

  readonly #pauses: readonly number[]

  /** @param pauses the times between two faults, in milliseconds */
  constructor(groups: readonly Group[], random: Random, story: Story, pauses: readonly number[] = PAUSES) {
    this.#groups = groups
    this.#random = random
    this.#story = story
    this.#pauses = pauses
  }

  /**
   * Makes faults until a number of processes have been killed.
   * @param maxTime the time after which there are no more faults, on the clock of the story
   * @param between called after each fault; it may make faults of its own, once `settled`
   */
  async run(kills: number, maxTime: number, between: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    const target = this.kills + kills
    while (this.kills < target && this.#story.now() < maxTime && this.#story.violations.length === 0) {
      await delay(this.#random.pick(this.#pauses))
      const group = this.#random.pick(this.#groups)
      const what = this.#random.pick(WHAT)
      const free = group.places.filter((place) => this.isFree(place))
      if (free.length <= group.places.length - this.#random.pick(group.limits)) continue
      this.begin(this.#random.pick(free), what, group)
      await between()
    }
  }

  /** Whether a place is up, and has recovered from its last fault. */
  isFree(place: Place): boolean {
    return place.state === 'up' && !this.#running.has(place)
  }

  /** Begins one fault. Its place recovers by itself. */
  begin(place: Place, what: What, { freezes, recovered }: Pick<Group, 'freezes' | 'recovered'>): void {
    const length = what === 'freeze' ? this.#random.pick(freezes) : this.#random.pick(PAUSES)
    const running = this.#carryOut(place, what, length)
      .then(recovered)
      .catch((err: unknown) => this.#story.breaks(`${place.name} does not recover from ${what}: ${String(err)}`))
      .finally(() => this.#running.delete(place))
    this.#running.set(place, running)
  }

  /** Resolves when every place is up. */
  async settled(): Promise<void> {
    await poll(
      async () => (this.#running.size === 0 ? true : undefined),
      () => `${[...this.#running.keys()].map(({ name }) => name).join(', ')} does not recover`,
      4 * DEADLINE,
    )
  }

  async #carryOut(place: Place, what: What, length: number): Promise<void> {
    if (what === 'freeze') {
      this.freezes++
      this.#story.fault(`${place.name} is frozen for ${length} ms`)
      place.freeze()
      await delay(length)
      place.thaw()
    } else {
      const signal = what === 'kill' ? 'SIGKILL' : 'SIGTERM'
      if (what === 'kill') this.kills++
      else this.stops++
      this.#story.fault(`${place.name} gets ${signal}`)
      await place.end(signal)
      await delay(length)
      await place.start()
      this.#story.fault(`${place.name} is up again`)
    }
  }
}
