/** The HTTP/2 sessions that carry or have carried event streams. */
import type { Http2Session, Http2Stream } from 'node:http2'

interface Load {
  /** The number of event streams in the session. */
  streams: number
  /** The idle timeout that the application has set for the session, in milliseconds. 0 means none. */
  timeout: number
}

export class Http2Sessions {
  readonly #loads = new Map<Http2Session, Load>()

  /**
   * Counts an event stream of a session. The idle timeout of a session is meant for requests, so it is off while the
   * session carries an event stream. It is restored after the last stream.
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

  /** Closes the sessions gracefully. An idle session would keep a server from closing until its timeout. */
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
