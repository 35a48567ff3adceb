/** The finite topics of a log: those with a record. Retention leaves their events alone. */
import type { NewEvent } from '../model/event.js'
import { HubError } from '../model/hub-error.js'
import { quote } from '../model/quote.js'
import { FINITE_PREFIX, finiteRefusal, type Expected, type RecordChange } from './log.js'

export class FiniteNames {
  readonly #names = new Set<string>()
  /** How often a topic has stopped to be finite: its events are trimmed again. */
  removals = 0

  has(topic: string): boolean {
    return this.#names.has(topic)
  }

  /** Takes the names from the keys of all records. */
  read(keys: Iterable<string>): void {
    this.#names.clear()
    this.removals++
    for (const key of keys) if (key.startsWith(FINITE_PREFIX)) this.#names.add(key.slice(FINITE_PREFIX.length))
  }

  /** Applies changes of records. */
  changed(changes: readonly RecordChange[]): void {
    for (const { key, value } of changes) {
      if (!key.startsWith(FINITE_PREFIX)) continue
      const topic = key.slice(FINITE_PREFIX.length)
      if (value !== undefined) this.#names.add(topic)
      else if (this.#names.delete(topic)) this.removals++
    }
  }

  /** Returns the refusal of an append without a condition: only conditional appends may add to finite topics. */
  refusal(events: readonly NewEvent[]): HubError | undefined {
    if (this.#names.size === 0) return undefined
    const index = events.findIndex(({ topic }) => this.#names.has(topic))
    if (index < 0) return undefined
    const refusal = finiteRefusal(events[index]!.topic)
    refusal.index = index
    return refusal
  }
}

/** Returns the refusal of a conditional append. */
export function conflict({ topic, sequence }: Expected, newest: number | undefined): HubError {
  const found = newest === undefined ? 'another one' : String(newest)
  return new HubError(
    'append-conflict',
    `The newest event of ${quote(topic)} has the sequence ${found}, not ${sequence}: another append came first.`,
  )
}
