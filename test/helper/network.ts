/** A network between a browser and a server that a test can cut. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface Network {
  /** The server's address through the network. */
  readonly url: string
  /** Ends all connections, and every new one at once. */
  cut(): void
  /** Stops the traffic of the open connections, and leaves them open. */
  stall(): void
  mend(): void
}

/** Puts a network before a server on the loopback interface, which may start later. */
export async function networkTo(t: Test, url: string): Promise<Network> {
  const { hostname, port } = new URL(url)
  const sockets = new Set<Socket>()
  /** The flow of the server's answers, by source. */
  const flows = new Map<Socket, Socket>()
  let isCut = false
  const server = createServer((near) => {
    if (isCut) {
      near.destroy()
      return
    }
    const far = connect({ host: hostname, port: Number(port) })
    flows.set(far, near)
    near.once('close', () => flows.delete(far))
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => undefined) // 'close' follows
      socket.once('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')

  function cut(): void {
    isCut = true
    for (const socket of sockets) socket.destroy()
  }
  function stall(): void {
    for (const [far, near] of flows) far.unpipe(near)
  }
  function mend(): void {
    isCut = false
    for (const [far, near] of flows) far.unpipe(near).pipe(near)
  }
  t.teardown(() => {
    cut()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, cut, stall, mend }
}
