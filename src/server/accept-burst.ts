/**
 * When thousands connect at once, as after a deploy, their connections are accepted before the first of their requests
 * is answered. libuv accepts one connection in a turn of the event loop; if each turn answered requests as well, the
 * kernel's queue of connections would overflow, and whoever is dropped there tries again only after one second, then
 * after three.
 */
import { Server } from 'node:http'
import type { Socket } from 'node:net'
import { TimeSlice } from '../event-loop/time-slice.js'

/** For how long connections may keep those before them waiting, in milliseconds. */
const LONGEST_BURST = 500

/** Returns why this Node's servers cannot accept first; `undefined` when they can. */
export function acceptBurstFault(): string | undefined {
  const server: Server & { pauseOnConnect?: unknown } = new Server()
  if (typeof server.pauseOnConnect !== 'boolean') return 'a server has no pauseOnConnect'
  return server.listenerCount('connection') === 0 ? 'nothing serves the connections of a server' : undefined
}

/** Has a server answer nobody new while others are still being accepted, though not forever. */
export function acceptFirst(server: Server & { pauseOnConnect?: boolean }): void {
  const serve = server.listeners('connection') as ((this: Server, socket: Socket) => void)[]
  const waiting: Socket[] = []
  /** Whether somebody came in this turn; then there may be more. */
  let came = false
  let waitingSince = 0

  server.pauseOnConnect = true // what they send stays in the kernel
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    came = true
    if (waiting.push(socket) > 1) return
    waitingSince = performance.now()
    setImmediate(turn)
  })

  function turn(): void {
    if (!came || performance.now() - waitingSince > LONGEST_BURST) {
      const slice = new TimeSlice(1)
      let count = 0
      while (count < waiting.length && !slice.isOver) begin(waiting[count++]!)
      waiting.splice(0, count)
    }
    came = false
    if (waiting.length > 0) setImmediate(turn)
  }

  function begin(socket: Socket): void {
    if (socket.destroyed) return
    for (const listener of serve) listener.call(server, socket)
    socket.resume()
  }
}
