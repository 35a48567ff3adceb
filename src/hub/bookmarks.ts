/**
 * Named cursors: where a subject's stream of a name last was, so that it goes on from there on any device. What a socket
 * has taken the peer may never have read, so only what was sent a while ago counts: events come at least once.
 */
import { createHash } from 'node:crypto'
import type { Records } from '../log/log.js'
import { monotonicNow } from './clock.js'
import type { Subscriber } from './subscriber.js'

/** How often a bookmark is written while its stream is open, in milliseconds. */
const WRITE_INTERVAL = 5_000
/** For how long a peer may not have what was sent to it, in milliseconds. */
const IN_FLIGHT = 1_000

/** Whose bookmark, and which. */
export interface BookmarkName {
  subject: string
  name: string
}

interface Trail {
  key: string
  /** Where the stream was at recent times of the monotonic clock, oldest first: the first entry is what the peer has. */
  places: { time: number; sequence: number }[]
  written: number
  writtenAt: number
}

export class Bookmarks {
  readonly #records: Records
  readonly #print: (sequence: number) => string
  readonly #onError: (err: unknown, message: string) => void
  readonly #trails = new Map<Subscriber, Trail>()
  readonly #writing = new Set<Promise<void>>()

  /** @param print prints a cursor */
  constructor(records: Records, print: (sequence: number) => string, onError: (err: unknown, message: string) => void) {
    this.#records = records
    this.#print = print
    this.#onError = onError
  }

  /** The cursor at which a bookmark stands; `undefined` the first time. */
  find(bookmark: BookmarkName): string | undefined {
    return this.#records.get(keyOf(bookmark)) as string | undefined
  }

  /** Keeps a bookmark at where a stream is, from now on. */
  follow(bookmark: BookmarkName, subscriber: Subscriber): void {
    const trail: Trail = { key: keyOf(bookmark), places: [{ time: -Infinity, sequence: subscriber.sequence }], written: -1, writtenAt: -Infinity }
    this.#trails.set(subscriber, trail)
    this.#write(trail, monotonicNow())
  }

  /** Writes what has moved. To be called a few times in a second. */
  tick(now: number): void {
    for (const [subscriber, trail] of this.#trails) {
      advance(trail, subscriber, now)
      if (now - trail.writtenAt >= WRITE_INTERVAL) this.#write(trail, now)
    }
  }

  /** Writes where a stream was that has ended. */
  leave(subscriber: Subscriber): void {
    const trail = this.#trails.get(subscriber)
    if (!trail) return
    this.#trails.delete(subscriber)
    const now = monotonicNow()
    if (now - subscriber.lastWrite >= IN_FLIGHT && !subscriber.isFull) trail.places = [{ time: now, sequence: subscriber.sequence }]
    else advance(trail, undefined, now)
    this.#write(trail, now)
  }

  /** Resolves when everything is written. */
  async close(): Promise<void> {
    await Promise.all(this.#writing)
  }

  #write(trail: Trail, now: number): void {
    const { sequence } = trail.places[0]!
    trail.writtenAt = now
    if (sequence === trail.written) return
    trail.written = sequence
    const writing: Promise<void> = this.#records
      .put(trail.key, this.#print(sequence))
      .catch((err: unknown) => {
        trail.written = -1
        this.#onError(err, 'a named cursor could not be written')
      })
      .finally(() => this.#writing.delete(writing))
    this.#writing.add(writing)
  }
}

/** Notes where a stream is, unless its socket is full, and drops the places before the last that its peer has. */
function advance({ places }: Trail, subscriber: Subscriber | undefined, now: number): void {
  if (subscriber && !subscriber.isFull && places.at(-1)!.sequence !== subscriber.sequence) places.push({ time: now, sequence: subscriber.sequence })
  while (places.length > 1 && places[1]!.time <= now - IN_FLIGHT) places.shift()
}

function keyOf({ subject, name }: BookmarkName): string {
  return `cursor/${createHash('sha256').update(subject).digest('base64url')}/${name}` // a subject may be longer than a key
}
