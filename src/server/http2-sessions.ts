/**
 * The HTTP/2 sessions of an application's server: their requests, their event streams, and how they end. A session ends
 * with GOAWAY (RFC 9113, 6.8): its open streams go on, and the client sends further requests on another connection.
 */
import type { Http2Session, Http2Stream } from 'node:http2'
import type { Server, Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'

/** The interval between two searches for sessions whose peers do not close their side, in milliseconds. */
const SEARCH_INTERVAL = 1_000
/** How long the peer may keep its side of the connection open after the last stream of an ended session. */
const END_GRACE = 2_000

interface Session {
  /** The socket of the session. Its session gives no access to it. */
  socket: Socket | undefined
  /** The number of open streams: requests and event streams. */
  streams: number
  /** The number of open event streams. */
  eventStreams: number
  /** The idle timeout that the application has set for the session, in milliseconds. 0 means none. */
  timeout: number
  /** Since when the session has been over, on the clock of `performance.now()`. */
  overSince: number | undefined
}

/** Watches the sessions of an application's server. Returns `undefined` for a server of HTTP/1. */
export function watchSessions(server: Server, isDraining: () => boolean): Http2Sessions | undefined {
  // Node does not export the classes of its servers of HTTP/2
  return 'updateSettings' in server ? new Http2Sessions(server, isDraining) : undefined
}

export class Http2Sessions {
  readonly #isDraining: () => boolean
  readonly #sessions = new Map<Http2Session, Session>()
  /** The streams of requests that are being read, handled or answered. Event streams do not count. */
  readonly #requests = new Set<Http2Stream>()
  #newest: Session | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosing = false

  /** @param isDraining whether an event stream that ends also ends its session: the client connects elsewhere */
  constructor(server: Server, isDraining: () => boolean) {
    this.#isDraining = isDraining
    server.on('session', (session: Http2Session) => this.#begin(session))
    // Node has created the session of a connection when it calls this listener, which was added later than Node's own.
    server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
      if (this.#newest) this.#newest.socket = socket
      this.#newest = undefined
    })
    // before the listener that handles the request, which may open an event stream at once
    server.prependListener('stream', (stream: Http2Stream) => this.#onStream(stream))
  }

  /** Returns whether any session has a request in progress. Event streams do not count. */
  areRequestsAtWork(): boolean {
    return this.#requests.size > 0
  }

  /**
   * Counts a stream as an event stream. The idle timeout of a session is meant for requests, so it is off while the
   * session carries an event stream. It is restored after the last stream.
   */
  addEventStream(stream: Http2Stream): void {
    const { session } = stream
    const state = session && this.#sessions.get(session)
    if (!session || !state) return
    this.#requests.delete(stream)
    if (state.eventStreams++ > 0) return
    state.timeout = (session as { timeout?: number }).timeout ?? 0
    session.setTimeout(0)
  }

  /** Closes all sessions gracefully, now and from now on. An idle session would keep a server from closing. */
  close(): void {
    this.#isClosing = true
    for (const session of this.#sessions.keys()) session.close()
    this.#search()
  }

  #begin(session: Http2Session): void {
    const state = { socket: undefined, streams: 0, eventStreams: 0, timeout: 0, overSince: undefined }
    this.#sessions.set(session, state)
    this.#newest = state
    session.once('close', () => {
      this.#sessions.delete(session)
      if (this.#sessions.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    })
    this.#timer ??= setInterval(() => this.#search(), SEARCH_INTERVAL).unref()
    if (this.#isClosing) session.close()
  }

  #onStream(stream: Http2Stream): void {
    const { session } = stream
    const state = session && this.#sessions.get(session)
    if (!session || !state) return
    state.streams++
    this.#requests.add(stream)
    stream.once('close', () => {
      state.streams--
      if (!this.#requests.delete(stream)) this.#onEventStreamEnd(session, state)
    })
  }

  #onEventStreamEnd(session: Http2Session, state: Session): void {
    if (--state.eventStreams === 0 && !session.destroyed) session.setTimeout(state.timeout)
    if (this.#isDraining()) endSession(session)
  }

  /**
   * Closes the sockets of sessions that are over. Node waits for the peer to close its side, and to take the bytes that
   * are left. A peer that has vanished, or does not want to, would keep the socket open.
   */
  #search(): void {
    const now = performance.now()
    for (const [session, state] of this.#sessions) {
      if (!session.destroyed && !(session.closed && state.streams === 0)) continue
      state.overSince ??= now
      if (now - state.overSince >= END_GRACE) state.socket?.destroy()
    }
  }
}

/** Ends a session after its open streams, so that the client connects to another hub. */
export function endSession(session: Http2Session | undefined): void {
  if (session && !session.closed && !session.destroyed) session.close()
}
