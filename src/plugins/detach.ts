/**
 * Lets a socket go from Node's HTTP once the head of an endless response is out. Node would keep the parser, the
 * request, the response and all that hangs on them for as long as the connection lives: more than half of the memory
 * that an idle stream costs, and old objects that keep young ones alive for the garbage collector.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** What listens to the socket of a connection for Node's HTTP (lib/_http_server.js and, the last one, lib/net.js), by event. */
const HTTP_LISTENERS: Record<string, string[]> = {
  close: ['bound socketOnClose'],
  data: ['bound socketOnData'],
  drain: ['bound socketOnDrain'],
  error: ['socketOnError'],
  timeout: ['socketOnTimeout'],
  pause: ['onSocketPause'],
  resume: ['onSocketResume'],
  end: ['bound socketOnEnd', 'onReadableStreamEnd'],
}

/**
 * Detaches the socket as soon as the request has been read to its end; it is a plain socket from then on, and nobody
 * may use `request` or `response` any more. Where Node's HTTP is not as it is known here nothing is done, and the stream
 * costs more memory.
 */
export function detach(request: IncomingMessage, response: ServerResponse, socket: Socket): void {
  request.once('close', () => {
    const [close] = httpListeners(socket, 'close')
    if (socket.destroyed || !close) return
    response.detachSocket(socket)
    withoutStackTraces(() => close.call(socket)) // what Node does itself when a connection ends: takes the parser off the socket and frees it
    for (const event of Object.keys(HTTP_LISTENERS)) {
      for (const listener of httpListeners(socket, event)) socket.removeListener(event, listener)
    }
    socket.on('end', endToo)
    socket.on('data', ignore)
    socket.resume()
  })
  request.resume()
}

/** Node makes an error, for a request that is over: where it was made says nothing, and costs as much as all the rest here. */
function withoutStackTraces(run: () => void): void {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    run()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

type Listener = (this: Socket, ...args: unknown[]) => void

function httpListeners(socket: Socket, event: string): Listener[] {
  return (socket.rawListeners(event) as Listener[]).filter(({ name }) => HTTP_LISTENERS[event]!.includes(name))
}

/** The peer sends nothing more: as with Node's HTTP, that is the end of the connection. */
function endToo(this: Socket): void {
  this.end()
}

/** What a peer sends after its request is read, so that its end is noticed, and dropped. */
function ignore(): void {
  // nothing
}
