/**
 * Mends a fault of the NATS client (3.3 and 3.4): it removes its listeners from a broken socket before pending writes
 * fail. Their error then has no listener, and Node ends the process.
 */
import type { Socket } from 'node:net'
import transport from '@nats-io/transport-node/lib/node_transport.js'

/** The parts of the client's connection that its types hide. */
interface Connection {
  socket: Socket
  /** Called once with each socket. */
  setupHandlers: (this: Connection) => void
}

let isMended = false

/** Makes the sockets of all later connections keep a listener for errors. */
export function handleSocketErrors(): void {
  if (isMended) return
  isMended = true
  const prototype = transport.NodeTransport.prototype as unknown as Connection
  const { setupHandlers } = prototype
  prototype.setupHandlers = function () {
    setupHandlers.call(this)
    const { socket } = this
    const removeAllListeners = socket.removeAllListeners.bind(socket)
    socket.removeAllListeners = (event?: string | symbol) => {
      removeAllListeners(event)
      return socket.on('error', () => undefined)
    }
  }
}
