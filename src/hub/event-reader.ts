/**
 * Reads events for the application's own code: first the log after a cursor, then each new event. An iterator keeps no
 * queue. It reads a page, returns its events one by one, and reads the next page when the application asks for more. At
 * the head of the log it waits until the hub reports an event of its selection.
 */
import { FairScheduler } from '../event-loop/fair-scheduler.js'
import type { EventLog, Page } from '../log/log.js'
import { readPage } from '../log/page.js'
import { parseCursor, printCursor } from '../model/cursor.js'
import { requireType, type StoredEvent } from '../model/event.js'
import { toHistoryEvent, type HistoryEvent } from '../model/history-event.js'
import { HubError } from '../model/hub-error.js'
import { requireOptions } from '../model/options.js'
import { quote } from '../model/quote.js'
import { Selection } from '../model/selection.js'
import { isReserved, requirePattern } from '../model/topic.js'

/**
 * The maximum number of events of a page, and of bytes of their payloads. A single larger event is a page of its own.
 */
const PAGE_EVENTS = 100
const PAGE_BYTES = 256 * 1024

/** An event of the log, as in a page of history. Pass its `id` as `from` to continue after it. */
export interface HubEvent extends HistoryEvent {
  gap?: undefined
}

/** Reports missing events. It comes before the first event after them. */
export interface EventGap {
  /** Pass this id as `from` to continue after the missing events, without the same gap again. */
  id: string
  gap: {
    /**
     * `expired`: the events were trimmed or purged. `epoch`: the cursor belongs to another log. `future`: the cursor
     * lies beyond the head of the log.
     */
    reason: 'expired' | 'epoch' | 'future'
    /** The cursor before the missing events. */
    after: string
    /** The id of the first event after the gap; `null`: there is none yet. */
    oldest: string | null
  }
}

export interface EventsOptions {
  /**
   * Where to begin: at the oldest retained event, at a time, or after an id. Default: at the next event that is
   * published.
   */
  from?: 'start' | Date | (string & {}) | undefined
  /** Only events of these types; default: all. */
  types?: readonly string[] | undefined
  /** Ends the iteration. */
  signal?: AbortSignal | undefined
}

/** The state that all iterators of a hub share. */
interface Source {
  readonly log: EventLog
  /** Returns the newest sequence that may be read. */
  readonly head: () => number
  readonly cursor: (sequence: number) => string
  /** Waits for a cursor that another process may have sent already. */
  readonly caughtUp: (id: string) => Promise<void>
  readonly scheduler: FairScheduler
  readonly waiting: Set<EventReader>
  /** Whether the hub is about to close. */
  hasEnded: boolean
}

/** All iterators of one hub. */
export class EventReaders {
  readonly #source: Source

  /**
   * @param head returns the newest sequence that may be read
   * @param cursor returns the cursor of a sequence
   * @param caughtUp waits for a cursor that another process may have sent already
   */
  constructor(
    log: EventLog,
    head: () => number,
    cursor: (sequence: number) => string,
    caughtUp: (id: string) => Promise<void>,
  ) {
    this.#source = { log, head, cursor, caughtUp, scheduler: new FairScheduler(), waiting: new Set(), hasEnded: false }
  }

