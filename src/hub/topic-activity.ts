/** How many events each topic has had in the last minutes, and when the newest one came. Its memory is bounded. */

/** The length of a period, in milliseconds. */
export const ACTIVITY_PERIOD = 10_000
/** The number of periods: five minutes. */
export const ACTIVITY_PERIODS = 30
/** The maximum number of topics that are counted. Further topics have to wait until another has been quiet. */
const MAX_TOPICS = 10_000

/** The latest events of a topic. */
export interface Activity {
  /** Events per second, over the last 10 to 20 seconds. */
  rate: number
  /** The events of each period, oldest first. The last period has not ended. */
  counts: number[]
  /** The time of the newest event, in milliseconds since the Unix epoch; `undefined`: none was counted. */
  lastTime: number | undefined
}

interface Counted {
  /** The events of each period. The place of a period is its number modulo `ACTIVITY_PERIODS`. */
  counts: Uint32Array
  /** The number of the newest period that has a place. */
  newest: number
  lastTime: number
}

export class TopicActivity {
  readonly #limit: number
  readonly #topics = new Map<string, Counted>()
  /** The period in which quiet topics were dropped last. */
  #droppedAt = 0

  /** @param limit the maximum number of topics */
  constructor(limit = MAX_TOPICS) {
    this.#limit = limit
  }

  /**
   * Counts an event.
   * @param time when it was published, in milliseconds since the Unix epoch
   */
  count(topic: string, time: number): void {
    const period = Math.floor(time / ACTIVITY_PERIOD)
    const counted = this.#topics.get(topic) ?? this.#add(topic, period)
    if (!counted) return
    advance(counted, period)
    if (period > counted.newest - ACTIVITY_PERIODS) counted.counts[period % ACTIVITY_PERIODS]!++
    counted.lastTime = Math.max(counted.lastTime, time)
  }

  /** @param now the time, in milliseconds since the Unix epoch */
  read(topic: string, now: number): Activity {
    const last = Math.floor(now / ACTIVITY_PERIOD)
    const counted = this.#topics.get(topic)
    const counts = Array.from({ length: ACTIVITY_PERIODS }, (_, index) => {
      const period = last - ACTIVITY_PERIODS + 1 + index
      const isKnown = counted && period <= counted.newest && period > counted.newest - ACTIVITY_PERIODS
      return isKnown ? counted.counts[period % ACTIVITY_PERIODS]! : 0
    })
    const seconds = (now - (last - 1) * ACTIVITY_PERIOD) / 1_000
    const recent = counts.at(-1)! + counts.at(-2)!
    return { rate: Math.round((recent / seconds) * 100) / 100, counts, lastTime: counted?.lastTime }
  }

  #add(topic: string, period: number): Counted | undefined {
    if (this.#topics.size >= this.#limit) this.#drop(period)
    if (this.#topics.size >= this.#limit) return undefined
    const counted = { counts: new Uint32Array(ACTIVITY_PERIODS), newest: period, lastTime: 0 }
    this.#topics.set(topic, counted)
    return counted
  }

  /** Drops the topics without an event in any period, at most once in a period. */
  #drop(period: number): void {
    if (this.#droppedAt === period) return
    this.#droppedAt = period
    for (const [topic, { newest }] of this.#topics) if (newest <= period - ACTIVITY_PERIODS) this.#topics.delete(topic)
  }
}

/** Makes a period the newest one, unless it is older. Clears the places of the periods since the previous newest. */
function advance(counted: Counted, period: number): void {
  const skipped = period - counted.newest
  if (skipped <= 0) return
  if (skipped >= ACTIVITY_PERIODS) counted.counts.fill(0)
  else for (let next = counted.newest + 1; next <= period; next++) counted.counts[next % ACTIVITY_PERIODS] = 0
  counted.newest = period
}
