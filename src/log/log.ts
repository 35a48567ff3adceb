/**
 * What the hub needs of a place where events are kept. Every implementation passes the one suite in
 * `test/contract/log.ts`.
 */
import type { NewEvent, ScannedEvent, StoredEvent } from '../model/event.js'
import { HubError } from '../model/hub-error.js'
import { quote } from '../model/quote.js'
import type { Selection } from '../model/selection.js'

/** What became of an event that was appended. */
export interface Appended {
  /** Its place in the log; a duplicate's is that of the first event with its id. */
  sequence: number
  /** Nothing was stored, because an event with this publisher id is already there, or was a short while ago. */
  duplicate: boolean
}

/** A part of the log. */
export interface Span {
  /** Only events behind this sequence. */
  after: number
  /** Only events up to and including this sequence; default: the head. */
  until?: number | undefined
}

/** How much of the log to read. */
export interface ReadOptions extends Span {
  /** At most so many events. */
  events: number
  /** No further event once so many bytes of payload and attributes are there; default: no limit. */
  bytes?: number
}

/** How far a scan came. */
export interface ScanResult {
  /** Every event that matches, up to this sequence, has been visited, or lay before it. */
  position: number
  /** There are further events that match, up to `until`. */
  more: boolean
  /**
   * The trim mark at which the newest event was trimmed that belongs to the topics asked for and lies behind `after`;
   * `undefined`: none was. `Infinity`: an event is missing that was never trimmed.
   */
  trimmedAt: number | undefined
  /** The trim mark of the log as this result knows it: every trim up to it is in `trimmedAt`. */
  mark: number
}

/** Which beginning to look for. */
export type Beginning =
  /** Of the newest so many events up to `until`; default: up to the head. */
  | { newest: number; until?: number }
  /** Of the events of a time on, in milliseconds since the Unix epoch. */
  | { from: number }

/** Where to begin to read. */
export interface Located {
  /** Read the events behind this sequence. */
  after: number
  /** The trim mark of the log when this was found: a trim up to it took nothing that was asked for. */
  mark: number
}

/** Some of the log's events. */
export interface Page extends ScanResult {
  /** Events that match, in order of their sequences. */
  events: StoredEvent[]
}

/** What a log holds of one topic. */
export interface TopicStats {
  topic: string
  events: number
  /** As `LogStats.bytes`. */
  bytes: number
  /** The sequence of its oldest event that is retained. */
  first: number
  /** The sequence of its newest event that is retained. */
  last: number
}

/**
 * What is stored of a topic beside its events. The log keeps it and does nothing with it: nothing enforces these
 * properties yet.
 */
export interface TopicProperties {
  /** What is retained of the topic, where it is less than `Retention` says. */
  retention?: Partial<Pick<Retention, 'events' | 'age'>>
  /** The media type of its events. */
  contentType?: string
  /** No event follows its newest one. */
  ended?: boolean
  /** How long the topic is kept after its newest event, in milliseconds. */
  ttl?: number
}

/** What a log holds of a topic, which may have no events: then `first` and `last` are 0. */
export interface TopicDescription extends TopicStats {
  properties?: TopicProperties
}

/** Which topics to list. */
export interface TopicsOptions {
  /** Only topics whose names begin with this. */
  prefix?: string | undefined
  /** Only topics whose names come after this one. */
  after?: string | undefined
  /** At most so many topics. */
  limit: number
}

/** A part of the list of topics. */
export interface TopicsPage {
  /** In the order of their names. */
  topics: TopicStats[]
  /** There are further topics behind the last one. */
  more: boolean
}

/** How much a log holds. */
export interface LogStats {
  topics: number
  events: number
  /** What the events take, in bytes: in memory, or in the file. */
  bytes: number
}

/** Events of a topic are gone: by retention, or by a purge. */
export interface Trim {
  /** `undefined`: any topic that the log does not remember may have lost events. */
  readonly topic: string | undefined
  /** The newest sequence that is gone, or may be. */
  readonly until: number
  /**
   * A topic without events whose trims the log does not remember any more: from now on it is one of those that may have
   * lost events. Only where `topic` is `undefined`.
   */
  readonly forgotten?: string
}

