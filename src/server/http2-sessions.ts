/** The HTTP/2 sessions that carry event streams, or have carried some. */
import type { Http2Session, Http2Stream } from 'node:http2'

interface Load {
  /** How many event streams the session carries. */
  streams: number
  /** The session's own idle time-out, in milliseconds; 0: none. */
  timeout: number
}

export class Http2Sessions {
  readonly #loads = new Map<Http2Session, Load>()

  /**
   * Counts an event stream of a session. A session's idle time-out is about requests: it does not run while the session
   * carries an event stream, and is what it was once the last one has ended.
   */
  add(session: Http2Session, stream: Http2Stream): void {
    const load = this.#loads.get(session) ?? this.#begin(session)
    if (load.streams++ === 0) {
      load.timeout = (session as { timeout?: number }).timeout ?? 0
      session.setTimeout(0)
    }
    stream.once('close', () => {
      if (--load.streams === 0 && !session.destroyed) session.setTimeout(load.timeout)
    })
  }

  /** Lets the sessions take no more requests. An idle session would keep a server from closing until its time-out. */
  close(): void {
    for (const session of this.#loads.keys()) session.close()
  }

  #begin(session: Http2Session): Load {
    const load = { streams: 0, timeout: 0 }
    this.#loads.set(session, load)
    session.once('close', () => this.#loads.delete(session))
    return load
  }
}
