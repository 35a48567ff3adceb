/**
 * The named cursors of subjects as the log's records. What this process is writing counts already, since it is asked
 * for before it is durable.
 */
import { createHash } from 'node:crypto'
import type { KeyValue } from '../log/log.js'
import { wallNow } from '../model/clock.js'

/** What is stored of a cursor. Times are of the wall clock, since they outlive the process. */
export interface Entry {
  id: string
  /** When it was last used, in milliseconds since the epoch of Unix. */
  used: number
}

/** An entry that is being written; `undefined`: it is being deleted. */
interface Write {
  entry: Entry | undefined
  done: Promise<void>
  /** It is durable, but a read that has begun before may not know it. */
  isStored: boolean
}

const PREFIX = 'cursor/'

/** The cursors of one subject. Only what `CursorRecords.run` runs may use it, and only until that is over. */
export class SubjectCursors {
  readonly #records: KeyValue
  readonly #ttl: number
  readonly #prefix: string
  readonly #writes = new Map<string, Write>()
  /** Settles when the last step that has been asked for is over. */
  #last: Promise<unknown> = Promise.resolve()
  #steps = 0

  constructor(records: KeyValue, ttl: number, prefix: string) {
    this.#records = records
    this.#ttl = ttl
    this.#prefix = prefix
  }

  /** Whether nothing is being done or written. */
  get isIdle(): boolean {
    return this.#steps === 0 && this.#writes.size === 0
  }

  /** Returns what there is of a name; `undefined`: nothing. */
  async get(name: string): Promise<Entry | undefined> {
    const value = this.#writes.has(name) ? undefined : await this.#records.get(this.#prefix + name)
    const writing = this.#writes.get(name)
    return writing ? writing.entry : this.#toEntry(value)
  }

  /** Returns all entries by name. */
  async all(): Promise<Map<string, Entry>> {
    const records = await this.#records.list(this.#prefix)
    const entries = new Map(records.map(({ key, value }) => [key.slice(this.#prefix.length), this.#toEntry(value)!]))
    for (const [name, { entry }] of this.#writes) {
      if (entry) entries.set(name, entry)
      else entries.delete(name)
    }
    return entries
  }

  /** Writes an entry, or deletes it. Writes are done in the order in which they are begun, so the last one counts. */
  write(name: string, entry: Entry | undefined): Promise<void> {
    const key = this.#prefix + name
    const done = entry ? this.#records.put(key, entry, { ttl: this.#ttl }) : this.#records.delete(key)
    const write: Write = { entry, done, isStored: false }
    this.#writes.set(name, write)
    done.then(
      () => {
        write.isStored = true
        this.#release()
      },
      () => {
        if (this.#writes.get(name) === write) this.#writes.delete(name)
      },
    )
    return done
  }

  /** Resolves when what is being written of a name is durable. */
  async written(name: string): Promise<void> {
    await this.#writes.get(name)?.done
  }

  /** Resolves when every step is over, and everything is written or has failed. */
  async settled(): Promise<void> {
    await this.#last
    await Promise.allSettled([...this.#writes.values()].map(({ done }) => done))
  }

  /** Does a step when those before it are over. */
  async run<T>(step: (cursors: this) => Promise<T>): Promise<T> {
    this.#steps++
    const done = this.#last.then(() => step(this))
    this.#last = done.then(
      () => this.#end(),
      () => this.#end(),
    )
    return done
  }

  /**
   * Reads what is stored. Versions before 0.2 stored the cursor alone, of which the time is not known: it is written
   * anew when it is used, and forgotten no sooner.
   */
  #toEntry(value: unknown): Entry | undefined {
    return typeof value === 'string' ? { id: value, used: wallNow() - this.#ttl / 2 } : (value as Entry | undefined)
  }

  #end(): void {
    this.#steps--
    this.#release()
  }

  /** Forgets writes that every read knows by now. */
  #release(): void {
    if (this.#steps > 0) return
    for (const [name, { isStored }] of this.#writes) if (isStored) this.#writes.delete(name)
  }
}

export class CursorRecords {
  readonly #records: KeyValue
  readonly #ttl: number
  readonly #subjects = new Map<string, SubjectCursors>()

  /** @param ttl after how long without a write a cursor is gone, in milliseconds */
  constructor(records: KeyValue, ttl: number) {
    this.#records = records
    this.#ttl = ttl
  }

  /**
   * Does a step with the cursors of a subject, one after the other: each knows what those before it have begun to
   * write. A step does not wait for a write.
   */
  async run<T>(subject: string, step: (cursors: SubjectCursors) => Promise<T>): Promise<T> {
    const prefix = prefixOf(subject)
    let cursors = this.#subjects.get(prefix)
    if (!cursors) this.#subjects.set(prefix, (cursors = new SubjectCursors(this.#records, this.#ttl, prefix)))
    try {
      return await cursors.run(step)
    } finally {
      this.#releaseWhenIdle(prefix, cursors)
    }
  }

  /** Resolves when everything is written. */
  async settled(): Promise<void> {
    await Promise.all([...this.#subjects.values()].map((cursors) => cursors.settled()))
  }

  #releaseWhenIdle(prefix: string, cursors: SubjectCursors): void {
    void cursors.settled().then(() => {
      if (cursors.isIdle && this.#subjects.get(prefix) === cursors) this.#subjects.delete(prefix)
    })
  }
}

/** A subject may be longer than a key, and is nobody's business but its own. */
function prefixOf(subject: string): string {
  return `${PREFIX}${createHash('sha256').update(subject).digest('base64url')}/`
}
