/**
 * The open streams and live reads by the ids of their connections, counted by subject and by address (`networkOf`).
 */
import { networkOf } from '../model/client-address.js'
import { mapInTurns } from '../event-loop/time-slice.js'
import type { Selection } from '../model/selection.js'
import { Smallest } from '../model/smallest.js'
import type { CloseReason } from '../wire/sse.js'
import { HubFigures, type EndReason, type Sent } from './figures.js'
import type { Stream, StreamIdentity, StreamState } from './stream.js'

/** What can be listed, described and ended: a stream, or a live read. */
export interface Connection {
  readonly info: StreamIdentity
  readonly selection: Selection
  readonly state: StreamState
  /** When it was opened, on the wall clock. */
  readonly since: number
  /** The number of events and of bytes that it has been sent. */
  readonly sentEvents: number
  readonly sentBytes: number
  /**
   * Returns the maximum number of events that it has not been sent.
   * @param head the newest sequence of the log
   */
  lag(head: number): number
  end(reason: CloseReason): void
}

/** A request that waits for messages of a finite topic. Its `end` calls `Connections.deleteRead`. */
export type LiveRead = Connection

export class Connections {
  readonly #figures: HubFigures
  readonly #byId = new Map<string, Stream>()
  readonly #reads = new Map<string, LiveRead>()
  readonly #subjects = new Map<string, number>()
  readonly #addresses = new Map<string, number>()
  /** What was sent to the streams and live reads that have ended. */
  readonly #sent: Sent = { events: 0, bytes: 0 }

  /** @param figures counts what is opened and how it ends */
  constructor(figures = new HubFigures()) {
    this.#figures = figures
  }

  /** The number of open streams and live reads. */
  get size(): number {
    return this.#byId.size + this.#reads.size
  }

  /** The number of live reads. */
  get readCount(): number {
    return this.#reads.size
  }

  /** The live reads. */
  reads(): IterableIterator<LiveRead> {
    return this.#reads.values()
  }

  /** The number of streams and live reads that are not live: they read the log, or wait for their sockets. */
  get lagging(): number {
    let count = 0
    for (const { state } of this.all()) if (state !== 'live') count++
    return count
  }

  /** Returns what has been sent since the start. */
  sent(): Sent {
    const sum = { ...this.#sent }
    for (const connection of this.all()) add(sum, connection)
    return sum
  }

  get(id: string): Connection | undefined {
    return this.#byId.get(id) ?? this.#reads.get(id)
  }

  /** Returns the stream with an id; `undefined`: there is none, or it is a live read. */
  stream(id: string): Stream | undefined {
    return this.#byId.get(id)
  }

  /** The streams. */
  values(): IterableIterator<Stream> {
    return this.#byId.values()
  }

  /** Returns the number of streams and live reads of a subject. */
  ofSubject(subject: string): number {
    return this.#subjects.get(subject) ?? 0
  }

  /** Returns the number of streams and live reads from an address. */
  fromAddress(address: string | undefined): number {
    return this.#addresses.get(networkOf(address)) ?? 0
  }

  add(stream: Stream): void {
    this.#byId.set(stream.info.id, stream)
    this.#opened(stream)
  }

  /** @returns whether the stream was open */
  delete(stream: Stream, reason: EndReason): boolean {
    if (!this.#byId.delete(stream.info.id)) return false
    this.#ended(stream, reason)
    return true
  }

  addRead(read: LiveRead): void {
    this.#reads.set(read.info.id, read)
    this.#opened(read)
  }

  /** Does nothing if the live read was deleted before. */
  deleteRead(read: LiveRead, reason: EndReason): void {
    if (this.#reads.delete(read.info.id)) this.#ended(read, reason)
  }

  #opened(connection: Connection): void {
    this.#figures.opened++
    this.#count(connection, 1)
  }

  #ended(connection: Connection, reason: EndReason): void {
    this.#figures.ended[reason]++
    add(this.#sent, connection)
    this.#count(connection, -1)
  }

  #count({ info: { address, principal } }: Connection, by: number): void {
    count(this.#addresses, networkOf(address), by)
    if (principal.subject !== undefined) count(this.#subjects, principal.subject, by)
  }

  /**
   * Lists streams and live reads in the order of their ids.
   * @param after only ids that sort after this one
   * @param limit the maximum number of streams
   */
  async page(
    after: string,
    limit: number,
    isMeant: (stream: Connection) => boolean,
  ): Promise<{ streams: Connection[]; more: boolean }> {
    const first = new Smallest<Connection>(limit + 1, (a, b) => (a.info.id < b.info.id ? -1 : 1))
    await mapInTurns(this.all(), (stream) => {
      if (stream.info.id > after && first.takes(stream) && isMeant(stream)) first.add(stream)
    })
    const streams = first.sorted()
    return { streams: streams.slice(0, limit), more: streams.length > limit }
  }

  /**
   * Lists the streams and live reads with the greatest values, the greatest first.
   * @param limit the maximum number of streams
   */
  async first(
    limit: number,
    valueOf: (stream: Connection) => number,
    isMeant: (stream: Connection) => boolean,
  ): Promise<{ streams: Connection[]; more: boolean }> {
    const greatest = new Smallest<{ stream: Connection; value: number }>(
      limit + 1,
      (a, b) => b.value - a.value || (a.stream.info.id < b.stream.info.id ? -1 : 1),
    )
    await mapInTurns(this.all(), (stream) => {
      if (isMeant(stream)) greatest.add({ stream, value: valueOf(stream) })
    })
    const streams = greatest.sorted().map(({ stream }) => stream)
    return { streams: streams.slice(0, limit), more: streams.length > limit }
  }

  /** Ends the `count` streams that have been open the longest, then live reads. */
  endFirst(count: number, reason: CloseReason): void {
    for (const stream of this.all()) {
      if (count-- <= 0) return
      stream.end(reason)
    }
  }

  /**
   * Ends every stream and every live read for which `isMeant` returns `true`.
   * @returns the number of streams that were ended
   */
  async end(reason: CloseReason, isMeant: (stream: Connection) => boolean): Promise<number> {
    let count = 0
    await mapInTurns(this.all(), (stream) => {
      if (!isMeant(stream)) return
      stream.end(reason)
      count++
    })
    return count
  }

  /** The streams, then the live reads, each from the oldest on. */
  *all(): Generator<Connection> {
    yield* this.#byId.values()
    yield* this.#reads.values()
  }
}

function add(sum: Sent, { sentEvents, sentBytes }: Connection): void {
  sum.events += sentEvents
  sum.bytes += sentBytes
}

function count(counts: Map<string, number>, key: string, by: number): void {
  const now = (counts.get(key) ?? 0) + by
  if (now > 0) counts.set(key, now)
  else counts.delete(key)
}
