/**
 * Finds idle connections while an application closes. Node waits for connections that have sent nothing or half a head.
 * A browser that has connected in advance would keep the application from closing until the timeout for a head.
 */
import { Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Http2ServerResponse, type Http2SecureServer } from 'node:http2'
import { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'

/** The interval between two checks while the application closes, in milliseconds. */
export const CHECK_INTERVAL = 50
/** How many checks a connection with half a head survives. */
const CHECKS_WITH_HALF_HEAD = 10

/** A server that speaks HTTP/1, alone or besides HTTP/2. */
type Http1Server = HttpServer | HttpsServer | Http2SecureServer

/** The connections of an application's server that belong to HTTP/1. */
export abstract class IdleConnections {
  /** How many checks have found each connection idle. */
  protected readonly checks = new Map<Socket, number>()

  constructor(server: Http1Server) {
    const { checks } = this
    function forget(this: Socket): void {
      checks.delete(this)
    }
    server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
      if ('alpnProtocol' in socket && socket.alpnProtocol === 'h2') return
      checks.set(socket, 0)
      socket.on('close', forget)
    })
  }

  /**
   * Returns whether any connection has a request that is being read, handled or answered. Event streams and upgraded
   * connections do not count.
   */
  abstract areRequestsAtWork(): boolean

  /** Closes connections that stay idle: after two checks, or later if half a head has arrived. */
  end(): void {
    for (const [socket, checks] of this.checks) {
      if (!this.isIdle(socket)) continue
      if (checks >= (socket.bytesRead === 0 ? 1 : CHECKS_WITH_HALF_HEAD)) socket.destroy()
      else this.checks.set(socket, checks + 1)
    }
  }

  /** Whether a connection belongs to HTTP and has no request in progress. */
  protected abstract isIdle(socket: Socket): boolean
}

/**
 * Watches the HTTP/1 connections of an application's server. Returns `undefined` for a server of HTTP/2 alone.
 * @param isNative whether to read the marks that Node's HTTP leaves on sockets; otherwise requests are counted
 */
export function watchConnections(app: Pick<FastifyInstance, 'server'>, isNative: boolean): IdleConnections | undefined {
  const server: unknown = app.server
  if (!speaksHttp1(server)) return undefined
  return isNative ? new MarkedConnections(server) : new CountedConnections(server)
}

/** Only a server of HTTP/2 alone has no idle connections of HTTP/1 to close. */
function speaksHttp1(server: unknown): server is Http1Server {
  if (server instanceof HttpServer || server instanceof HttpsServer) return true
  return server instanceof TlsServer && 'closeIdleConnections' in server
}

/** Reads the marks that Node's HTTP leaves on sockets. */
class MarkedConnections extends IdleConnections {
  areRequestsAtWork(): boolean {
    for (const socket of this.checks.keys()) if (hasParser(socket) && isAtWork(socket)) return true
    return false
  }

  protected isIdle(socket: Socket): boolean {
    return !isAtWork(socket)
  }
}

/** Responses that are event streams, which do not count as requests in progress. */
const eventStreams = new WeakSet<ServerResponse>()

/** Marks a response as an event stream. Only `CountedConnections` needs this. */
export function markEventStream(response: ServerResponse): void {
  eventStreams.add(response)
}

/** Counts requests with Node's public API. */
class CountedConnections extends IdleConnections {
  readonly #server: Http1Server
  /** The open responses of each connection. */
  readonly #responses = new Map<Socket, Set<ServerResponse>>()

  constructor(server: Http1Server) {
    super(server)
    this.#server = server
    const all = this.#responses
    function forget(this: Socket): void {
      all.delete(this) // a pipelined response that never got the socket emits no 'close'
    }
    const count = ({ socket }: IncomingMessage, response: ServerResponse | Http2ServerResponse) => {
      if (response instanceof Http2ServerResponse) return
      const responses = all.get(socket) ?? new Set()
      if (responses.size === 0) all.set(socket.once('close', forget), responses)
      responses.add(response)
      response.once('close', () => {
        if (!responses.delete(response) || responses.size > 0) return
        all.delete(socket)
        socket.removeListener('close', forget)
      })
    }
    ;(server as NodeJS.EventEmitter).on('request', count)
  }

  areRequestsAtWork(): boolean {
    for (const responses of this.#responses.values())
      for (const response of responses) if (!eventStreams.has(response)) return true
    return false
  }

  /** If the application upgrades connections, a connection that has sent bytes may be upgraded, and is not idle. */
  protected isIdle(socket: Socket): boolean {
    const mayBeUpgraded =
      socket.bytesRead > 0 && this.#server.listenerCount('upgrade') + this.#server.listenerCount('connect') > 0
    return !socket.isPaused() && !this.#responses.has(socket) && !mayBeUpgraded
  }
}

/** The marks that Node's HTTP leaves on sockets (lib/_http_server.js). */
type HttpSocket = Socket & { parser?: unknown; _httpMessage?: unknown }

/** Whether a connection belongs to HTTP: an event stream and an upgraded connection have no parser. */
function hasParser(socket: HttpSocket): boolean {
  return Boolean(socket.parser)
}

/** Whether a connection is busy: it waits to be read (paused), left HTTP (no parser), or has a response. */
function isAtWork(socket: HttpSocket): boolean {
  return socket.isPaused() || !hasParser(socket) || Boolean(socket._httpMessage)
}

/** Returns why this version of Node does not leave the expected marks; `undefined` if it does. */
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
    return isMarked ? undefined : 'the socket of a busy connection has no response'
  } catch (err) {
    return String(err)
  } finally {
    socket.destroy()
  }
}
