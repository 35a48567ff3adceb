/** Finds events by time: `EventLog.locate` for `from`. */
import type { StoredEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import type { EventLog } from '../log.js'
import { locateIn, TimeIndex } from '../time-index.js'
import type { Reader } from './reader.js'
import type { Snapshots } from './snapshots.js'
import type { State } from './state.js'

export class EventTimes {
  readonly #reader: Reader
  readonly #snapshots: Snapshots
  readonly #times: TimeIndex
  /** The newest sequence when the log was opened. */
  readonly #openedAt: number
  #readingTimes: Promise<void> | undefined

  constructor(reader: Reader, snapshots: Snapshots, state: State) {
    this.#reader = reader
    this.#snapshots = snapshots
    this.#openedAt = state.totals.head
    this.#times = new TimeIndex(() => reader.oldest() ?? state.totals.head + 1, state.totals.head)
  }

  /** Notes the times of events that were appended. */
  note(events: readonly StoredEvent[]): void {
    const [first] = events
    if (first) this.#times.note(first.sequence, first.time, events.at(-1)!.sequence)
  }

  /** As `EventLog.locate` for `from`. */
  async locate(log: Pick<EventLog, 'scan'>, selection: Selection, time: number): Promise<number> {
    await (this.#readingTimes ??= this.#readTimes())
    const { after, until } = this.#times.find(time)
    // events trimmed before the log was opened have no known time: each counts with the time of the next retained event
    const begin = after < this.#openedAt ? (this.#reader.newestUntil(after) ?? 0) : after
    return locateIn({ after: begin, until }, log, selection, time)
  }

  /** Reads the times of the events that the log had when it was opened. The first search by time needs them. */
  async #readTimes(): Promise<void> {
    try {
      await this.#snapshots.run((snapshot) =>
        this.#reader.times(snapshot, this.#openedAt, (sequence, time) => this.#times.fill(sequence, time)),
      )
    } catch (err) {
      this.#readingTimes = undefined
      throw err
    }
  }
}