  /**
   * Creates an iterator.
   * @throws HubError `invalid-pattern`, `reserved-topic`, `invalid-event` for a type, `invalid-cursor` for `from`,
   *   `invalid-request` for other options
   */
  open(patterns: string | readonly string[], options: EventsOptions): AsyncIterableIterator<HubEvent | EventGap> {
    const { from, types = [], signal } = requireOptions(options, 'The options of events', OPTIONS)
    return new EventReader(this.#source, selectionOf(patterns, types), beginningOf(from), requireSignal(signal))
  }

  /** Reports an event of the log to the waiting iterators. Called once the event may be read. */
  published(event: StoredEvent): void {
    for (const reader of this.#source.waiting) reader.published(event)
  }

  /** Makes all iterators yield a gap, and continue with the log that has replaced the previous one. */
  replaced(): void {
    for (const reader of this.#source.waiting) reader.wake()
  }

  /** Ends all iterators. */
  end(): void {
    this.#source.hasEnded = true
    for (const reader of this.#source.waiting) reader.wake()
  }
}

const OPTIONS = ['from', 'types', 'signal'] as const

type Beginning = { sequence: number; gap?: Gap } | { time: number } | 'now'
type Gap = Pick<EventGap['gap'], 'reason' | 'after'>

class EventReader implements AsyncIterableIterator<HubEvent | EventGap, undefined> {
  readonly #source: Source
  readonly #selection: Selection
  readonly #signal: AbortSignal | undefined
  readonly #items: AsyncGenerator<HubEvent | EventGap, undefined>
  /** The iterator has returned every event of its selection up to this sequence. */
  #position: number
  /** A gap that is reported once the event after it is known. */
  #gap: Gap | undefined
  /** The epoch of the log that the position belongs to. */
  #epoch: string
  /** Trims up to this mark have been reported. */
  #knownMark = 0
  /** Whether `return()` has been called. */
  #isStopped = false
  #wake: (() => void) | undefined

  constructor(
    source: Source,
    selection: Selection,
    begin: (log: EventLog, head: number) => Beginning,
    signal: AbortSignal | undefined,
  ) {
    this.#source = source
    this.#selection = selection
    this.#signal = signal
    this.#epoch = source.log.view.epoch
    const head = source.head()
    const beginning = begin(source.log, head)
    this.#position = head
    if (beginning !== 'now' && 'sequence' in beginning) {
      this.#position = beginning.sequence
      this.#gap = beginning.gap
    }
    this.#items = this.#read(beginning !== 'now' && 'time' in beginning ? beginning.time : undefined)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<HubEvent | EventGap, undefined>> {
    return this.#items.next()
  }

  /** Ends the iteration, even while a `next()` waits. */
  return(): Promise<IteratorResult<HubEvent | EventGap, undefined>> {
    this.#isStopped = true
    this.wake()
    return this.#items.return(undefined)
  }

  /** Called while the iterator waits. An event of the selection wakes it; any other event moves its position. */
  published({ sequence, topic, type }: StoredEvent): void {
    if (this.#selection.hasTopic(topic) && this.#selection.hasType(type)) this.wake()
    else this.#position = sequence
  }

  /** Ends a wait. Later events of the same batch must not move the position. */
  wake(): void {
    this.#source.waiting.delete(this)
    this.#wake?.()
  }

  /** Whether the log of the position has been replaced. */
  #isReplaced(): boolean {
    return this.#epoch !== this.#source.log.view.epoch
  }

  get #hasEnded(): boolean {
    return this.#isStopped || this.#source.hasEnded || this.#signal?.aborted === true
  }

  /** @param time a time to begin at; default: the current position */
  async *#read(time: number | undefined): AsyncGenerator<HubEvent | EventGap, undefined> {
    try {
      if (time !== undefined && !this.#hasEnded) await this.#goTo(time)
      if (this.#gap?.reason === 'future') await this.#catchUpWith(this.#gap.after)
      while (!this.#hasEnded) {
        this.#followReplacement()
        if (this.#position >= this.#source.head() && !this.#gap) await this.#wait()
        else yield* this.#readPage()
      }
    } catch (err) {
      if (!this.#hasEnded) throw err // the error is the result of closing the log
    }
  }

  /** Goes to the beginning of a log that has replaced the previous one. */
  #followReplacement(): void {
    if (!this.#isReplaced()) return
    this.#gap ??= { reason: 'epoch', after: printCursor(this.#epoch, this.#position) }
    this.#epoch = this.#source.log.view.epoch
    this.#position = 0
    this.#knownMark = 0
  }

  async #goTo(time: number): Promise<void> {
    const { log } = this.#source
    this.#position = Math.min(this.#position, (await log.locate(this.#selection, { from: time })).after)
  }

  /** Waits for a cursor that this process may not know yet. */
  async #catchUpWith(after: string): Promise<void> {
    await this.#source.caughtUp(after)
    const { sequence } = parseCursor(after)!
    if (sequence > this.#source.head()) return
    this.#position = sequence
    this.#gap = undefined
  }

  async *#readPage(): AsyncGenerator<HubEvent | EventGap, undefined> {
    const { head, log, scheduler } = this.#source
    await scheduler.next()
    const page = await readPage(log, this.#selection, {
      after: this.#position,
      until: head(),
      events: PAGE_EVENTS,
      bytes: PAGE_BYTES,
    })
    if (this.#isReplaced()) return
    const gap = this.#gapBefore(page)
    if (gap && !this.#hasEnded) yield gap
    for (const event of page.events) {
      if (this.#hasEnded || this.#isReplaced()) return
      this.#position = event.sequence
      yield toHistoryEvent(event, this.#source.cursor(event.sequence))
    }
    if (!this.#isReplaced()) this.#position = page.position
  }

  /** Returns the gap before the events of a page. */
  #gapBefore(page: Page): EventGap | undefined {
    const {
      events: [oldest],
      more,
      position,
      trimmedAt,
      mark,
    } = page
    const isNew = trimmedAt !== undefined && trimmedAt > this.#knownMark
    const missing =
      this.#gap ?? (isNew ? { reason: 'expired' as const, after: this.#source.cursor(this.#position) } : undefined)
    this.#gap = undefined
    if (!missing) return undefined
    if (!oldest && more) {
      // a later page has the event after the gap
      this.#gap = missing
      return undefined
    }
    this.#knownMark = mark
    const { cursor } = this.#source
    return {
      id: cursor(oldest ? oldest.sequence - 1 : position),
      gap: { ...missing, oldest: oldest ? cursor(oldest.sequence) : null },
    }
  }

  /** Resolves when an event can be read, or the iteration must end. */
  async #wait(): Promise<void> {
    const { waiting } = this.#source
    const onAbort = (): void => this.wake()
    this.#signal?.addEventListener('abort', onAbort)
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      waiting.add(this)
    })
    this.#signal?.removeEventListener('abort', onAbort)
    this.#wake = undefined
  }
}

/** Checks patterns and types. A program without types may pass anything. */
function selectionOf(patterns: unknown, types: unknown): Selection {
  const asked: unknown[] = Array.isArray(patterns) ? patterns : [patterns]
  if (asked.length === 0) throw new HubError('invalid-pattern', 'Expected at least one topic or pattern.')
  const checked = asked.map((pattern) => {
    if (typeof pattern !== 'string')
      throw new HubError('invalid-pattern', `A topic or pattern is a string, not ${quote(pattern)}.`)
    requirePattern(pattern)
    return pattern
  })
  const reserved = checked.find(isReserved)
  if (reserved !== undefined)
    throw new HubError('reserved-topic', `${quote(reserved)} is a system topic: the log has none of its events.`)
  if (!Array.isArray(types))
    throw new HubError('invalid-event', `types is an array of event types, not ${quote(types)}.`)
  for (const type of types as unknown[]) requireType(type)
  return new Selection(checked, types as string[])
}

function requireSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw new HubError('invalid-request', `signal is an AbortSignal, not ${quote(signal)}.`)
}

/** Reads `from`. Returns a function that finds the beginning in a log. */
function beginningOf(from: unknown): (log: EventLog, head: number) => Beginning {
  if (from === undefined) return () => 'now'
  if (from === 'start') return () => ({ sequence: 0 })
  if (from instanceof Date && !Number.isNaN(from.getTime())) return () => ({ time: from.getTime() })
  const cursor = typeof from === 'string' ? parseCursor(from) : undefined
  if (!cursor)
    throw new HubError('invalid-cursor', `from is "start", a Date or the id of an event, not ${quote(from)}.`)
  return (log, head) => {
    const reason = cursor.epoch !== log.view.epoch ? 'epoch' : cursor.sequence > head ? 'future' : undefined
    return reason ? { sequence: 0, gap: { reason, after: from as string } } : { sequence: cursor.sequence }
  }
}