/** A record has another value. */
export interface RecordChange {
  readonly key: string
  /** Not to be changed: every follower is given the same one. `undefined`: the record is gone. */
  readonly value: unknown
}

/** Everything that one transaction of the log has changed. Trims come after events, and may be of these events. */
export interface LogDelta {
  /** In the order of their sequences. */
  readonly events: readonly StoredEvent[]
  /** Each raises `LogView.mark` by one. */
  readonly trims: readonly Trim[]
  /** In the order in which they were made. */
  readonly records: readonly RecordChange[]
}

/** What a delta without events, trims or records has: one array for all, since most deltas have events alone. */
export const NO_EVENTS: readonly StoredEvent[] = []
export const NO_TRIMS: readonly Trim[] = []
export const NO_RECORDS: readonly RecordChange[] = []

/** Called with each delta. It must not throw. */
export type ApplyDelta = (delta: LogDelta) => void

/** A follower that is being given the deltas. */
export interface Following {
  /** The newest sequence when it began: the first event that it is given comes behind it. */
  readonly head: number
  /** `LogView.mark` when it began. */
  readonly mark: number
  /** Gives it no further delta. */
  stop(): void
}

/** A record that is there. */
export interface KeptRecord {
  key: string
  value: unknown
}

/**
 * Small values that are kept beside the events, by key: as durable as the events are, and never trimmed. Keys have at
 * most 1,024 bytes of UTF-8.
 */
export interface KeyValue {
  /** `undefined`: there is none, or it has expired. What `put` and `delete` have resolved for is known to it. */
  get(key: string): Promise<unknown>
  /** Returns every record whose key begins with `prefix`, by key. For few: all of them are in memory at once. */
  list(prefix: string): Promise<KeptRecord[]>
  /**
   * Stores a value that JSON can carry. Resolves when it is durable. Writes of one key are done in the order in which
   * they are asked for.
   * @throws HubError `log-unavailable`
   * @throws RangeError when the key is too long
   */
  put(key: string, value: unknown, options?: PutOptions): Promise<void>
  /** Resolves when that is durable, also where there is no such record. */
  delete(key: string): Promise<void>
  /**
   * Tells of every record whose key begins with `prefix` that is there, and then of each change, once and in order, of
   * whichever process. Resolves when it has told of those that are there. A record that expires is deleted soon after,
   * and that is a change. A deletion may be told of a record that was not.
   * @returns how to stop
   */
  watch(prefix: string, onChange: (change: RecordChange) => void): Promise<() => void>
}

export interface PutOptions {
  /** After how many milliseconds of the wall clock the record is gone; default: never. */
  ttl?: number | undefined
}

/** What this process knows of the log. It is answered at once, and says what the deltas so far say. */
export interface LogView {
  /** The cursor space: 8 characters of `a-z 0-9`, drawn when the log is created. */
  readonly epoch: string
  /** The newest sequence; 0 before the first event. Never used twice within an epoch. */
  readonly head: number
  /** The trim mark: grows by one with each `Trim`. What was read at an earlier mark may be gone. */
  readonly mark: number
  /** Why the log cannot store anything at the moment; `undefined`: it can. */
  readonly failure: Error | undefined
  stats(): LogStats
}

/** An ordered log of events with retention. No call holds the event loop for more than some milliseconds. */
export interface EventLog {
  readonly view: LogView
  readonly records: KeyValue

  /**
   * Stores events, all or none. Resolves when they are durable, and after every follower of this process has been given
   * them.
   * The sequences of those that are no duplicates are consecutive and in the order of `events`.
   * @throws HubError `log-unavailable`; `too-many-topics` with the `index` of the event that would make a topic too
   * many; `too-many-ids` with the `index` of the event whose id cannot be remembered; nothing of `events` is stored
   * then
   */
  append(events: readonly NewEvent[]): Promise<Appended[]>

