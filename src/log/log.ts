/** The port to a log, which stores the events of a hub. Every implementation passes the contract in `contract/`. */
import type { NewEvent, ScannedEvent, StoredEvent } from '../model/event.js'
import { HubError } from '../model/hub-error.js'
import { quote } from '../model/quote.js'
import type { Selection } from '../model/selection.js'
import type { TransactionFigures } from './transaction-figures.js'

/** The result of the append of one event. */
export interface Appended {
  /** The sequence of the event; for a duplicate, the sequence of the first event with its id. */
  sequence: number
  /** Whether nothing was stored, because the log has, or recently had, an event with this publisher id. */
  duplicate: boolean
}

/**
 * A topic is finite while it has a record whose key is this prefix and the name of the topic. Retention leaves its
 * events alone: only a purge removes them. It takes only appends with a condition.
 */
export const FINITE_PREFIX = 'finite/'

/** The condition of an append. */
export interface Expected {
  /** The topic of all events of the append. */
  readonly topic: string
  /** The sequence of the newest retained event of the topic; 0: it has no events. */
  readonly sequence: number
}

export interface AppendOptions {
  /**
   * The append is refused unless the topic still ends with this event, so that appends to it happen one after the
   * other. Finite topics (`FINITE_PREFIX`) take no other append. The maximum number of topics is not checked: the hub
   * checks it when it creates a finite topic.
   */
  expected?: Expected | undefined
}

/** A part of the log. */
export interface Span {
  /** Only events after this sequence. */
  after: number
  /** Only events up to and including this sequence; default: the head. */
  until?: number | undefined
}

/** How much of the log to read. */
export interface ReadOptions extends Span {
  /** The maximum number of events. */
  events: number
  /** The page is full once its payloads and attributes have this many bytes; default: no limit. */
  bytes?: number
}

/** How far a scan came. */
export interface ScanResult {
  /** The scan has visited every matching event up to this sequence. */
  position: number
  /** Whether more matching events may follow, up to `until`. */
  more: boolean
  /**
   * The trim mark at which the newest trimmed event of the selection's topics after `after` was trimmed; `undefined`:
   * none was trimmed. `Infinity`: an event is missing that was never trimmed.
   */
  trimmedAt: number | undefined
  /** The trim mark up to which `trimmedAt` includes every trim. */
  mark: number
}

/** The beginning that `locate` finds. */
export type Beginning =
  /** The newest events up to `until`; default: up to the head. `newest` is their number. */
  | { newest: number; until?: number }
  /** The events from a time on, in milliseconds since the Unix epoch. */
  | { from: number }

/** The result of `locate`. */
export interface Located {
  /** The sequence before the first event. */
  after: number
  /** The trim mark of the log at the lookup. Earlier trims have removed nothing that was asked for. */
  mark: number
}

/** A page of events. */
export interface Page extends ScanResult {
  /** Matching events in the order of their sequences. */
  events: StoredEvent[]
}

/** The retained events of one topic, as numbers. */
export interface TopicStats {
  topic: string
  events: number
  /** As `LogStats.bytes`. */
  bytes: number
  /** The sequence of the oldest retained event. */
  first: number
  /** The sequence of the newest retained event. */
  last: number
}

/** Selects the topics of a list. */
export interface TopicsOptions {
  /** Only topics whose names have this prefix. */
  prefix?: string | undefined
  /** Only topics whose names sort after this one. */
  after?: string | undefined
  /** The maximum number of topics. */
  limit: number
}

/** A part of the list of topics. */
export interface TopicsPage {
  /** Sorted by name. */
  topics: TopicStats[]
  /** Whether more topics follow. */
  more: boolean
}

/** The size of a log. */
export interface LogStats {
  topics: number
  events: number
  /** The bytes of the events in memory or in the file. */
  bytes: number
}

/** The removal of events of a topic by retention or by a purge. */
export interface Trim {
  /** `undefined`: any topic without a trim mark in the log may have lost events. */
  readonly topic: string | undefined
  /** The newest sequence that has been removed, or may have been. */
  readonly until: number
  /**
   * A topic without events whose trim mark the log has dropped. From now on it is one of the topics that may have lost
   * events. Only if `topic` is `undefined`.
   */
  readonly forgotten?: string
}

/** A change of a record. */
export interface RecordChange {
  readonly key: string
  /** The new value, which must not be modified: all followers share it. `undefined`: the record was deleted. */
  readonly value: unknown
}

