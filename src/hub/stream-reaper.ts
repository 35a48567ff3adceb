/** The one timer of all streams. It ends expired streams and live reads, and sends heartbeats to streams. */
import { monotonicNow, wallNow } from '../model/clock.js'
import { hasExpired } from '../model/principal.js'
import { TimeSlice } from '../event-loop/time-slice.js'
import type { Connections } from './connections.js'
import type { Stream } from './stream.js'

/** The time between two rounds, in milliseconds. A stream ends within a second after its token expires. */
const INTERVAL = 250

export interface ReaperOptions {
  /** The time without a write after which a stream gets a heartbeat, in milliseconds. */
  heartbeat: number
  /** The maximum age of a stream, in milliseconds; 0: no limit. */
  maxAge: number
}

export class StreamReaper {
  readonly #subscribers: Connections
  readonly #options: ReaperOptions
  readonly #beat: (stream: Stream) => void
  readonly #timer: NodeJS.Timeout
  /** The streams that the current round has not visited yet. */
  #remaining: Iterator<Stream> | undefined

  /**
   * @param beat sends a heartbeat
   * @param onRound called before each round, with the time on the monotonic clock
   */
  constructor(
    subscribers: Connections,
    options: ReaperOptions,
    beat: (stream: Stream) => void,
    onRound: (now: number) => void,
  ) {
    this.#subscribers = subscribers
    this.#options = options
    this.#beat = beat
    this.#timer = setInterval(() => {
      onRound(monotonicNow())
      this.#endReads()
      if (this.#remaining) return // the previous round still runs
      this.#remaining = this.#subscribers.values()
      this.#continue()
    }, INTERVAL).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#remaining = undefined
  }

  #endReads(): void {
    const time = wallNow()
    for (const read of this.#subscribers.reads()) if (hasExpired(read.info.principal, time)) read.end('expired')
  }

  /**
   * Runs the round in slices. After a broadcast all heartbeats are due at once, and ten thousand streams take several
   * slices.
   */
  #continue(): void {
    const slice = new TimeSlice()
    const time = wallNow()
    for (let next = this.#remaining?.next(); next && !next.done; next = this.#remaining?.next()) {
      this.#look(next.value, slice.now, time)
      if (!slice.isOver) continue
      setImmediate(() => this.#continue())
      return
    }
    this.#remaining = undefined
  }

  /**
   * @param now on the monotonic clock
   * @param time on the wall clock, which decides whether a token has expired (RFC 7519, 4.1.4)
   */
  #look(stream: Stream, now: number, time: number): void {
    const { heartbeat, maxAge } = this.#options
    const isQuiet = now - stream.lastWrite >= heartbeat
    if (hasExpired(stream.info.principal, time)) stream.end('expired')
    else if (maxAge > 0 && now - stream.openedAt >= maxAge) stream.end('lifetime')
    else if (isQuiet && stream.state === 'live' && !stream.feed.isDue) this.#beat(stream)
  }
}
