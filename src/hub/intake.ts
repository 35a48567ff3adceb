/** Counts and times the events that this process takes from publishers. Every event that it stores passes here. */
import type { Appended } from '../log/log.js'
import { monotonicNow } from '../model/clock.js'
import type { Fanout } from './fanout.js'
import type { HubFigures } from './figures.js'
import type { Timing } from './latency.js'
import type { SystemTopics } from './system-topics.js'

export interface IntakeSource {
  figures: HubFigures
  fanout: Fanout
  systemTopics: SystemTopics
}

export class Intake {
  readonly #figures: HubFigures
  readonly #fanout: Fanout
  readonly #systemTopics: SystemTopics

  constructor({ figures, fanout, systemTopics }: IntakeSource) {
    this.#figures = figures
    this.#fanout = fanout
    this.#systemTopics = systemTopics
  }

  /** The number of events that were taken so far, without duplicates. */
  get published(): number {
    const { stored, ephemeral } = this.#figures.published
    return stored + ephemeral
  }

  /** Begins to time a publish; `undefined`: this one is not timed. */
  time(): Timing | undefined {
    return this.#systemTopics.time()
  }

  /**
   * Counts the events of an append once the log has answered.
   * @param count the number of events that were appended
   * @throws Error if the log has not answered for each event: an application's own log may be faulty
   */
  stored(outcomes: Appended[], count: number, timing: Timing | undefined): Appended[] {
    if (outcomes.length !== count)
      throw new Error(`append() of the log resolved with ${outcomes.length} results for ${count} events`)
    for (const { duplicate } of outcomes) this.#figures.published[duplicate ? 'duplicate' : 'stored']++
    if (timing) this.#took(timing)
    return outcomes
  }

  /**
   * Records the times of an append to a finite topic, whose events the log may have stored with those of other appends.
   * A topic with `coalesce` sends its events late on purpose, so their latency is not measured.
   */
  finished(topic: string, timing: Timing): void {
    this.#took(timing)
    if (this.#fanout.paceOf(topic) === undefined && this.#fanout.count(topic, undefined) > 0)
      this.#fanout.measure(timing)
  }

  /** Counts an ephemeral event. */
  ephemeral(): void {
    this.#figures.published.ephemeral++
  }

  /** Counts the events of an append that a finite topic had before. The log never gets them. */
  repeated(count: number): void {
    this.#figures.published.duplicate += count
  }

  #took({ since, isSampled }: Timing): void {
    if (isSampled) this.#figures.appends.observe((monotonicNow() - since) / 1_000)
  }
}
