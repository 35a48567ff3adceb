/** The open streams by the ids of their connections, counted by subject and by address (`networkOf`). */
import { networkOf } from '../model/client-address.js'
import { mapInTurns } from '../event-loop/time-slice.js'
import { Smallest } from '../model/smallest.js'
import type { CloseReason } from '../wire/sse.js'
import type { Stream } from './stream.js'

export class Connections {
  readonly #byId = new Map<string, Stream>()
  readonly #subjects = new Map<string, number>()
  readonly #addresses = new Map<string, number>()

  /** The number of open streams. */
  get size(): number {
    return this.#byId.size
  }

  /** The number of streams that are not live: they read the log, or wait for their sockets. */
  get lagging(): number {
    let count = 0
    for (const { state } of this.#byId.values()) if (state !== 'live') count++
    return count
  }

  get(id: string): Stream | undefined {
    return this.#byId.get(id)
  }

  values(): IterableIterator<Stream> {
    return this.#byId.values()
  }

  /** Returns the number of streams of a subject. */
  ofSubject(subject: string): number {
    return this.#subjects.get(subject) ?? 0
  }

  /** Returns the number of streams from an address. */
  fromAddress(address: string | undefined): number {
    return this.#addresses.get(networkOf(address)) ?? 0
  }

  add(stream: Stream): void {
    const { id, address, principal } = stream.info
    this.#byId.set(id, stream)
    count(this.#addresses, networkOf(address), 1)
    if (principal.subject !== undefined) count(this.#subjects, principal.subject, 1)
  }

  /** @returns whether the stream was open */
  delete(stream: Stream): boolean {
    const { id, address, principal } = stream.info
    if (!this.#byId.delete(id)) return false
    count(this.#addresses, networkOf(address), -1)
    if (principal.subject !== undefined) count(this.#subjects, principal.subject, -1)
    return true
  }

  /**
   * Lists streams in the order of their ids.
   * @param after only ids that sort after this one
   * @param limit the maximum number of streams
   */
  async page(
    after: string,
    limit: number,
    isMeant: (stream: Stream) => boolean,
  ): Promise<{ streams: Stream[]; more: boolean }> {
    const first = new Smallest<Stream>(limit + 1, (a, b) => (a.info.id < b.info.id ? -1 : 1))
    await mapInTurns(this.#byId.values(), (stream) => {
      if (stream.info.id > after && first.takes(stream) && isMeant(stream)) first.add(stream)
    })
    const streams = first.sorted()
    return { streams: streams.slice(0, limit), more: streams.length > limit }
  }

  /**
   * Lists the streams with the greatest values, the greatest first.
   * @param limit the maximum number of streams
   */
  async first(
    limit: number,
    valueOf: (stream: Stream) => number,
    isMeant: (stream: Stream) => boolean,
  ): Promise<{ streams: Stream[]; more: boolean }> {
    const greatest = new Smallest<{ stream: Stream; value: number }>(
      limit + 1,
      (a, b) => b.value - a.value || (a.stream.info.id < b.stream.info.id ? -1 : 1),
    )
    await mapInTurns(this.#byId.values(), (stream) => {
      if (isMeant(stream)) greatest.add({ stream, value: valueOf(stream) })
    })
    const streams = greatest.sorted().map(({ stream }) => stream)
    return { streams: streams.slice(0, limit), more: streams.length > limit }
  }

  /** Ends the `count` streams that have been open the longest. */
  endFirst(count: number, reason: CloseReason): void {
    for (const stream of this.#byId.values()) {
      if (count-- <= 0) return
      stream.end(reason)
    }
  }

  /**
   * Ends every stream for which `isMeant` returns `true`.
   * @returns the number of streams that were ended
   */
  async end(reason: CloseReason, isMeant: (stream: Stream) => boolean): Promise<number> {
    let count = 0
    await mapInTurns(this.#byId.values(), (stream) => {
      if (!isMeant(stream)) return
      stream.end(reason)
      count++
    })
    return count
  }
}

function count(counts: Map<string, number>, key: string, by: number): void {
  const now = (counts.get(key) ?? 0) + by
  if (now > 0) counts.set(key, now)
  else counts.delete(key)
}
