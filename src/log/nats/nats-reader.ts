/** Reads the events of the stream: finds them in the index, and fetches their payloads from JetStream. */
import { FairScheduler } from '../../event-loop/fair-scheduler.js'
import { advance, type Work } from '../../event-loop/time-slice.js'
import type { ScannedEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import type { Beginning, Located, Page, ReadOptions, ScanResult, Span, TopicsOptions, TopicsPage } from '../log.js'
import { EventWalk, LOOKED_AT } from '../memory/event-walk.js'
import type { KeptEvent } from '../memory/kept-event.js'
import { MemoryReader } from '../memory/memory-reader.js'
import { PageBuilder } from '../page.js'
import { locateIn } from '../time-index.js'
import { GapSearch } from '../trim-marks.js'
import type { EventIndex } from './event-index.js'

/** The number of events that a scan fetches at first, and at most. */
const FIRST_FETCH = 64
const MAX_FETCH = 1_024
/** A fetch ends with the event that reaches this many bytes. */
const FETCH_BYTES = 1024 * 1024
/** The maximum number of events of a page of newest events. */
const NEWEST_PAGE = 1_024

/**
 * Returns the wanted events of the index with their payloads. `undefined` stands for an event that has been trimmed,
 * also from the index.
 */
export type FetchEvents = (wanted: readonly KeptEvent[]) => Promise<(ScannedEvent | undefined)[]>

/** The state of a scan. */
interface Scan {
  readonly gaps: GapSearch
  readonly walk: EventWalk
  readonly steps: Iterator<{ sequence: number } | undefined>
  /** The events up to this sequence have been found. */
  found: number
  state: 'more' | 'limited' | 'done'
}

export class NatsReader {
  readonly #index: EventIndex
  readonly #fetch: FetchEvents
  /** Reads the index as a log in memory, without payloads. */
  readonly #memory: MemoryReader
  readonly #scheduler = new FairScheduler()

  constructor(index: EventIndex, fetch: FetchEvents) {
    this.#index = index
    this.#fetch = fetch
    this.#memory = new MemoryReader(index.retained, index.history)
  }

  /** As `EventLog.scan`. */
  async scan(
    selection: Selection,
    { after, until = this.#index.head }: Span,
    visit: (event: ScannedEvent) => boolean,
  ): Promise<ScanResult> {
    const { retained, history } = this.#index
    const gaps = new GapSearch(history, selection)
    await this.#run(gaps.begin(after))
    const walk = new EventWalk(retained, selection, 'forwards', { after, until })
    const scan: Scan = { gaps, walk, steps: walk.events(), found: after, state: 'more' }
    let position = after
    for (let limit = FIRST_FETCH; scan.state === 'more'; limit = Math.min(4 * limit, MAX_FETCH)) {
      const wanted = await this.#run(find(scan, selection, limit))
      const events = wanted.length > 0 ? await this.#fetch(wanted) : []
      for (const [n, { sequence, topic }] of wanted.entries()) {
        const event = events[n]
        if (!event) gaps.check(topic, position)
        else if (!visit(event)) return gaps.result(position, true)
        position = sequence
        if (n % FIRST_FETCH === FIRST_FETCH - 1) await this.#scheduler.next()
      }
      position = scan.found
    }
    return scan.state === 'done' ? gaps.result(Math.max(after, until), false) : gaps.result(position, true)
  }

  /** As `EventLog.locate`. */
  async locate(selection: Selection, beginning: Beginning): Promise<Located> {
    const { mark } = this.#index.history
    const after =
      'newest' in beginning
        ? await this.#memory.before(selection, beginning.newest, beginning.until)
        : await locateIn(this.#index.times.find(beginning.from), this.#memory, selection, beginning.from)
    return { after, mark }
  }

  /** As `EventLog.newest`. */
  async newest(selection: Selection, { events: limit, bytes, ...span }: ReadOptions): Promise<Page> {
    for (;;) {
      const found = await this.#memory.newest(selection, { ...span, events: Math.min(limit, NEWEST_PAGE) })
      const read = await this.#fetch(found.events as KeptEvent[])
      const page = new PageBuilder({ events: limit, ...(bytes === undefined ? {} : { bytes }) })
      if (read.includes(undefined)) continue // an event has been trimmed: its topic may have another newest event
      const isFull = read.some((event) => !page.take(event!))
      const { events } = page
      if (!isFull) return { ...found, events }
      return { ...found, events, position: events.at(-1)!.sequence, more: true }
    }
  }

  /** As `EventLog.topics`. */
  topics(options: TopicsOptions, accepts: (name: string) => boolean): Promise<TopicsPage> {
    return this.#memory.topics(options, accepts)
  }

  /** Runs some work in time slices. */
  async #run<T>(work: Work<T>): Promise<T> {
    for (;;) {
      const step = advance(work)
      if (step.done) return step.value
      await this.#scheduler.next()
    }
  }
}

/** Finds the next events of a scan. */
function* find(scan: Scan, selection: Selection, limit: number): Work<KeptEvent[]> {
  const { gaps, walk, steps } = scan
  const wanted: KeptEvent[] = []
  for (let bytes = 0; wanted.length < limit && bytes < FETCH_BYTES;) {
    const step = steps.next()
    gaps.advance(scan.found)
    if (step.done) {
      scan.state = 'done'
      return wanted
    }
    if (walk.looked > LOOKED_AT) {
      scan.state = 'limited'
      return wanted
    }
    const event = step.value as KeptEvent | undefined
    if (event && selection.hasType(event.type)) {
      wanted.push(event)
      bytes += event.size
    }
    scan.found = walk.position
    yield
  }
  return wanted
}
