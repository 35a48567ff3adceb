/**
 * A named cursor is the position up to which a subject has acknowledged events. The subject's streams can continue
 * there on any device. Only an acknowledgement moves a named cursor: bytes that a socket has accepted may still never
 * be read.
 */
import type { KeyValue } from '../log/log.js'
import { monotonicNow, wallNow } from '../model/clock.js'
import { parseCursor, printCursor } from '../model/cursor.js'
import { HubError } from '../model/hub-error.js'
import { CursorRecords, type Entry, type SubjectCursors } from './cursor-records.js'
import type { Stream } from './stream.js'

/** The key of a named cursor. */
export interface CursorName {
  subject: string
  name: string
}

/** A named cursor. */
export interface NamedCursor {
  name: string
  /** Everything up to this cursor is acknowledged. */
  id: string
  /** When the named cursor expires unless it is used before, in milliseconds since the Unix epoch. */
  expiresAt: number
}

export interface NamedCursorsOptions {
  /** Returns the epoch of the log. */
  epoch: () => string
  /** The maximum number of named cursors of a subject. */
  limit: number
  /** The time after the last use at which a named cursor expires, in milliseconds. */
  ttl: number
  /** Receives errors of background work. */
  onError: (err: unknown, message: string) => void
  /** Calls `touch` in the process that writes the cursor; default: this process. */
  touch?: (cursor: CursorName) => Promise<void>
}

/** A use is recorded if the last recorded use is older than this part of `ttl`. */
const USE_PRECISION = 1 / 10
/** How many open cursors a tick visits at most, and how many uses it records at most. */
const TICK_LOOKS = 1_000
const TICK_WRITES = 50
/** The longest delay before a failed write is tried again, in milliseconds. */
const RETRY = 3_600_000

/** A named cursor of open streams. It is in use, so it must not expire. */
interface OpenCursor {
  readonly cursor: CursorName
  streams: number
  /** When the cursor was opened or its use was last recorded, on the wall clock. */
  noted: number
}

export class NamedCursors {
  readonly #records: CursorRecords
  readonly #options: NamedCursorsOptions
  readonly #streams = new Map<Stream, OpenCursor>()
  /** By subject, then by name. */
  readonly #open = new Map<string, Map<string, OpenCursor>>()
  #round: Iterator<OpenCursor> | undefined
  /** When uses are recorded again after a failure, on the monotonic clock. */
  #retryAt = 0

  constructor(records: KeyValue, options: NamedCursorsOptions) {
    this.#records = new CursorRecords(records, options.ttl)
    this.#options = options
  }

  /** Returns a named cursor; `undefined`: the subject has none of that name. */
  async get(cursor: CursorName): Promise<NamedCursor | undefined> {
    const entry = await this.#records.run(cursor.subject, (cursors) => this.#entry(cursors, cursor))
    return entry && this.#describe(cursor.name, entry)
  }

  /** Returns the named cursors of a subject, sorted by name. */
  async list(subject: string): Promise<NamedCursor[]> {
    const entries = await this.#records.run(subject, (cursors) => this.#entries(cursors, subject))
    return [...entries].map(([name, entry]) => this.#describe(name, entry)).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /**
   * Acknowledges everything up to `sequence`. A named cursor of this log never moves backwards. Resolves when the
   * change is durable.
   * @returns the resulting cursor
   * @throws HubError `too-many-cursors`, `log-unavailable`
   */
  async acknowledge(cursor: CursorName, sequence: number): Promise<NamedCursor> {
    const { entry, done } = await this.#records.run(cursor.subject, (cursors) =>
      this.#acknowledge(cursors, cursor, sequence),
    )
    await done
    return this.#describe(cursor.name, entry)
  }

  /**
   * Records that a stream with a named cursor opens. A new cursor is stored at the start of the stream, so that a
   * stream without acknowledgements loses nothing. Resolves when a new cursor is durable.
   * @param sequence the start of the stream
   * @param isProof whether the request proves that the subscriber has read up to `sequence`, which acknowledges it
   * @throws HubError `too-many-cursors`, `log-unavailable` if the cursor is new
   */
  async use(cursor: CursorName, sequence: number, isProof: boolean): Promise<void> {
    const { isKnown, done } = await this.#records.run(cursor.subject, async (cursors) => {
      const known = await this.#entry(cursors, cursor)
      if (known && !isProof) return { isKnown: true, done: this.#touch(cursors, cursor, known) }
      return { isKnown: known !== undefined, done: (await this.#acknowledge(cursors, cursor, sequence)).done }
    })
    if (isKnown) done?.catch((err: unknown) => this.#tell(err))
    else await done
  }

  /**
   * Deletes a named cursor. Resolves when that is durable.
   * @returns whether the cursor existed
   * @throws HubError `log-unavailable`
   */
  async delete(cursor: CursorName): Promise<boolean> {
    const { isKnown, done } = await this.#records.run(cursor.subject, async (cursors) => {
      const known = await this.#entry(cursors, cursor)
      return { isKnown: known !== undefined, done: known && cursors.write(cursor.name, undefined) }
    })
    await done
    return isKnown
  }

  /**
   * Records the use of a named cursor, if it exists. Resolves when that is durable.
   * @throws HubError `log-unavailable`
   */
  async touch(cursor: CursorName): Promise<void> {
    const { done } = await this.#records.run(cursor.subject, async (cursors) => {
      const entry = await cursors.get(cursor.name)
      return { done: entry && this.#touch(cursors, cursor, entry) }
    })
    await done
  }

