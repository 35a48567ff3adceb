/**
 * The records, in a key-value bucket of JetStream. Each process has a copy in memory, which follows the bucket. The
 * bucket also has the marks of purges, which tell every process what was purged.
 */
import { headers } from '@nats-io/transport-node'
import { SharedRequest } from '../../event-loop/shared-request.js'
import type { NatsLink } from '../../nats/nats-link.js'
import { wallNow } from '../../model/clock.js'
import { HubError } from '../../model/hub-error.js'
import { requireKey, type KeptRecord, type KeyValue, type PutOptions, type RecordChange } from '../log.js'
import { MemoryRecords } from '../memory/memory-records.js'
import { answerOf, JetStreamError, OTHER_LAST_SEQUENCE, type JetStream, type RawMessage } from './jetstream.js'
import type { Requests } from './requests.js'
import { OrderedConsumer, type Delivery } from './ordered-consumer.js'

/** The time for which the bucket keeps the mark of a deletion, in seconds. */
const DELETION = 3_600

/** The maximum number of attempts to swap a record that others write at the same time. */
const SWAPS = 10

/** A value in the bucket. */
interface Stored {
  value: unknown
  /** When the record expires, in milliseconds since the Unix epoch. */
  until?: number
}

/** Marks the events of a topic up to a sequence as purged. */
export interface PurgeMark {
  /** The epoch of the stream. */
  epoch: string
  until: number
}

export interface NatsRecordsOptions {
  link: NatsLink
  jetstream: JetStream
  requests: Requests
  /** The maximum time of a write, in milliseconds. */
  timeout: number
  /** The bucket's stream. */
  stream: string
  /** The time after which the mark of a purge is no longer needed, in seconds. */
  purgeTtl: number
  /** The wall clock, in milliseconds. */
  now?: (() => number) | undefined
  onChange: (change: RecordChange) => void
  /** Called with each mark of a purge, and its sequence. */
  onPurge: (topic: string, mark: PurgeMark, sequence: number) => void
  /** Runs a request to NATS: turns its failure into a refusal. */
  ask: <T>(request: () => Promise<T>) => Promise<T>
}

export class NatsRecords implements KeyValue {
  readonly #options: NatsRecordsOptions
  readonly #now: () => number
  readonly #copy: MemoryRecords
  readonly #subject: string
  readonly #consumer: OrderedConsumer
  /** The sequence of each name in the bucket that is not deleted. */
  readonly #known = new Map<string, number>()
  /** The names that were delivered since the consumer began. Used until all names have been delivered. */
  readonly #seen = new Set<string>()
  #isComplete = false
  #isApplying = false
  readonly #synced: SharedRequest<void>

