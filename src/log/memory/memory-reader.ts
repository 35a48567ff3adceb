/** Reads a memory log in time slices. The log may change between two slices. */
import { FairScheduler } from '../../event-loop/fair-scheduler.js'
import { advance, type Work } from '../../event-loop/time-slice.js'
import type { StoredEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import type { Page, ReadOptions, ScanResult, Span, TopicsOptions, TopicsPage } from '../log.js'
import { GapSearch, type TrimHistory } from '../trim-marks.js'
import { EventWalk, LOOKED_AT } from './event-walk.js'
import { searchNewest } from './newest.js'
import type { RetainedEvents } from './retained-events.js'

export class MemoryReader {
  readonly #retained: RetainedEvents
  readonly #history: TrimHistory
  readonly #scheduler = new FairScheduler()

  constructor(retained: RetainedEvents, history: TrimHistory) {
    this.#retained = retained
    this.#history = history
  }

  /** As `EventLog.scan`. */
  scan(selection: Selection, span: Span, visit: (event: StoredEvent) => boolean): Promise<ScanResult> {
    return this.#run(this.#scan(selection, span, visit))
  }

  /** As `EventLog.locate` for `newest`. */
  before(selection: Selection, count: number, until?: number): Promise<number> {
    return this.#run(this.#before(selection, count, until))
  }

  /** As `EventLog.newest`. */
  newest(selection: Selection, options: ReadOptions): Promise<Page> {
    return this.#run(searchNewest(this.#retained, this.#history, selection, options))
  }

  /** As `EventLog.topics`. */
  topics(options: TopicsOptions, accepts: (name: string) => boolean): Promise<TopicsPage> {
    return this.#run(this.#retained.list(options, accepts))
  }

  /** Runs some work in time slices. */
  async #run<T>(work: Work<T>): Promise<T> {
    for (;;) {
      const step = advance(work)
      if (step.done) return step.value
      await this.#scheduler.next()
    }
  }

  *#scan(
    selection: Selection,
    { after, until = this.#retained.head }: Span,
    visit: (event: StoredEvent) => boolean,
  ): Work<ScanResult> {
    const gaps = new GapSearch(this.#history, selection)
    yield* gaps.begin(after)
    const walk = new EventWalk(this.#retained, selection, 'forwards', { after, until })
    let position = after
    for (const event of walk.events()) {
      gaps.advance(position)
      if (walk.looked > LOOKED_AT || (event && selection.hasType(event.type) && !visit(event)))
        return gaps.result(position, true)
      position = walk.position
      yield
    }
    gaps.advance(position)
    return gaps.result(Math.max(after, until), false)
  }

  *#before(selection: Selection, count: number, until = this.#retained.head): Work<number> {
    if (count === 0) return until
    let found = 0
    for (const event of new EventWalk(this.#retained, selection, 'backwards', { after: 0, until }).events()) {
      if (event && selection.hasType(event.type) && ++found === count) return event.sequence - 1
      yield
    }
    return 0
  }
}
