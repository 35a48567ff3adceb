/**
 * Named cursors: how far a subject has read, by its own account, so that its streams go on from there on any device. A
 * cursor moves by proof of receipt only: what a socket has taken, the subscriber may never have read.
 */
import { createHash } from 'node:crypto'
import type { Records } from '../log/log.js'
import { monotonicNow, wallNow } from '../model/clock.js'
import { parseCursor, printCursor } from '../model/cursor.js'
import { HubError } from '../model/hub-error.js'
import type { Stream } from './stream.js'

/** Whose cursor, and which. */
export interface CursorName {
  subject: string
  name: string
}

/** A named cursor. */
export interface NamedCursor {
  name: string
  /** Everything up to here is acknowledged. */
  id: string
  /** When it is forgotten unless it is used before, in milliseconds since the epoch of Unix. */
  expiresAt: number
}

export interface NamedCursorsOptions {
  /** The epoch of the log. */
  epoch: string
  /** The most cursors of a subject. */
  limit: number
  /** After how long without use a cursor is forgotten, in milliseconds. */
  ttl: number
  /** Told of what went wrong where nobody waits for an answer. */
  onError: (err: unknown, message: string) => void
}

/** What is stored of a cursor. Times are of the wall clock, since they outlive the process. */
interface Entry {
  id: string
  /** When it was last used, in milliseconds since the epoch of Unix. */
  used: number
}

/** An entry that is being written; `undefined`: it is being deleted. */
interface Write {
  entry: Entry | undefined
  done: Promise<void>
}

const PREFIX = 'cursor/'
/** A use is written down when the last one that was is older than this part of `ttl`. */
const USE_PRECISION = 1 / 10
/** How many cursors one step of the sweep looks at. */
const SWEEP_STEP = 50
/** The longest time between two sweeps, in milliseconds. */
const SWEEP_INTERVAL = 3_600_000

export class NamedCursors {
  readonly #records: Records
  readonly #options: NamedCursorsOptions
  /** By the prefix of a subject's keys, then by key: what is not durable yet counts already. */
  readonly #writes = new Map<string, Map<string, Write>>()
  /** The open streams that name a cursor: its key. */
  readonly #streams = new Map<Stream, string>()
  /** How many open streams name a cursor, by its key. */
  readonly #open = new Map<string, number>()
  #sweep: Iterator<{ key: string; value: unknown }> | undefined
  /** When the next sweep begins, on the monotonic clock. */
  #sweepAt = 0

  constructor(records: Records, options: NamedCursorsOptions) {
    this.#records = records
    this.#options = options
  }

  /** Returns a cursor; `undefined` when the subject has none of that name. */
  get({ subject, name }: CursorName): NamedCursor | undefined {
    const prefix = prefixOf(subject)
    const entry = this.#entry(prefix, prefix + name)
    return entry && this.#describe(name, entry)
  }

