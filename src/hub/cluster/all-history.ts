/** The statistics of the last hour, of all processes. */
import type { ClusterMessage } from '../../cluster/cluster.js'
import { arrayOf, isNumber, nullable, shapeOf } from '../../model/shape.js'
import { addPeriods, isPeriodStats, periodsOf, type PeriodStats, type StatsHistory } from '../stats-history.js'
import type { Messenger } from './messenger.js'

interface HistoryMessage extends ClusterMessage {
  kind: 'stats-history'
  first: number
  last: number
}

/** The statistics of successive periods. */
export interface HubHistory {
  /** The number of the first period, counted from the Unix epoch. */
  first: number
  /** Oldest first; `null`: no process has measured the period. The first one is not `null`. */
  periods: (PeriodStats | null)[]
  /** The number of processes that have answered, with this one. */
  nodes: number
}

const isPeriods = arrayOf(nullable(isPeriodStats))
const isHistoryBody = shapeOf({ first: isNumber, last: isNumber })

export class AllHistory {
  readonly #messenger: Messenger
  readonly #own: StatsHistory

  constructor(messenger: Messenger, own: StatsHistory) {
    this.#messenger = messenger
    this.#own = own
    messenger.onRequest<HistoryMessage>('stats-history', isHistoryBody, ({ first, last }) => own.read(first, last))
  }

  /**
   * Returns the statistics of complete periods. Waits only a short time for the other processes: those that do not
   * answer are left out.
   * @param range the time up to now, in milliseconds
   */
  async read(range: number): Promise<HubHistory> {
    const { first, last } = periodsOf(range)
    const own = this.#own.read(first, last)
    const answers = await this.#messenger.gather(
      { kind: 'stats-history', first, last } satisfies HistoryMessage,
      isPeriods,
    )
    const all = [own, ...answers.map(({ value }) => value)]
    const periods = own.map((_, index) => addPeriods(all.map((one) => one[index])))
    // the statistics begin with the hub, and end with the last period that no process is about to measure
    const begin = periods.findIndex((period) => period !== null)
    const newest = periods.findLastIndex((period) => period !== null)
    const isPartial = all.some((one) => newest > 0 && one[newest - 1] != null && one[newest] == null)
    const end = isPartial ? newest - 1 : newest
    return begin < 0
      ? { first: last + 1, periods: [], nodes: all.length }
      : { first: first + begin, periods: periods.slice(begin, end + 1), nodes: all.length }
  }
}
