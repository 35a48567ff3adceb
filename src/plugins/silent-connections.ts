/**
 * Connections on which no request has come yet. Node waits for them when a server closes, as if they were at work: each
 * browser that has connected in advance would keep an application from closing until its time for a head is over.
 */
import { Server as HttpServer, type IncomingMessage } from 'node:http'
import { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** How often it is looked at them while the application closes, in milliseconds. */
export const LOOK_INTERVAL = 50
/** At so many looks a head may still be on its way, once some of it has come. */
const LOOKS_AT_HEAD = 10

/** What there is of them on an application's server. */
export class SilentConnections {
  /** How often each has been looked at. */
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
    server.on('request', ({ socket }: IncomingMessage) => {
      if (looks.delete(socket)) socket.off('close', forget)
    })
  }

  /** Ends those that still send nothing, or no more than half a head. */
  end(): void {
    for (const [socket, looks] of this.#looks) {
      if (socket.isPaused() || isTaken(socket)) continue // it is accepted, and what it has sent is still to be read; or somebody has it
      if (looks >= (socket.bytesRead === 0 ? 1 : LOOKS_AT_HEAD)) socket.destroy()
      else this.#looks.set(socket, looks + 1)
    }
  }
}

/**
 * Whether a request has come of which there was no event `request`: somebody takes over what is upgraded, or answers
 * `Expect` by themselves. Node's HTTP has let go of the socket then, or has a response for it (lib/_http_server.js).
 */
function isTaken(socket: Socket): boolean {
  const { parser, _httpMessage: response } = socket as Socket & { parser?: unknown; _httpMessage?: unknown }
  return !parser || Boolean(response)
}