/** All changes of one transaction of the log. The trims come after the events, and may remove some of them. */
export interface LogDelta {
  /** In the order of their sequences. */
  readonly events: readonly StoredEvent[]
  /** Each raises `LogView.mark` by one. */
  readonly trims: readonly Trim[]
  /** In the order of the writes. */
  readonly records: readonly RecordChange[]
  /** The log has been replaced by another one, before these events. Everything known about the old log is void. */
  readonly replaced?: Replacement
}

/** A log that has replaced another one while that was followed. */
export interface Replacement {
  /** The new epoch. */
  readonly epoch: string
  /** The newest sequence of the new log. */
  readonly head: number
  /** The trim mark of the new log, which is greater than that of the old one. */
  readonly mark: number
}

/** The members of a delta without events, trims or records. They are shared, since most deltas have only events. */
export const NO_EVENTS: readonly StoredEvent[] = []
export const NO_TRIMS: readonly Trim[] = []
export const NO_RECORDS: readonly RecordChange[] = []

/** Called with each delta. It must not throw. */
export type ApplyDelta = (delta: LogDelta) => void

/** A follower of the log. */
export interface Following {
  /** The newest sequence when the follower began. Its first event comes after this sequence. */
  readonly head: number
  /** `LogView.mark` when the follower began. */
  readonly mark: number
  /** Stops the deltas. */
  stop(): void
}

/** An existing record. */
export interface KeptRecord {
  key: string
  value: unknown
}

/**
 * Records: small values by key, stored beside the events. They are as durable as the events, and are never trimmed. A
 * key has at most 1,024 bytes of UTF-8.
 */
export interface KeyValue {
  /**
   * Returns the value of a record; `undefined`: there is none, or it has expired. The value includes every write whose
   * `put` or `delete` has resolved.
   */
  get(key: string): Promise<unknown>
  /** Returns all records with a key prefix, sorted by key. It is for few records: all are in memory at once. */
  list(prefix: string): Promise<KeptRecord[]>
  /**
   * Stores a value that JSON can carry. Resolves when it is durable. Writes of one key happen in the order of the
   * calls.
   * @throws HubError `log-unavailable`
   * @throws RangeError if the key is too long
   */
  put(key: string, value: unknown, options?: PutOptions): Promise<void>
  /**
   * Replaces the value of a record, if it still is the expected one. Of concurrent calls with the same expected value,
   * one succeeds. Resolves when the change is durable. The new value never expires.
   * @param expected is compared as JSON; `undefined`: there is no record, or it has expired
   * @param value as for `put`; `undefined` deletes the record
   * @returns whether the record was replaced
   * @throws HubError `log-unavailable`
   * @throws RangeError if the key is too long
   */
  swap(key: string, expected: unknown, value: unknown): Promise<boolean>
  /** Deletes a record, if it exists. Resolves when that is durable. */
  delete(key: string): Promise<void>
  /**
   * Calls `onChange` with each existing record with a key prefix, and then with each change by any process, once and in
   * order. Resolves after the existing records. An expired record is deleted soon after, which is a change. A deletion
   * may be reported for a record that did not exist.
   * @returns a function that stops the watch
   */
  watch(prefix: string, onChange: (change: RecordChange) => void): Promise<() => void>
}

export interface PutOptions {
  /** The time after which the record expires, in milliseconds of the wall clock; default: never. */
  ttl?: number | undefined
}

/** The state of the log that this process knows, as of the latest delta. All members answer at once. */
export interface LogView {
  /**
   * The epoch of the log: 8 random characters of `a-z 0-9`, drawn at its creation. Cursors contain it. Only a
   * replacement changes it.
   */
  readonly epoch: string
  /** The newest sequence; 0 before the first event. A sequence is never reused within an epoch. */
  readonly head: number
  /** The trim mark: the number of trims. Events that were read at an earlier mark may have been trimmed. */
  readonly mark: number
  /** Why the log cannot store events now; `undefined`: it can. */
  readonly failure: Error | undefined
  stats(): LogStats
}

/** An ordered log of events with retention. No call holds the event loop for more than a few milliseconds. */
export interface EventLog {
  readonly view: LogView
  readonly records: KeyValue
  /** The transactions of this process, for a log that stores its events by transactions. */
  readonly transactions?: TransactionFigures

  /**
   * Stores events, all or none. Resolves when they are durable and every follower of this process has got them. Events
   * that are not duplicates get consecutive sequences, in the order of `events`.
   * @throws HubError `log-unavailable`; `too-many-topics` with the `index` of the event that exceeds the number of
   *   topics; `too-many-ids` with the `index` of the event whose id cannot be remembered; `finite-topic` with the
   *   `index` of an event of a finite topic in an append without a condition; `append-conflict` if the condition is not
   *   met. No event is stored then
   */
  append(events: readonly NewEvent[], options?: AppendOptions): Promise<Appended[]>

