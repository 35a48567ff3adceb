/**
 * The finite topics of the hub. The log is the only truth: a record for each topic, and its events. This process knows
 * all records, and reads the events of a topic when it is used.
 */
import { LRUCache } from 'lru-cache'
import { SharedRequest } from '../../event-loop/shared-request.js'
import { FINITE_PREFIX, type EventLog, type RecordChange } from '../../log/log.js'
import { END_TYPE } from '../../model/end-type.js'
import type { StoredEvent } from '../../model/event.js'
import { HubError } from '../../model/hub-error.js'
import { quote } from '../../model/quote.js'
import { Selection } from '../../model/selection.js'
import { requireTopic } from '../../model/topic.js'
import type { Intake } from '../intake.js'
import type { Lifecycle } from '../lifecycle.js'
import type { TypedTopics } from '../typed-topics/typed-topics.js'
import type { Request } from './admission.js'
import { Creation, type CreateOptions } from './creation.js'
import { Entry } from './entry.js'
import { isFiniteRecord, topicOf, type WantedConfig } from './finite-record.js'
import {
  FiniteTopicError,
  type AppendAnswer,
  type AppendRequest,
  type EndStatus,
  type FiniteTopic,
  type FiniteTopics,
  type Message,
  type MessagePage,
} from './finite-topic.js'
import { Fold } from './fold.js'
import { Lifetimes } from './lifetimes.js'
import { readMessages, segmentsOf } from './messages.js'
import { Removal } from './removal.js'
import { TopicWriter } from './topic-writer.js'

/** How many removed topics are remembered, and for how long in milliseconds: subscribers of their end reconnect. */
const REMOVED = { max: 10_000, ttl: 600_000 }

export interface FiniteOptions {
  /** The maximum size of a message, in bytes. */
  maxEventSize: number
  /** The time after its newest event at which a topic without an expiry of its own expires, in milliseconds. */
  ttl: number
  /** The maximum size of a topic, in bytes. */
  maxSize: number
  /** The part of the log that all finite topics may take, in bytes. */
  room: number
  /** The maximum number of topics in the log. */
  maxTopics: number
  /** The longest time to live, in milliseconds. */
  longestTtl: number
}

export interface FiniteSource {
  log: EventLog
  lifecycle: Lifecycle
  intake: Intake
  /** Whether this process does what one process does for all. */
  isFirst: () => boolean
  /** Whether there are no other processes. */
  isAlone: () => boolean
  /** The schemas of topics; `undefined`: no topic has a schema. */
  typedTopics: TypedTopics | undefined
  /** Paces the live streams of a topic: see `FiniteConfig.coalesce`. */
  pace: (topic: string, coalesce: number | undefined) => void
  /** Lets the live streams of a topic go on, which has been created again. */
  renew: (topic: string) => void
  onError: (err: unknown, message: string) => void
}

export class HubFiniteTopics implements FiniteTopics {
  readonly #source: FiniteSource
  readonly #options: FiniteOptions
  readonly #entries = new Map<string, Entry>()
  readonly #writers = new WeakMap<Entry, TopicWriter>()
  /** The sequence of the end of each topic that ended a short time ago, also if the topic was removed. */
  readonly #ends = new LRUCache<string, number>(REMOVED)
  /** The forks of each topic. */
  readonly #forks = new Map<string, Set<string>>()
  readonly #lifetimes: Lifetimes
  readonly #creation: Creation
  readonly #removal: Removal
  #unwatch: (() => void) | undefined
  #isStopped = false
  /** What all topics take of the log, about, in bytes. */
  #bytes = 0
  readonly #caughtUp: SharedRequest<void> | undefined

