/**
 * Tells connections with a request at work from silent ones. When a server closes, Node also waits for a connection that
 * has sent nothing yet, or half a head: a browser that has connected in advance would keep an application from closing
 * until its time for a head is over.
 */
import { Server as HttpServer } from 'node:http'
import { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** How often it is looked at them while the application closes, in milliseconds. */
export const LOOK_INTERVAL = 50
/** At so many looks a head may still be on its way, once some of it has come. */
const LOOKS_AT_HEAD = 10

/** What there is of them on an application's server. */
export class IdleConnections {
  /** How often each connection has been found silent. */
  readonly #looks = new Map<Socket, number>()

  constructor({ server }: Pick<FastifyInstance, 'server'>) {
    const looks = this.#looks
    function forget(this: Socket): void {
      looks.delete(this)
    }
    const isSecure = server instanceof HttpsServer
    if (!isSecure && !(server instanceof HttpServer)) return // an HTTP/2 server has sessions
    server.on(isSecure ? 'secureConnection' : 'connection', (socket: Socket) => {
      looks.set(socket, 0)
      socket.on('close', forget)
    })
  }

  /**
   * Returns whether a request is being read, handled or answered on any connection. Event streams and connections that were
   * upgraded do not count.
   */
  areRequestsAtWork(): boolean {
    for (const socket of this.#looks.keys()) if (hasParser(socket) && isAtWork(socket)) return true
    return false
  }

  /** Ends those that still send nothing, or no more than half a head. */
  end(): void {
    for (const [socket, looks] of this.#looks) {
      if (isAtWork(socket)) continue
      if (looks >= (socket.bytesRead === 0 ? 1 : LOOKS_AT_HEAD)) socket.destroy()
      else this.#looks.set(socket, looks + 1)
    }
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
