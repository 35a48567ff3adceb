/** A TCP proxy in front of a server, which can cut its connections. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface TcpProxy {
  readonly port: number
  /** Breaks every connection, and refuses others until `mend`. */
  cut(): void
  mend(): void
}

/**
 * Starts a proxy for a port of the loopback interface.
 * @param onSent called with what a client sends, before the server gets it
 */
export async function startTcpProxy(t: Test, port: number, onSent?: (bytes: Buffer) => void): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let isCut = false
  const server = createServer((near) => {
    if (isCut) {
      near.destroy()
      return
    }
    const far = connect(port, '127.0.0.1')
    if (onSent) near.on('data', onSent)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = (): void => {
    isCut = true
    for (const socket of sockets) socket.destroy()
  }
  t.teardown(() => {
    cut()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, cut, mend: () => void (isCut = false) }
}