  /** Returns the cursors of a subject, by name. */
  list(subject: string): NamedCursor[] {
    const prefix = prefixOf(subject)
    return [...this.#entries(prefix)]
      .map(([key, entry]) => this.#describe(key.slice(prefix.length), entry))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /**
   * Acknowledges everything up to `sequence`. A cursor of this log never moves backwards. Resolves when it is durable.
   * @returns the cursor as it is then
   * @throws HubError `too-many-cursors`, `log-unavailable`
   */
  async acknowledge({ subject, name }: CursorName, sequence: number): Promise<NamedCursor> {
    const { epoch } = this.#options
    const prefix = prefixOf(subject)
    const key = prefix + name
    const known = this.#entry(prefix, key)
    if (!known) this.#requireRoom(prefix)
    const at = known && parseCursor(known.id)
    const id = at?.epoch === epoch && at.sequence >= sequence ? known!.id : printCursor(epoch, sequence)
    const entry = { id, used: wallNow() }
    if (id === known?.id && !this.#isStale(known)) await this.#writes.get(prefix)?.get(key)?.done
    else await this.#write(prefix, key, entry)
    return this.#describe(name, entry)
  }

  /**
   * Notes that a stream with a cursor is opened. A new cursor is kept where the stream begins: what comes before its
   * first acknowledgement is not lost. Resolves when that is durable.
   * @param sequence where the stream begins
   * @param isProof whether the subscriber has proved that it has read up to there; the stream does not wait for that to
   *   be durable
   * @throws HubError `too-many-cursors`, `log-unavailable` where the cursor is new
   */
  async use(cursor: CursorName, sequence: number, isProof: boolean): Promise<void> {
    const prefix = prefixOf(cursor.subject)
    const known = this.#entry(prefix, prefix + cursor.name)
    if (!known || isProof) {
      const acknowledged = this.acknowledge(cursor, sequence)
      if (known) acknowledged.catch((err: unknown) => this.#tell(err))
      else await acknowledged
    } else this.#touch(prefix, prefix + cursor.name, known)
  }

  /**
   * Forgets a cursor. Resolves when that is durable.
   * @returns whether there was one
   * @throws HubError `log-unavailable`
   */
  async delete({ subject, name }: CursorName): Promise<boolean> {
    const prefix = prefixOf(subject)
    const key = prefix + name
    if (!this.#entry(prefix, key)) return false
    await this.#write(prefix, key, undefined)
    return true
  }

  /** A stream that names a cursor is open: the cursor is in use. */
  opened({ subject, name }: CursorName, stream: Stream): void {
    const key = prefixOf(subject) + name
    this.#streams.set(stream, key)
    this.#open.set(key, (this.#open.get(key) ?? 0) + 1)
  }

  /** A stream has ended. */
  closed(stream: Stream): void {
    const key = this.#streams.get(stream)
    if (key === undefined) return
    const prefix = prefixOfKey(key)
    const entry = this.#entry(prefix, key)
    this.#streams.delete(stream)
    const left = this.#open.get(key)! - 1
    if (left > 0) this.#open.set(key, left)
    else this.#open.delete(key)
    if (entry) this.#touch(prefix, key, entry)
  }

  /**
   * Looks at some cursors, in turn, and forgets those that have not been used for too long. To be called a few times a
   * second.
   */
  tick(): void {
    if (!this.#sweep && monotonicNow() < this.#sweepAt) return
    const sweep = (this.#sweep ??= this.#records.walk(PREFIX))
    for (let step = 0; step < SWEEP_STEP; step++) {
      const next = sweep.next()
      if (next.done) return this.#endSweep()
      this.#inspect(next.value.key, next.value.value)
    }
  }

  /** Resolves when everything is written. */
  async close(): Promise<void> {
    await Promise.allSettled(
      [...this.#writes.values()].flatMap((writes) => [...writes.values()].map(({ done }) => done)),
    )
  }

  #endSweep(): void {
    this.#sweep = undefined
    this.#sweepAt = monotonicNow() + Math.min(SWEEP_INTERVAL, this.#options.ttl * USE_PRECISION)
  }

  #inspect(key: string, value: unknown): void {
    const prefix = prefixOfKey(key)
    if (this.#writes.get(prefix)?.has(key)) return
    const entry = toEntry(value)
    const isForgotten = this.#isExpired(entry) && !this.#open.has(key)
    if (isForgotten) this.#write(prefix, key, undefined).catch((err: unknown) => this.#tell(err))
    // a time to come is of a clock that was ahead, and would keep the cursor for so much longer
    else if (this.#isExpired(entry) || entry.used > wallNow() || typeof value === 'string')
      this.#touch(prefix, key, { ...entry, used: 0 })
  }

  /** Writes down that a cursor is used, unless that was written a short while ago. */
  #touch(prefix: string, key: string, entry: Entry): void {
    if (this.#isStale(entry))
      this.#write(prefix, key, { id: entry.id, used: wallNow() }).catch((err: unknown) => this.#tell(err))
  }

  /** Where nothing can be written, the sweep begins anew later. */
  #tell(err: unknown): void {
    this.#endSweep()
    this.#options.onError(err, 'a named cursor could not be written')
  }

  #isExpired({ used }: Entry): boolean {
    return wallNow() - used > this.#options.ttl
  }

  #isStale({ used }: Entry): boolean {
    return wallNow() - used > this.#options.ttl * USE_PRECISION
  }

  #describe(name: string, { id, used }: Entry): NamedCursor {
    return { name, id, expiresAt: used + this.#options.ttl }
  }

  /** What there is of a key; `undefined`: nothing, or something that is to be forgotten. */
  #entry(prefix: string, key: string): Entry | undefined {
    const writing = this.#writes.get(prefix)?.get(key)
    const value = writing ? writing.entry : this.#records.get(key)
    return value === undefined ? undefined : this.#unlessForgotten(key, toEntry(value))
  }

  #unlessForgotten(key: string, entry: Entry): Entry | undefined {
    return this.#isExpired(entry) && !this.#open.has(key) ? undefined : entry
  }

  #entries(prefix: string): Map<string, Entry> {
    const entries = new Map(this.#records.list(prefix).map(({ key, value }) => [key, toEntry(value)]))
    for (const [key, { entry }] of this.#writes.get(prefix) ?? []) {
      if (entry) entries.set(key, entry)
      else entries.delete(key)
    }
    for (const [key, entry] of entries) if (!this.#unlessForgotten(key, entry)) entries.delete(key)
    return entries
  }

  #requireRoom(prefix: string): void {
    const { limit } = this.#options
    if (this.#entries(prefix).size < limit) return
    throw new HubError(
      'too-many-cursors',
      `The subject has ${limit} named cursors, as many as it may have (FANFARE_MAX_CURSORS_PER_SUBJECT): delete one that is not used any more (DELETE /cursors/{name}).`,
    )
  }

  /** Writes are done in the order in which they are begun, so the last one counts. */
  #write(prefix: string, key: string, entry: Entry | undefined): Promise<void> {
    const writes = this.#writes.get(prefix) ?? new Map<string, Write>()
    this.#writes.set(prefix, writes)
    const done = entry ? this.#records.put(key, entry) : this.#records.delete(key)
    const write: Write = { entry, done }
    writes.set(key, write)
    const settle = () => {
      if (writes.get(key) === write) writes.delete(key)
      if (writes.size === 0 && this.#writes.get(prefix) === writes) this.#writes.delete(prefix)
    }
    done.then(settle, settle)
    return done
  }
}

/** A subject may be longer than a key, and is nobody's business but its own. */
function prefixOf(subject: string): string {
  return `${PREFIX}${createHash('sha256').update(subject).digest('base64url')}/`
}

function prefixOfKey(key: string): string {
  return key.slice(0, key.indexOf('/', PREFIX.length) + 1)
}

/** Reads what is stored: versions before 0.2 stored the cursor alone, which counts as used now. */
function toEntry(value: unknown): Entry {
  return typeof value === 'string' ? { id: value, used: wallNow() } : (value as Entry)
}
