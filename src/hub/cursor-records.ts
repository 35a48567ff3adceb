/**
 * The named cursors of subjects as records of the log. A read includes the pending writes of this process, since a step
 * may read a cursor before its write is durable.
 */
import { createHash } from 'node:crypto'
import type { KeyValue } from '../log/log.js'
import { wallNow } from '../model/clock.js'

/** The stored value of a cursor. Times are of the wall clock, since they outlive the process. */
export interface Entry {
  id: string
  /** The time of the last use, in milliseconds since the Unix epoch. */
  used: number
}

/** An entry that is being written; `undefined`: the entry is being deleted. */
interface Write {
  entry: Entry | undefined
  done: Promise<void>
  /** The write is durable, but a read that began earlier may lack it. */
  isStored: boolean
}

const PREFIX = 'cursor/'

/** The named cursors of one subject. Only a step of `CursorRecords.run` may use it, and only until the step ends. */
export class SubjectCursors {
  readonly #records: KeyValue
  readonly #ttl: number
  readonly #prefix: string
  readonly #writes = new Map<string, Write>()
  /** Settles when the last requested step is done. */
  #last: Promise<unknown> = Promise.resolve()
  #steps = 0

  constructor(records: KeyValue, ttl: number, prefix: string) {
    this.#records = records
    this.#ttl = ttl
    this.#prefix = prefix
  }

  /** Whether no step or write is pending. */
  get isIdle(): boolean {
    return this.#steps === 0 && this.#writes.size === 0
  }

  /** Returns the entry of a name; `undefined`: there is none. */
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

  /** Writes an entry, or deletes it. Writes happen in the order of the calls, so the last one wins. */
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

  /** Resolves when the pending write of a name is durable. */
  async written(name: string): Promise<void> {
    await this.#writes.get(name)?.done
  }

  /** Resolves when all steps are done and all writes have succeeded or failed. */
  async settled(): Promise<void> {
    await this.#last
    await Promise.allSettled([...this.#writes.values()].map(({ done }) => done))
  }

  /** Runs a step after the earlier ones. */
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
   * Reads a stored value. Versions before 0.2 stored the cursor alone, without a time. Such an entry always counts as
   * half of `ttl` old, so it does not expire, and its next use records a time.
   */
  #toEntry(value: unknown): Entry | undefined {
    return typeof value === 'string' ? { id: value, used: wallNow() - this.#ttl / 2 } : (value as Entry | undefined)
  }

  #end(): void {
    this.#steps--
    this.#release()
  }

  /** Drops writes that every read includes by now. */
  #release(): void {
    if (this.#steps > 0) return
    for (const [name, { isStored }] of this.#writes) if (isStored) this.#writes.delete(name)
  }
}

export class CursorRecords {
  readonly #records: KeyValue
  readonly #ttl: number
  readonly #subjects = new Map<string, SubjectCursors>()

  /** @param ttl the time after the last write at which a cursor expires, in milliseconds */
  constructor(records: KeyValue, ttl: number) {
    this.#records = records
    this.#ttl = ttl
  }

  /**
   * Runs the steps of a subject one after the other. Each step sees the writes that earlier steps have begun. A step
   * does not wait for a write.
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

  /** Resolves when every write is done. */
  async settled(): Promise<void> {
    await Promise.all([...this.#subjects.values()].map((cursors) => cursors.settled()))
  }

  #releaseWhenIdle(prefix: string, cursors: SubjectCursors): void {
    void cursors.settled().then(() => {
      if (cursors.isIdle && this.#subjects.get(prefix) === cursors) this.#subjects.delete(prefix)
    })
  }
}

/**
 * Returns the prefix of a subject's keys. It is a hash: a subject may be longer than a key, and keys do not reveal it.
 */
function prefixOf(subject: string): string {
  return `${PREFIX}${createHash('sha256').update(subject).digest('base64url')}/`
}