  /**
   * Gives a follower every delta from now on, each exactly once and in order, only after it is durable, whichever
   * process made the change. Deltas may come before the promise resolves. A change is never in two deltas.
   */
  follow(apply: ApplyDelta): Promise<Following>

  /**
   * Visits retained events in order. A scan may end early and say that there is more: where few events match, it looks
   * at a limited number of others.
   * @param visit returns whether it takes the event; after a `false` no other event is visited
   */
  scan(selection: Selection, span: Span, visit: (event: ScannedEvent) => boolean): Promise<ScanResult>

  /**
   * Finds where to start reading.
   * - `newest`: the sequence before the first of the newest so many events of the selection; 0 when it has no more.
   * - `from`: a sequence behind which every event of the selection lies whose time is `from` or later, trimmed ones
   *   included. The clock may have gone back: the first event of that time counts, and later ones may be older.
   */
  locate(selection: Selection, beginning: Beginning): Promise<Located>

  /**
   * Reads the newest matching event of each topic of a selection, in order. Later pages never contain an older event of
   * a topic that an earlier page returned.
   */
  newest(selection: Selection, options: ReadOptions): Promise<Page>

  /** What is retained of a topic, and its properties; `undefined`: neither. */
  topic(name: string): Promise<TopicDescription | undefined>

  /**
   * Stores the properties of a topic, in place of those that it has. Resolves when they are durable. They outlast its
   * events: nothing but this changes them.
   * @param properties `undefined`: it has none any more
   * @throws HubError `log-unavailable`
   */
  setTopic(name: string, properties: TopicProperties | undefined): Promise<void>

  /**
   * Lists the topics of which something is retained.
   * @param accepts names that it says no to are left out; default: none
   */
  topics(options: TopicsOptions, accepts?: (name: string) => boolean): Promise<TopicsPage>

  /**
   * Takes out every event of a topic that is retained now, as if it had been trimmed. Events that are appended
   * meanwhile stay.
   * @returns how many events that were
   * @throws HubError `log-unavailable`; some of them may be gone then
   */
  purge(topic: string): Promise<number>

  /** Begins no further write. Resolves when no write is under way: then the process can exit. */
  halt(): Promise<void>

  /** Makes everything acknowledged durable and releases what the log holds. */
  close(): Promise<void>
}

/** Of how many topics without events it is remembered what was trimmed; of older ones a gap is told on suspicion. */
export const REMEMBERED_TOPICS = 100_000

/** What a log keeps. */
export interface Retention {
  /** The most events of one topic. */
  events: number
  /** The greatest age of an event, in milliseconds. */
  age: number
  /** The most bytes of the whole log. */
  bytes: number
  /** For how long a publisher id is remembered at least, also when its event has been trimmed, in milliseconds. */
  dedupWindow: number
  /** The most topics that may have events; default: no limit. */
  topics?: number
}

/** The refusal of an event that would make one topic too many. */
export function tooManyTopics({ topic }: NewEvent, index: number, limit: number): HubError {
  const refusal = new HubError(
    'too-many-topics',
    `${quote(topic)} would be a further topic, and the log holds events of ${limit}, as many as it may (FANFARE_MAX_TOPICS). Publish to a topic that has events, or wait until a topic has none left.`,
  )
  refusal.index = index
  return refusal
}

/** The longest key of a record, in bytes of UTF-8. */
const MAX_KEY = 1_024

/** @throws RangeError when the key of a record is too long */
export function requireKey(key: string): void {
  if (Buffer.byteLength(key) > MAX_KEY) throw new RangeError(`the key of a record may have ${MAX_KEY} bytes`)
}

/** The part of `Retention.bytes` that publisher ids of trimmed events may take: then no further id is taken. */
export const IDS_PART = 1 / 2

/** The refusal of an event whose publisher id cannot be remembered now. */
export function tooManyIds(index: number): HubError {
  const refusal = new HubError(
    'too-many-ids',
    'The publisher ids of trimmed events fill half of FANFARE_RETAIN_BYTES. Each is remembered for FANFARE_DEDUP_WINDOW: try again when that is over for some of them.',
  )
  refusal.index = index
  return refusal
}
