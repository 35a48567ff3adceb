/**
 * Tells connections with a request at work from silent ones. When a server closes, Node also waits for a connection
 * that has sent nothing yet, or half a head: a browser that has connected in advance would keep an application from
 * closing until its time for a head is over.
 */
import { Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'

/** How often it is looked at them while the application closes, in milliseconds. */
export const LOOK_INTERVAL = 50
/** At so many looks a head may still be on its way, once some of it has come. */
const LOOKS_AT_HEAD = 10

/** The connections of an application's server that belong to HTTP. */
export abstract class IdleConnections {
  /** How often each connection has been found silent. */
  protected readonly looks = new Map<Socket, number>()

  constructor(server: HttpServer | HttpsServer) {
    const { looks } = this
    function forget(this: Socket): void {
      looks.delete(this)
    }
    server.on(server instanceof HttpsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
      looks.set(socket, 0)
      socket.on('close', forget)
    })
  }

  /**
   * Returns whether a request is being read, handled or answered on any connection. Event streams and connections that
   * were upgraded do not count.
   */
  abstract areRequestsAtWork(): boolean

  /** Ends those that still send nothing, or no more than half a head. */
  end(): void {
    for (const [socket, looks] of this.looks) {
      if (!this.isIdle(socket)) continue
      if (looks >= (socket.bytesRead === 0 ? 1 : LOOKS_AT_HEAD)) socket.destroy()
      else this.looks.set(socket, looks + 1)
    }
  }

  /** Whether a connection has no request at work, and belongs to HTTP. */
  protected abstract isIdle(socket: Socket): boolean
}

/**
 * Watches the connections of an application's server; `undefined` for HTTP/2, whose servers have sessions.
 * @param isNative looks at what Node's HTTP notes on its sockets, else each request is counted
 */
export function watchConnections(app: Pick<FastifyInstance, 'server'>, isNative: boolean): IdleConnections | undefined {
  const server: unknown = app.server
  if (!(server instanceof HttpServer) && !(server instanceof HttpsServer)) return undefined
  return isNative ? new MarkedConnections(server) : new CountedConnections(server)
}

/** Connections as Node's HTTP marks them. */
class MarkedConnections extends IdleConnections {
  areRequestsAtWork(): boolean {
    for (const socket of this.looks.keys()) if (hasParser(socket) && isAtWork(socket)) return true
    return false
  }

  protected isIdle(socket: Socket): boolean {
    return !isAtWork(socket)
  }
}

/** Responses that are event streams, and so no requests at work. */
const eventStreams = new WeakSet<ServerResponse>()

/** Notes that a response is an event stream, which only requests that are counted need. */
export function markEventStream(response: ServerResponse): void {
  eventStreams.add(response)
}

/** Connections whose requests are counted, by Node's public API. */
class CountedConnections extends IdleConnections {
  readonly #server: HttpServer | HttpsServer
  /** The responses that are not over. */
  readonly #responses = new Map<Socket, Set<ServerResponse>>()

  constructor(server: HttpServer | HttpsServer) {
    super(server)
    this.#server = server
    const all = this.#responses
    function forget(this: Socket): void {
      all.delete(this) // a response that never got the socket does not close
    }
    server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      const responses = all.get(socket) ?? new Set()
      if (responses.size === 0) all.set(socket.once('close', forget), responses)
      responses.add(response)
      response.once('close', () => {
        if (!responses.delete(response) || responses.size > 0) return
        all.delete(socket)
        socket.removeListener('close', forget)
      })
    })
  }

  areRequestsAtWork(): boolean {
    for (const responses of this.#responses.values())
      for (const response of responses) if (!eventStreams.has(response)) return true
    return false
  }

  /** Where the application upgrades connections, one that has sent something may be one of these. */
  protected isIdle(socket: Socket): boolean {
    const mayBeUpgraded =
      socket.bytesRead > 0 && this.#server.listenerCount('upgrade') + this.#server.listenerCount('connect') > 0
    return !socket.isPaused() && !this.#responses.has(socket) && !mayBeUpgraded
  }
}

/** The fields of a socket by which Node's HTTP marks its work (lib/_http_server.js). */
type HttpSocket = Socket & { parser?: unknown; _httpMessage?: unknown }

/** Node's HTTP has no parser any more for a connection that is a stream now, or was upgraded. */
function hasParser(socket: HttpSocket): boolean {
  return Boolean(socket.parser)
}

/** A paused connection was accepted and is still to be read. A connection that is answered has a response. */
function isAtWork(socket: HttpSocket): boolean {
  return socket.isPaused() || !hasParser(socket) || Boolean(socket._httpMessage)
}

/** Returns why this Node's HTTP does not mark its sockets as it is known here; `undefined` when it does. */
export function idleConnectionsFault(): string | undefined {
  const socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() }).on(
    'error',
    () => undefined,
  ) as unknown as Socket
  let isMarked = false as boolean
  try {
    const server = new HttpServer(() => (isMarked = isAtWork(socket)))
    server.emit('connection', socket)
    if (!hasParser(socket)) return 'the socket of a connection has no parser'
    socket.resume()
    if (isAtWork(socket)) return 'the socket of an idle connection has a response'
    socket.emit('data', Buffer.from('GET / HTTP/1.1\r\nHost: hub\r\n\r\n'))
    return isMarked ? undefined : 'the socket of a connection that is answered has no response'
  } catch (err) {
    return String(err)
  } finally {
    socket.destroy()
  }
}
