/**
 * The events of a topic as one list, newest first: pages of history below, live events on top. The list is a part of
 * the log without holes. It grows at both ends, and stops growing at the top while it is paused.
 */
import { signal } from '@preact/signals'
import { topicPath } from './address.js'
import { call, messageOf, Refusal } from './api.js'
import { toLiveEvent, type LiveEvent, type PublishedEvent } from './events.js'
import { LiveStream } from './stream.js'

/** The number of events in a page of history. */
const PAGE = 100
/** How many events the list keeps while it grows at the top, and how many events wait while it is paused. */
const KEPT = 10_000
/** The delay before a failed first page is asked for again, in milliseconds. */
const RETRY = 3_000

/** An event as the list shows it. */
export interface ListedEvent extends LiveEvent {
  /** Unique in the list: an ephemeral event has no id. */
  key: string
  /** The payload as one line. */
  text: string
}

interface HistoryPage {
  events: (PublishedEvent & { id: string })[]
  cursor: string
  more: boolean
  gap: { reason: string } | null
}

export class EventFeed {
  readonly events = signal<readonly ListedEvent[]>([])
  /** How many live events wait until the list continues. */
  readonly waiting = signal(0)
  readonly isPaused = signal(false)
  /** Whether the newest event of the list is followed by the live events. */
  readonly isAtHead = signal(true)
  readonly hasOlder = signal(false)
  readonly isLoading = signal(true)
  readonly error = signal<string | undefined>(undefined)
  /** Whether the hub refused the history for lack of a grant. */
  readonly isForbidden = signal(false)
  /** The stream, once the first page is there. */
  readonly stream = signal<LiveStream | undefined>(undefined)
  readonly #path: string
  readonly #topic: string
  readonly #query: Record<string, string>
  readonly #left = new AbortController()
  /** Live events that the list does not have yet, oldest first. */
  #pending: ListedEvent[] = []
  #ephemeral = 0
  #frame: number | undefined
  #timer: number | undefined
  /** Settles with the newest request. */
  #loaded: Promise<void> = Promise.resolve()
  /** The number of requests that have not ended. */
  #loads = 0

  /** @param type only events of this type; `undefined`: of all types */
  constructor(topic: string, type: string | undefined) {
    this.#topic = topic
    this.#path = topicPath(topic, '/events')
    this.#query = type === undefined ? {} : { type }
    void this.#begin()
  }

  close(): void {
    this.#left.abort()
    this.stream.value?.close()
    window.clearTimeout(this.#timer)
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame)
  }

  pause(): void {
    this.isPaused.value = true
  }

