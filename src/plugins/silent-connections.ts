/**
 * Connections on which no request is at work. When a server closes, Node waits for each that has sent nothing yet, or half
 * a head, as if it were: a browser that has connected in advance would keep an application from closing until its time for
 * a head is over.
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
export class SilentConnections {
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

  /** Ends those that still send nothing, or no more than half a head. */
  end(): void {
    for (const [socket, looks] of this.#looks) {
      if (isAtWork(socket)) continue
      if (looks >= (socket.bytesRead === 0 ? 1 : LOOKS_AT_HEAD)) socket.destroy()
      else this.#looks.set(socket, looks + 1)
    }
  }
}

/**
 * A connection that is accepted, and what it has sent is still to be read, is paused. One that is answered has a response
 * with Node's HTTP, and one that is a stream now, or was upgraded, no parser any more (lib/_http_server.js).
 */
function isAtWork(socket: Socket): boolean {
  const { parser, _httpMessage: response } = socket as Socket & { parser?: unknown; _httpMessage?: unknown }
  return socket.isPaused() || !parser || Boolean(response)
}
