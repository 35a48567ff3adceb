/**
 * Accepts the connections of a burst before answering their first requests, for example when thousands of clients
 * reconnect after a deploy. libuv accepts one connection per turn of the event loop. If each turn answered requests as
 * well, the kernel's queue of connections would overflow, and a dropped client tries again only after one second, then
 * after three.
 */
import { Server } from 'node:http'
import type { Socket } from 'node:net'
import { TimeSlice } from '../event-loop/time-slice.js'

/** How long an accepted connection may wait for the end of a burst, in milliseconds. */
const LONGEST_BURST = 500

/** Returns why this version of Node does not support `acceptFirst`; `undefined` if it does. */
export function acceptBurstFault(): string | undefined {
  const server: Server & { pauseOnConnect?: unknown } = new Server()
  if (typeof server.pauseOnConnect !== 'boolean') return 'a server has no pauseOnConnect'
  return server.listenerCount('connection') === 0 ? 'nothing serves the connections of a server' : undefined
}

/** Makes a server delay new connections while it accepts others, for at most `LONGEST_BURST`. */
export function acceptFirst(server: Server & { pauseOnConnect?: boolean }): void {
  const serve = server.listeners('connection') as ((this: Server, socket: Socket) => void)[]
  const waiting: Socket[] = []
  /** Whether a connection was accepted in this turn. If so, more may wait in the kernel. */
  let hasAccepted = false
  let waitingSince = 0

  server.pauseOnConnect = true // requests stay in the kernel
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    hasAccepted = true
    if (waiting.push(socket) > 1) return
    waitingSince = performance.now()
    setImmediate(turn)
  })

  function turn(): void {
    if (!hasAccepted || performance.now() - waitingSince > LONGEST_BURST) {
      const slice = new TimeSlice(1)
      let count = 0
      while (count < waiting.length && !slice.isOver) begin(waiting[count++]!)
      waiting.splice(0, count)
    }
    hasAccepted = false
    if (waiting.length > 0) setImmediate(turn)
  }

  function begin(socket: Socket): void {
    if (socket.destroyed) return
    for (const listener of serve) listener.call(server, socket)
    socket.resume()
  }
}