  /** Continues with the live events. Goes to the newest events if the list is elsewhere. */
  async resume(): Promise<void> {
    this.isPaused.value = false
    if (this.isAtHead.value) return this.#show()
    await this.#load(async () => {
      const page = await this.#page({ last: String(PAGE) })
      this.#replace(page, page.events.length >= PAGE)
      this.#reachHead()
    })
  }

  /** Adds a page of older events. */
  async loadOlder(): Promise<void> {
    await this.#load(async () => {
      const oldest = this.events.value.findLast(({ id }) => id !== undefined)?.id
      if (oldest === undefined || !this.hasOlder.value) return
      for (let limit = PAGE; ; limit = Math.max(1, Math.floor(limit / 10))) {
        const page = await this.#page({ before: oldest, limit: String(limit) })
        if (page.more && limit > 1) continue // the page has no room for the events next to the oldest
        this.events.value = [...this.events.value, ...page.events.map(listed).reverse()]
        this.hasOlder.value =
          page.gap === null && page.events.length > 0 && (limit < PAGE || page.events.length >= limit)
        return
      }
    })
  }

  /** Adds a page of newer events. */
  async loadNewer(): Promise<void> {
    await this.#load(async () => {
      const newest = this.events.value.find(({ id }) => id !== undefined)?.id
      if (newest === undefined || this.isAtHead.value) return
      const page = await this.#page({ after: newest, limit: String(PAGE) })
      this.events.value = [...page.events.map(listed).reverse(), ...this.events.value]
      if (!page.more) this.#reachHead()
    })
  }

  /**
   * Shows the events since a time instead, in milliseconds since the Unix epoch.
   * @returns whether there are any
   */
  async jumpTo(time: number): Promise<boolean> {
    let isFound = false
    await this.#load(async () => {
      const page = await this.#page({ from: new Date(time).toISOString(), limit: String(PAGE) })
      if (page.events.length === 0) return
      isFound = true
      this.#replace(page, true)
      this.isPaused.value = true
      this.isAtHead.value = false
      if (!page.more) this.#reachHead()
    })
    return isFound
  }

  async #begin(): Promise<void> {
    let cursor = ''
    await this.#load(async () => {
      const page = await this.#page({ last: String(PAGE) })
      // a user may have gone to a time after an earlier attempt has failed
      if (this.isAtHead.value) this.#replace(page, page.events.length >= PAGE)
      ;({ cursor } = page)
    })
    if (this.#left.signal.aborted) return
    if (cursor !== '') {
      this.stream.value = new LiveStream({
        topics: [this.#topic],
        type: this.#query['type'],
        after: cursor,
        onEvent: (event) => this.#take(event),
      })
    } else if (!this.isForbidden.value) this.#timer = window.setTimeout(() => void this.#begin(), RETRY)
  }

  #page(query: Record<string, string>): Promise<HistoryPage> {
    return call<HistoryPage>(this.#path, { query: { ...this.#query, ...query }, signal: this.#left.signal })
  }

  /** Runs requests one after the other: each begins at an end of the list that the one before has left. */
  #load(work: () => Promise<void>): Promise<void> {
    this.#loads++
    this.isLoading.value = true
    this.#loaded = this.#loaded.then(() => this.#run(work))
    return this.#loaded
  }

  async #run(work: () => Promise<void>): Promise<void> {
    try {
      if (!this.#left.signal.aborted) await work()
      this.error.value = undefined
    } catch (err) {
      if (this.#left.signal.aborted) return
      this.error.value = messageOf(err)
      this.isForbidden.value = err instanceof Refusal && (err.status === 403 || err.status === 404)
    } finally {
      this.isLoading.value = --this.#loads > 0
    }
  }

  #replace({ events }: HistoryPage, hasOlder: boolean): void {
    this.events.value = events.map(listed).reverse()
    this.hasOlder.value = hasOlder
  }

  /** Called when the list has every event of the log that was published before its last request. */
  #reachHead(): void {
    this.isAtHead.value = true
    if (!this.isPaused.value) this.#show()
  }

  #take(event: LiveEvent): void {
    const key = event.id ?? `ephemeral-${++this.#ephemeral}`
    this.#pending.push(listed({ ...event, key }))
    if (this.#pending.length > 2 * KEPT) this.#pending = this.#pending.slice(-KEPT)
    // Events of one animation frame are drawn together: a busy topic has more than a page can draw one by one.
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined
      if (this.isAtHead.value && !this.isPaused.value) this.#show()
      else this.waiting.value = this.#pending.length
    })
  }

  /** Adds the waiting events on top. */
  #show(): void {
    const newest = this.events.value.find(({ id }) => id !== undefined)?.id
    const missing = this.#pending.filter(({ id }) => id === undefined || isNewer(id, newest))
    this.#pending = []
    this.waiting.value = 0
    if (missing.length === 0) return
    const all = [...missing.reverse(), ...this.events.value]
    if (all.length > KEPT) this.hasOlder.value = true
    this.events.value = all.slice(0, KEPT)
  }
}

function listed(event: (PublishedEvent & { id: string }) | (LiveEvent & { key: string })): ListedEvent {
  const shown = 'key' in event ? event : { ...toLiveEvent(event, event.id), key: event.id }
  return { ...shown, text: shown.isText ? String(shown.data) : JSON.stringify(shown.data) }
}

/** Whether a cursor is behind another one. A cursor of another epoch is, since it came later. */
function isNewer(id: string, than: string | undefined): boolean {
  if (than === undefined) return true
  const [epoch, sequence] = split(id)
  const [otherEpoch, otherSequence] = split(than)
  return epoch !== otherEpoch || sequence > otherSequence
}

function split(cursor: string): [epoch: string, sequence: number] {
  const dash = cursor.indexOf('-')
  return [cursor.slice(0, dash), Number(cursor.slice(dash + 1))]
}