  /**
   * Calls `apply` with every delta from now on, exactly once and in order, once it is durable, whichever process made
   * the change. Deltas may come before the promise resolves. A change is never in two deltas.
   */
  follow(apply: ApplyDelta): Promise<Following>

  /**
   * Visits retained events in order. A scan may end early with `more`: if few events match, it visits a limited number
   * of others.
   * @param visit returns whether it takes the event; after a `false` the scan ends
   */
  scan(selection: Selection, span: Span, visit: (event: ScannedEvent) => boolean): Promise<ScanResult>

  /**
   * Finds where to start reading.
   * - `newest`: the sequence before the newest `newest` events of the selection; 0 if the selection has no more events.
   * - `from`: a sequence before every event of the selection with the time `from` or later, including trimmed events.
   *   The clock may have gone back: the first such event counts, and events after it may be older.
   */
  locate(selection: Selection, beginning: Beginning): Promise<Located>

  /**
   * Reads the newest matching event of each topic of a selection, in order. Later pages never contain an older event of
   * a topic that an earlier page returned.
   */
  newest(selection: Selection, options: ReadOptions): Promise<Page>

  /** Describes a topic; `undefined`: it has no events. */
  topic(name: string): Promise<TopicStats | undefined>

  /**
   * Lists the topics with retained events.
   * @param accepts returns `false` for names to leave out; default: none are left out
   */
  topics(options: TopicsOptions, accepts?: (name: string) => boolean): Promise<TopicsPage>

  /**
   * Purges the retained events of a topic. The purge is reported as trims. Events that are appended during the purge
   * stay.
   * @returns the number of purged events
   * @throws HubError `log-unavailable`; some of the events may have been purged then
   */
  purge(topic: string): Promise<number>

  /**
   * Resolves when the followers of this process have got every delta that was durable at the call, whichever process
   * made the change. A log that only this process has may leave it out.
   * @throws HubError `log-unavailable` if the log does not answer
   */
  catchUp?(): Promise<void>

  /** Stops storing. Resolves when no write is running, so that the process can exit. */
  halt(): Promise<void>

  /** Makes all acknowledged writes durable and releases all resources. */
  close(): Promise<void>
}

/**
 * The maximum number of topics without events whose trim marks are kept. For other topics, a subscriber may get a gap
 * notice although no event is missing.
 */
export const REMEMBERED_TOPICS = 100_000

/** The limits of a log. */
export interface Retention {
  /** The maximum number of events of one topic. */
  events: number
  /** The maximum age of an event, in milliseconds. */
  age: number
  /** The maximum size of the whole log, in bytes. */
  bytes: number
  /** The minimum time for which a publisher id is remembered, even if its event is trimmed, in milliseconds. */
  dedupWindow: number
  /** The maximum number of topics with events; default: no limit. */
  topics?: number
}

/** Returns the refusal of an event that would exceed the maximum number of topics. */
export function tooManyTopics({ topic }: NewEvent, index: number, limit: number): HubError {
  const refusal = new HubError(
    'too-many-topics',
    `${quote(topic)} has no events, and the log already has events of ${limit} topics, the maximum (FANFARE_MAX_TOPICS). Publish to a topic that has events, or wait until another topic has none left.`,
  )
  refusal.index = index
  return refusal
}

/** Returns the refusal of an event that is published to a finite topic. */
export function finiteRefusal(topic: string): HubError {
  return new HubError(
    'finite-topic',
    `${quote(topic)} is a finite topic. Append to it at /streams/${topic.replaceAll('.', '/')}, or publish to another topic.`,
  )
}

/** The maximum length of a record key, in bytes of UTF-8. */
const MAX_KEY = 1_024

/** @throws RangeError if the key of a record is too long */
export function requireKey(key: string): void {
  if (Buffer.byteLength(key) > MAX_KEY) throw new RangeError(`the key of a record has at most ${MAX_KEY} bytes`)
}

/** The part of `Retention.bytes` that publisher ids of trimmed events may take. Beyond it, new ids are refused. */
export const IDS_PART = 1 / 2

/** Returns the refusal of an event whose publisher id cannot be remembered now. */
export function tooManyIds(index: number): HubError {
  const refusal = new HubError(
    'too-many-ids',
    'The publisher ids of trimmed events fill half of FANFARE_RETAIN_BYTES. Each is remembered for FANFARE_DEDUP_WINDOW. Try again later.',
  )
  refusal.index = index
  return refusal
}