  constructor(source: FiniteSource, options: FiniteOptions) {
    this.#source = source
    this.#options = options
    const { log } = source
    if (log.catchUp) this.#caughtUp = new SharedRequest(() => log.catchUp!())
    const parts = {
      log,
      find: (topic: string) => this.#find(topic),
      known: (topic: string) => this.#entries.get(topic),
      load: (entry: Entry) => this.#load(entry),
      catchUp: () => this.#catchUp(),
      hasForks: (topic: string) => this.#forks.has(topic),
      end: (entry: Entry, status: EndStatus) => this.#end(entry, status),
      onError: source.onError,
    }
    this.#removal = new Removal(parts)
    this.#lifetimes = new Lifetimes(
      { ...parts, entries: this.#entries, isFirst: source.isFirst, isAlone: source.isAlone, removal: this.#removal },
      Math.min(options.ttl, options.longestTtl),
    )
    this.#creation = new Creation({
      ...parts,
      lifetimes: this.#lifetimes,
      removal: this.#removal,
      append: (entry, request) => this.#writer(entry).append(request),
      requireRoom: (topic) => this.#requireRoom(topic),
      longestTtl: options.longestTtl,
    })
  }

  /** Learns the existing topics. */
  async start(): Promise<void> {
    this.#unwatch = await this.#source.log.records.watch(FINITE_PREFIX, (change) => this.#changed(change))
    this.#lifetimes.start()
  }

  stop(): void {
    this.#isStopped = true
    this.#unwatch?.()
    this.#lifetimes.stop()
    for (const entry of this.#entries.values()) this.#drop(entry)
  }

  /** Applies the events of the log, whichever process has appended them. */
  apply(events: readonly StoredEvent[]): void {
    if (this.#entries.size === 0) return
    for (const event of events) {
      const entry = this.#entries.get(event.topic)
      if (!entry || event.sequence <= entry.record.base) continue
      if (event.type === END_TYPE) this.#ends.set(event.topic, event.sequence)
      this.#bytes -= entry.bytes
      entry.apply(event)
      this.#bytes += entry.bytes
    }
  }

  /** Ends all topics, since another log has taken the place of the log. Their records are removed soon. */
  replaced(): void {
    for (const entry of this.#entries.values()) {
      entry.fold = undefined
      entry.lookAt = 0
      entry.changed()
    }
  }

  /** Whether the hub has stopped. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  /** The number of finite topics. */
  get size(): number {
    return this.#entries.size
  }

  /** Whether this process knows a finite topic with this name. */
  has(topic: string): boolean {
    return this.#entries.has(topic)
  }

  /** As `FiniteConfig.coalesce`. */
  coalesceOf(topic: string): number | undefined {
    return this.#entries.size === 0 ? undefined : this.#entries.get(topic)?.record.coalesce
  }

  create(
    topic: string,
    config: WantedConfig,
    options: CreateOptions = {},
  ): Promise<{ topic: FiniteTopic; created: boolean }> {
    this.#source.lifecycle.requireOpen()
    requireTopic(topic)
    this.#requireTyped(topic, options.messages)
    return this.#creation.create(topic, config, options)
  }

  async get(topic: string): Promise<FiniteTopic | undefined> {
    this.#source.lifecycle.requireOpen()
    return (await this.#find(topic))?.describe()
  }

  /** As `endOf`, if the events of the topic have been read. */
  knownEndOf(topic: string): number | undefined {
    const fold = this.#entries.size === 0 ? undefined : this.#entries.get(topic)?.fold
    return fold && fold.status !== 'open' ? fold.newest : undefined
  }

  /** Returns the sequence of the event that has ended a topic; `undefined`: the topic is open, or is not finite. */
  async endOf(topic: string): Promise<number | undefined> {
    if (!this.#entries.has(topic)) return undefined
    const fold = (await this.#find(topic))?.fold
    return fold && fold.status !== 'open' ? fold.newest : undefined
  }

  /** Returns the sequence of the event that has ended a topic which was removed a short time ago. */
  removedEndOf(topic: string): number | undefined {
    return this.#ends.get(topic)
  }

  async append(topic: string, request: AppendRequest): Promise<AppendAnswer> {
    this.#source.lifecycle.requireOpen()
    this.#requireTyped(topic, request.messages)
    const entry = await this.#require(topic, request.incarnation)
    const answer = await this.#writer(entry).append(request)
    const isAlive = request.messages.length === 0 && request.end === undefined && answer.topic.status === 'open'
    if (isAlive) await this.#lifetimes.renew(entry, request.lease)
    else this.#lifetimes.touch(entry)
    return answer
  }

  /**
   * Checks messages of JSON. Texts and bytes are parts of a whole, which no schema describes.
   * @throws HubError `schema-mismatch` with the `index` of the message
   */
  #requireTyped(topic: string, messages: readonly Message[] = []): void {
    const { typedTopics } = this.#source
    if (!typedTopics) return
    for (const [index, { kind, payload }] of messages.entries()) {
      if (kind !== 'json') continue
      try {
        typedTopics.checkMessage(topic, payload)
      } catch (err) {
        if (err instanceof HubError) err.index = index
        throw err
      }
    }
  }

  async cancel(topic: string, incarnation?: string): Promise<FiniteTopic> {
    this.#source.lifecycle.requireOpen()
    return this.#end(await this.#require(topic, incarnation), 'cancelled')
  }

  async delete(topic: string): Promise<void> {
    this.#source.lifecycle.requireOpen()
    const entry = await this.#require(topic)
    await this.#removal.remove(entry, 'cancelled')
  }

  async read(topic: string, after: number, bytes: number): Promise<MessagePage> {
    this.#source.lifecycle.requireOpen()
    const entry = await this.#require(topic)
    this.#lifetimes.touch(entry)
    const described = entry.describe()
    const segments = segmentsOf(entry, (source) => this.#entries.get(source))
    const { messages, isComplete } = await readMessages(this.#source.log, segments, after, bytes)
    if (this.#entries.get(topic) !== entry) throw notFound(topic)
    const next = messages.at(-1)?.sequence ?? after
    return { topic: described, messages, next, isUpToDate: isComplete || next >= described.tail }
  }

  async wait(topic: string, after: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      if (signal.aborted || this.#isStopped) return
      const entry = await this.#find(topic)
      if (!entry || entry.isGone || entry.record.deleted) return
      const { tail, status } = entry.describe()
      if (tail > after || status !== 'open') return
      await entry.next(signal)
    }
  }

  /**
   * Calls `onChange` after each change of a topic, until it is gone.
   * @returns a function that stops the calls
   */
  async watch(topic: string, onChange: (state: FiniteTopic | undefined) => void): Promise<() => void> {
    const entry = await this.#require(topic)
    const listener = (): void =>
      onChange(entry.isGone || entry.record.deleted || !entry.fold ? undefined : entry.describe())
    entry.listeners.add(listener)
    return () => void entry.listeners.delete(listener)
  }

  /** Applies a change of a record. */
  #changed({ key, value }: RecordChange): void {
    const topic = topicOf(key)
    const known = this.#entries.get(topic)
    if (value === undefined || !isFiniteRecord(value)) {
      if (known) this.#forget(known)
      return
    }
    if (known?.record.incarnation === value.incarnation) {
      known.record = value
      known.changed()
      return
    }
    if (known) this.#forget(known)
    this.#ends.delete(topic)
    this.#source.renew(topic)
    const entry = new Entry(topic, value)
    this.#entries.set(topic, entry)
    this.#bytes += entry.bytes
    if (value.fork) {
      const forks = this.#forks.get(value.fork.source)
      if (forks) forks.add(topic)
      else this.#forks.set(value.fork.source, new Set([topic]))
    }
    this.#source.pace(topic, value.coalesce)
    void this.#measure(entry)
  }

  /** Learns what the events of a topic take of the log. */
  async #measure(entry: Entry): Promise<void> {
    if (entry.record.base === this.#source.log.view.head) return // it is new
    try {
      const stats = await this.#source.log.topic(entry.topic)
      if (entry.isGone) return
      this.#bytes -= entry.bytes
      entry.bytes = Math.max(entry.bytes, stats?.bytes ?? 0)
      this.#bytes += entry.bytes
    } catch (err) {
      this.#source.onError(err, 'the size of a finite topic could not be read')
    }
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.topic)
    this.#bytes -= entry.bytes
    const source = entry.record.fork?.source
    const forks = source === undefined ? undefined : this.#forks.get(source)
    forks?.delete(entry.topic)
    if (forks?.size === 0) this.#forks.delete(source!)
    this.#source.pace(entry.topic, undefined)
    this.#drop(entry)
    const last = source === undefined || forks?.size !== 0 ? undefined : this.#entries.get(source)
    if (last?.record.deleted) this.#removal.later(last)
  }

  #drop(entry: Entry): void {
    entry.isGone = true
    entry.changed()
  }

  /**
   * Finds a topic that exists, with its events. A topic that was deleted and has forks is found too.
   * @throws HubError `log-unavailable`
   */
  async #find(topic: string): Promise<Entry | undefined> {
    await this.#catchUp()
    for (;;) {
      const entry = this.#entries.get(topic)
      if (!entry || !this.#isHere(entry)) return undefined
      await this.#load(entry)
      if (this.#entries.get(topic) !== entry) continue // replaced meanwhile
      if (entry.isPending || !this.#isHere(entry)) return undefined
      if (entry.record.deleted || !this.#lifetimes.hasExpired(entry)) return entry
      this.#lifetimes.expire(entry)
      return undefined
    }
  }

  /** Whether the log still is the one of the record, and the topic is not being removed. */
  #isHere({ topic, record }: Entry): boolean {
    return record.epoch === this.#source.log.view.epoch && !(record.deleted && !this.#forks.has(topic))
  }

  /**
   * @param incarnation the incarnation that the topic must have; `undefined`: any
   * @throws FiniteTopicError `stream-not-found`, `stream-gone`
   */
  async #require(topic: string, incarnation?: string): Promise<Entry> {
    const entry = await this.#find(topic)
    if (!entry || (incarnation !== undefined && entry.record.incarnation !== incarnation)) throw notFound(topic)
    requireWritable(entry)
    return entry
  }

  /** Reads the events of a topic, once. */
  #load(entry: Entry): Promise<void> {
    if (entry.fold) return Promise.resolve()
    return (entry.loading ??= this.#readEvents(entry).finally(() => (entry.loading = undefined)))
  }

  async #readEvents(entry: Entry): Promise<void> {
    const { log } = this.#source
    const selection = new Selection([entry.topic])
    const fold = new Fold()
    entry.pending = []
    for (let after = entry.record.base, more = true; more;) {
      const page = await log.scan(selection, { after }, (event) => {
        fold.apply(event)
        return true
      })
      after = page.position
      more = page.more
    }
    for (const event of entry.pending) fold.apply(event)
    entry.pending = []
    entry.fold = fold
  }

  async #end(entry: Entry, status: EndStatus): Promise<FiniteTopic> {
    const request: Request = { messages: [], end: status }
    return (await this.#writer(entry).append(request)).topic
  }

  #writer(entry: Entry): TopicWriter {
    let writer = this.#writers.get(entry)
    if (!writer) {
      const { maxEventSize, maxSize, room } = this.#options
      writer = new TopicWriter(entry, {
        log: this.#source.log,
        intake: this.#source.intake,
        limits: { message: maxEventSize, topic: maxSize, left: () => room - this.#bytes },
        catchUp: () => this.#catchUp(),
        requireWritable,
      })
      this.#writers.set(entry, writer)
    }
    return writer
  }

  /** Waits until this process has every change that was stored before the call. */
  #catchUp(): Promise<void> {
    return this.#caughtUp?.get() ?? Promise.resolve()
  }

  /** @throws HubError `streams-full`, `too-many-topics` */
  #requireRoom(topic: string): void {
    const { room, maxTopics } = this.#options
    const { topics } = this.#source.log.view.stats()
    if (topics + this.#entries.size >= maxTopics) {
      // the log counts only topics with events
      let empty = 0
      for (const entry of this.#entries.values()) if (entry.isEmpty) empty++
      if (topics + empty >= maxTopics)
        throw new HubError(
          'too-many-topics',
          `${quote(topic)} does not exist, and the log already has ${maxTopics} topics, the maximum (FANFARE_MAX_TOPICS). Delete one, or wait until one expires.`,
        )
    }
    if (this.#bytes < room) return
    throw new FiniteTopicError(
      'streams-full',
      'The finite topics have reached their share of the log. Delete some, or try again later.',
    )
  }
}

function notFound(topic: string): FiniteTopicError {
  return new FiniteTopicError('stream-not-found', `There is no finite topic ${quote(topic)}.`)
}

/** @throws FiniteTopicError `stream-not-found`, `stream-gone` */
function requireWritable(entry: Entry): void {
  if (entry.isGone || !entry.fold) throw notFound(entry.topic)
  if (entry.record.deleted)
    throw new FiniteTopicError('stream-gone', `${quote(entry.topic)} has been deleted: only its forks are left.`, {
      topic: entry.describe(),
    })
}