  /** Marks a named cursor as in use by an open stream. Call `use` before. */
  opened(cursor: CursorName, stream: Stream): void {
    const { subject, name } = cursor
    let names = this.#open.get(subject)
    if (!names) this.#open.set(subject, (names = new Map<string, OpenCursor>()))
    let open = names.get(name)
    if (!open) names.set(name, (open = { cursor, streams: 0, noted: wallNow() }))
    open.streams++
    this.#streams.set(stream, open)
  }

  /** Ends the use of a named cursor by a stream. */
  closed(stream: Stream): void {
    const open = this.#streams.get(stream)
    if (!open) return
    this.#streams.delete(stream)
    if (this.#isOld(open.noted)) this.#note(open)
    if (--open.streams > 0) return
    const { subject, name } = open.cursor
    const names = this.#open.get(subject)
    names?.delete(name)
    if (names?.size === 0) this.#open.delete(subject)
  }

  /** Records the uses of the cursors of open streams, some at a time, in turn. Call it a few times a second. */
  tick(): void {
    if (monotonicNow() < this.#retryAt) return
    let writes = 0
    for (let look = 0; look < TICK_LOOKS && writes < TICK_WRITES; look++) {
      const next = (this.#round ??= this.#openCursors()).next()
      if (next.done) {
        this.#round = undefined
        return
      }
      if (!this.#isOld(next.value.noted)) continue
      this.#note(next.value)
      writes++
    }
  }

  /** Resolves when every write is done. */
  close(): Promise<void> {
    return this.#records.settled()
  }

  *#openCursors(): Generator<OpenCursor, undefined> {
    for (const names of this.#open.values()) yield* names.values()
  }

  /** Records the use of an open cursor. */
  #note(open: OpenCursor): void {
    const { cursor } = open
    const { touch = (name: CursorName) => this.touch(name) } = this.#options
    open.noted = wallNow()
    touch(cursor).catch((err: unknown) => this.#tell(err))
  }

  async #acknowledge(
    cursors: SubjectCursors,
    cursor: CursorName,
    sequence: number,
  ): Promise<{ entry: Entry; done: Promise<void> }> {
    const epoch = this.#options.epoch()
    const known = await this.#entry(cursors, cursor)
    if (!known) await this.#requireRoom(cursors, cursor.subject)
    const at = known && parseCursor(known.id)
    const id = at?.epoch === epoch && at.sequence >= sequence ? known!.id : printCursor(epoch, sequence)
    if (known && id === known.id && !this.#isOld(known.used)) {
      return { entry: known, done: cursors.written(cursor.name) }
    }
    const entry = { id, used: wallNow() }
    return { entry, done: cursors.write(cursor.name, entry) }
  }

  /** Records the use of a cursor, unless a recent use is recorded. */
  #touch(cursors: SubjectCursors, { name }: CursorName, { id, used }: Entry): Promise<void> | undefined {
    return this.#isOld(used) ? cursors.write(name, { id, used: wallNow() }) : undefined
  }

  /** Reports an error, and delays the next attempt. */
  #tell(err: unknown): void {
    this.#retryAt = monotonicNow() + Math.min(RETRY, this.#options.ttl * USE_PRECISION)
    this.#options.onError(err, 'a named cursor could not be written')
  }

  /**
   * Whether a use is old enough to record another one. A use in the future is from a clock that was ahead, and counts
   * as old.
   */
  #isOld(used: number): boolean {
    const age = wallNow() - used
    return age < 0 || age > this.#options.ttl * USE_PRECISION
  }

  #describe(name: string, { id, used }: Entry): NamedCursor {
    return { name, id, expiresAt: used + this.#options.ttl }
  }

  /** Returns the entry of a cursor; `undefined`: there is none, or it has expired. */
  async #entry(cursors: SubjectCursors, { subject, name }: CursorName): Promise<Entry | undefined> {
    const entry = await cursors.get(name)
    return entry && this.#isForgotten(subject, name, entry) ? undefined : entry
  }

  async #entries(cursors: SubjectCursors, subject: string): Promise<Map<string, Entry>> {
    const entries = await cursors.all()
    for (const [name, entry] of entries) if (this.#isForgotten(subject, name, entry)) entries.delete(name)
    return entries
  }

  /**
   * Whether an entry has expired, and no open stream uses its cursor. The log expires an entry by the `ttl` of its
   * write; the setting may be shorter now.
   */
  #isForgotten(subject: string, name: string, { used }: Entry): boolean {
    return wallNow() - used > this.#options.ttl && this.#open.get(subject)?.has(name) !== true
  }

  async #requireRoom(cursors: SubjectCursors, subject: string): Promise<void> {
    const { limit } = this.#options
    if ((await this.#entries(cursors, subject)).size < limit) return
    throw new HubError(
      'too-many-cursors',
      `The subject has ${limit} named cursors, the maximum (FANFARE_MAX_CURSORS_PER_SUBJECT). Delete one that is no longer used (DELETE /cursors/{name}).`,
    )
  }
}