  constructor(options: NatsRecordsOptions) {
    const { link, jetstream, stream, now = wallNow, onChange, ask } = options
    this.#options = options
    this.#synced = new SharedRequest(() => ask(() => this.#sync()))
    this.#now = now
    this.#copy = new MemoryRecords((change) => {
      if (!this.#isApplying) this.#known.delete(recordKey(change.key)) // it has expired
      onChange(change)
    }, now)
    this.#subject = `$KV.${stream.slice('KV_'.length)}.`
    this.#consumer = new OrderedConsumer(link, jetstream, 1, {
      stream,
      filter: `${this.#subject}>`,
      onMessage: (delivery) => this.#apply(delivery),
      onStart: () => this.#begin(),
    })
  }

  /** Reads all records. */
  async start(): Promise<void> {
    await this.#consumer.start()
    await this.#synced.get()
  }

  /** Resolves when this process has every write that was answered before the call, and every mark of a purge. */
  catchUp(): Promise<void> {
    return this.#synced.get()
  }

  async get(key: string): Promise<unknown> {
    await this.#synced.get()
    return this.#copy.get(key)
  }

  async list(prefix: string): Promise<KeptRecord[]> {
    await this.#synced.get()
    return this.#copy.list(prefix)
  }

  async put(key: string, value: unknown, { ttl = Infinity }: PutOptions = {}): Promise<void> {
    requireKey(key)
    const stored: Stored = { value, ...(ttl < Infinity ? { until: this.#now() + ttl } : {}) }
    const seconds = ttl < Infinity ? Math.ceil(Math.max(0, ttl) / 1_000) + 1 : undefined
    await this.#write(recordKey(key), JSON.stringify(stored), seconds)
  }

  async swap(key: string, expected: unknown, value: unknown): Promise<boolean> {
    requireKey(key)
    const { jetstream, stream, ask } = this.#options
    const name = recordKey(key)
    const wanted = JSON.stringify(expected)
    for (let attempt = 0; attempt < SWAPS; attempt++) {
      const raw = await ask(() => jetstream.lastMessage(stream, this.#subject + name))
      if (JSON.stringify(this.#valueOf(raw)) !== wanted) return false
      try {
        const isDeletion = value === undefined
        const payload = isDeletion ? '' : JSON.stringify({ value } satisfies Stored)
        await this.#write(name, payload, isDeletion ? DELETION : undefined, isDeletion, raw?.seq ?? 0)
        return true
      } catch (err) {
        if (!(err instanceof HubError && isOtherLast(err.cause))) throw err
      }
    }
    return false
  }

  /** Returns the value of a message of the bucket; `undefined`: it is a deletion, or has expired. */
  #valueOf(raw: RawMessage | undefined): unknown {
    if (!raw?.data) return undefined
    const { value, until = Infinity } = JSON.parse(Buffer.from(raw.data, 'base64').toString()) as Stored
    return until > this.#now() ? value : undefined
  }

  async delete(key: string): Promise<void> {
    await this.#write(recordKey(key), '', DELETION, true)
  }

  async watch(prefix: string, onChange: (change: RecordChange) => void): Promise<() => void> {
    return this.#copy.watch(prefix, onChange)
  }

  /**
   * Marks the events of a topic as purged. Resolves when `onPurge` has been called with the mark.
   * @returns the sequence of the mark
   */
  markPurge(topic: string, mark: PurgeMark): Promise<number> {
    return this.#write(purgeKey(topic), JSON.stringify(mark), this.#options.purgeTtl)
  }

  stop(): void {
    this.#consumer.stop()
    this.#copy.stop()
  }

  /** @param last the sequence of the newest message of the name; `undefined`: it does not matter */
  async #write(key: string, payload: string, seconds?: number, isDeletion = false, last?: number): Promise<number> {
    const { requests, ask } = this.#options
    const fields = headers()
    if (isDeletion) fields.set('KV-Operation', 'DEL')
    if (seconds !== undefined) fields.set('Nats-TTL', String(seconds))
    if (last !== undefined) fields.set('Nats-Expected-Last-Subject-Sequence', String(last))
    return ask(async () => {
      const options = { headers: fields, timeout: this.#options.timeout }
      const written = await requests.send<number>(this.#subject + key, payload, options, (message, resolve) => {
        const { seq } = answerOf<{ seq: number }>(message)
        // The bucket keeps the newest value only, so the consumer may skip this one.
        this.#applyValue(key, seq, isDeletion ? undefined : payload)
        resolve(seq)
      })
      await this.#consumer.reach(written)
      if (isDeletion && this.#known.get(key) === written) this.#known.delete(key)
      return written
    })
  }

  /** Waits until the copy has every write that has been answered. */
  async #sync(): Promise<void> {
    const { jetstream, stream } = this.#options
    const { state } = await jetstream.streamInfo(stream)
    await this.#consumer.reach(state.last_seq)
    this.#completed()
  }

  /** Begins to read the bucket from its beginning. A known name that is not delivered was deleted meanwhile. */
  #begin(): number {
    this.#seen.clear()
    this.#isComplete = false
    return 1
  }

  #apply({ message, sequence, pending }: Delivery): void {
    const name = message.subject.slice(this.#subject.length)
    if (!this.#isComplete) this.#seen.add(name)
    const isDeletion = message.headers?.get('KV-Operation') === 'DEL' || message.data.length === 0
    this.#applyValue(name, sequence, isDeletion ? undefined : message.string())
    if (isDeletion && this.#known.get(name) === sequence) this.#known.delete(name)
    if (pending === 0) this.#completed()
  }

  #applyValue(name: string, sequence: number, payload: string | undefined): void {
    if ((this.#known.get(name) ?? 0) >= sequence) return
    this.#known.set(name, sequence)
    this.#change(name, sequence, payload)
  }

  #change(name: string, sequence: number, payload: string | undefined): void {
    const topic = topicOf(name)
    if (topic !== undefined) {
      if (payload !== undefined) this.#options.onPurge(topic, JSON.parse(payload) as PurgeMark, sequence)
      return
    }
    const key = keyOf(name)
    if (key === undefined) return // not a record of a hub
    const { value, until = Infinity } = payload === undefined ? {} : (JSON.parse(payload) as Partial<Stored>)
    const ttl = until - this.#now()
    this.#isApplying = true
    void (payload === undefined || ttl <= 0 ? this.#copy.delete(key) : this.#copy.put(key, value, { ttl }))
    this.#isApplying = false
  }

  #completed(): void {
    if (this.#isComplete) return
    this.#isComplete = true
    for (const [name, sequence] of this.#known) {
      if (this.#seen.has(name)) continue
      this.#known.delete(name)
      this.#change(name, sequence, undefined)
    }
    this.#seen.clear()
  }
}

/** Whether a write was refused since the newest message of its name is another one. */
function isOtherLast(err: unknown): boolean {
  return err instanceof JetStreamError && err.code === OTHER_LAST_SEQUENCE
}

const RECORD = 'r.'
const PURGE = 'p.'

/**
 * Returns the name of a record in the bucket. A name allows few characters: each byte of any other character is written
 * as `=` and two hexadecimal digits.
 */
export function recordKey(key: string): string {
  const bytes = Buffer.from(key)
  let name = RECORD
  for (const byte of bytes) {
    const character = String.fromCharCode(byte)
    name += /[A-Za-z0-9_/-]/.test(character) ? character : `=${byte.toString(16).padStart(2, '0')}`
  }
  return name
}

/** Returns the key of a name in the bucket; `undefined`: it is not the name of a record. */
export function keyOf(name: string): string | undefined {
  if (!name.startsWith(RECORD)) return undefined
  const parts = name.slice(RECORD.length).split('=')
  const bytes = parts.map((part, n) =>
    n === 0 ? Buffer.from(part) : Buffer.concat([Buffer.from(part.slice(0, 2), 'hex'), Buffer.from(part.slice(2))]),
  )
  return Buffer.concat(bytes).toString()
}

function purgeKey(topic: string): string {
  return PURGE + topic
}

function topicOf(name: string): string | undefined {
  return name.startsWith(PURGE) ? name.slice(PURGE.length) : undefined
}
