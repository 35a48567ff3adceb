/**
 * The connections of a TLS server whose handshake is not finished. A closing server waits until their handshake times
 * out: the own server of a hub for 15 s, the server of an application for 120 s by default.
 */
import type { Server, Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'

/** Watches the handshakes of an application's server. Returns `undefined` for a server without TLS. */
export function watchHandshakes(server: Server): Handshakes | undefined {
  return server instanceof TlsServer ? new Handshakes(server) : undefined
}

export class Handshakes {
  /** The connections without TLS on which the handshakes take place, by the address of the peer. */
  readonly #underWay = new Map<string, Socket>()

  constructor(server: TlsServer) {
    server.on('connection', (socket: Socket) => {
      const peer = peerOf(socket)
      this.#underWay.set(peer, socket)
      socket.once('close', () => {
        if (this.#underWay.get(peer) === socket) this.#underWay.delete(peer)
      })
    })
    // a listener of an application may already have destroyed this socket; the other one has closed then
    server.on('secureConnection', (socket) => void this.#underWay.delete(peerOf(socket)))
  }

  /** Closes the connections. Their clients have sent no request, and lose nothing. */
  end(): void {
    for (const socket of this.#underWay.values()) socket.destroy()
  }
}

/** Two open connections of one server never have the same peer. */
function peerOf({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${remoteAddress ?? ''} ${remotePort ?? ''}`
}
