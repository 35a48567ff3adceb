/** The ends of finite topics by time: their expiry, and the leases of their writers. */
import type { EventLog } from '../../log/log.js'
import { wallNow } from '../../model/clock.js'
import type { Entry } from './entry.js'
import { keyOf, type FiniteRecord } from './finite-record.js'
import type { EndStatus } from './finite-topic.js'
import type { Removal } from './removal.js'

/** The time between two looks at all topics, in milliseconds. */
const TICK = 250
/** A sign of life is stored once it is later than the last one by this part of the time that it extends. */
const NOTICED = 1 / 10
/** The maximum number of topics that are read or ended at once. */
const AT_ONCE = 16

export interface LifetimesSource {
  log: EventLog
  entries: ReadonlyMap<string, Entry>
  /** Whether this process ends topics for all processes. */
  isFirst: () => boolean
  isAlone: () => boolean
  load: (entry: Entry) => Promise<void>
  end: (entry: Entry, status: EndStatus) => Promise<unknown>
  removal: Removal
  onError: (err: unknown, message: string) => void
}

export class Lifetimes {
  readonly #source: LifetimesSource
  readonly #ttl: number
  #timer: NodeJS.Timeout | undefined
  /** The topics that are still to be looked at. */
  #sweep: Iterator<Entry> | undefined
  /** The topics that are being ended. */
  readonly #busy = new Set<Entry>()

  /** @param ttl the time after its newest event at which a topic without an expiry of its own expires */
  constructor(source: LifetimesSource, ttl: number) {
    this.#source = source
    this.#ttl = ttl
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), TICK).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#sweep = undefined
  }

  /** Whether a topic, whose events have been read, has expired. */
  hasExpired(entry: Entry): boolean {
    return wallNow() >= this.#expiryOf(entry)
  }

  /** Ends and removes a topic that has expired. */
  expire(entry: Entry): void {
    this.#do(entry, () => this.#source.removal.remove(entry, 'expired'))
  }

  /** Notes a read or an append. */
  touch(entry: Entry): void {
    const { ttl } = entry.record
    if (ttl !== undefined) this.#live(entry, ttl, undefined).catch((err: unknown) => this.#failed(err))
  }

  /**
   * Renews the lease of a writer that has nothing to say.
   * @param lease the new lease; `undefined`: it stays as it is
   */
  async renew(entry: Entry, lease: number | undefined): Promise<void> {
    const kept = leaseOf(entry)
    const span = Math.min(lease ?? kept ?? Infinity, entry.record.ttl ?? Infinity)
    await this.#live(entry, span, lease === kept ? undefined : lease)
  }

  /** @param span the time that the sign of life extends, in milliseconds */
  async #live(entry: Entry, span: number, lease: number | undefined): Promise<void> {
    const time = wallNow()
    entry.seen = time
    const stored = Math.max(entry.record.createdAt, entry.fold!.time, entry.record.touch?.time ?? 0)
    if (lease === undefined && time - stored < span * NOTICED) return
    const { record } = entry
    const kept = lease ?? record.touch?.lease
    const touched: FiniteRecord = { ...record, touch: kept === undefined ? { time } : { time, lease: kept } }
    // if another process has written it meanwhile, the topic has a sign of life too
    await this.#source.log.records.swap(keyOf(entry.topic), record, touched)
  }

  /** Looks at all topics: one process ends those whose time is over. */
  #tick(): void {
    const { entries, isFirst } = this.#source
    if (entries.size === 0 || !isFirst()) return
    this.#sweep ??= entries.values()
    this.#continue()
  }

  /** Looks at the next topics, a few at a time. */
  #continue(): void {
    const now = wallNow()
    while (this.#sweep && this.#busy.size < AT_ONCE) {
      const next = this.#sweep.next()
      if (next.done) this.#sweep = undefined
      else if (now >= next.value.lookAt) this.#do(next.value, () => this.#look(next.value, now))
    }
  }

  async #look(entry: Entry, now: number): Promise<void> {
    const { log, load, end, removal } = this.#source
    await load(entry)
    if (entry.isGone) return
    if (entry.record.epoch !== log.view.epoch) return removal.remove(entry, 'expired')
    if (entry.record.deleted) {
      entry.lookAt = now + DELETED
      return removal.remove(entry, 'expired')
    }
    const expiry = this.#expiryOf(entry)
    if (now >= expiry) return removal.remove(entry, 'expired')
    const lease = this.#leaseEndOf(entry)
    if (now >= lease) await end(entry, 'error')
    else entry.lookAt = Math.min(expiry, lease, now + LOOK)
  }

  #expiryOf(entry: Entry): number {
    const { record, fold, seen } = entry
    const { ttl, expiresAt, createdAt, touch } = record
    const written = Math.max(createdAt, fold!.time)
    if (fold!.status === 'expired') return -Infinity // its end is an event, but no sign of life
    if (expiresAt !== undefined) return expiresAt
    const alive = Math.max(written, touch?.time ?? 0, seen)
    if (ttl !== undefined) return alive + ttl * this.#patience
    // a writer that renews its lease is alive, also if it has had nothing to say for a long time
    return (this.#leaseEndOf(entry) < Infinity ? alive : written) + this.#ttl
  }

  /** Returns when the lease of the writer ends; `Infinity`: there is none. */
  #leaseEndOf(entry: Entry): number {
    const lease = leaseOf(entry)
    if (lease === undefined || entry.fold!.status !== 'open') return Infinity
    return Math.max(entry.fold!.time, entry.record.touch?.time ?? 0, entry.seen) + lease * this.#patience
  }

  /** Other processes store their signs of life a little late. */
  get #patience(): number {
    return this.#source.isAlone() ? 1 : 1 + NOTICED
  }

  #do(entry: Entry, work: () => Promise<void>): void {
    if (this.#busy.has(entry)) return
    this.#busy.add(entry)
    work()
      .catch((err: unknown) => {
        entry.lookAt = wallNow() + RETRY
        this.#failed(err)
      })
      .finally(() => {
        this.#busy.delete(entry)
        this.#continue()
      })
  }

  #failed(err: unknown): void {
    this.#source.onError(err, 'the time of a finite topic could not be kept')
  }
}

/** The maximum time between two looks at one topic, in milliseconds. */
const LOOK = 1_000
/** The time after which a failed attempt is repeated, in milliseconds. */
const RETRY = 5_000
/** The time between two looks at a deleted topic with forks, in milliseconds. */
const DELETED = 5_000

/** Returns the lease of the writer: that of its newest append with a lease, or of a later renewal. */
function leaseOf({ record: { touch }, fold }: Entry): number | undefined {
  return touch?.lease !== undefined && touch.time >= fold!.leasedAt ? touch.lease : fold!.lease
}
