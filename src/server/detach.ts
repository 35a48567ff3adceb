/**
 * Detaches the socket of an event stream from Node's HTTP after the head. Otherwise Node would keep parser, request and
 * response as long as the connection lives. They are more than half of the memory of an idle stream, and as old objects
 * they keep young objects alive.
 */
import { Server, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

/**
 * The names of the listeners that Node's HTTP adds to a socket, by event (lib/_http_server.js; the last one is from
 * lib/net.js).
 */
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
 * The name of the listener that Node's HTTP adds to a response (lib/_http_server.js). It would start the next response
 * on the connection.
 */
const RESPONSE_LISTENER = 'bound resOnFinish'

/**
 * Detaches the socket when the request has been read to its end. The socket is a plain socket then: do not use
 * `request` or `response` afterwards. Later bytes of the peer are read and dropped. The response emits 'finish' at once
 * (Fastify then calls its `onResponse` hooks), and 'close' when the connection closes. If Node's HTTP has unexpected
 * internals, nothing happens, and the stream costs more memory.
 */
export function detach(request: IncomingMessage, response: ServerResponse, socket: Socket): void {
  afterRequest(request, () => detachNow(response, socket))
}

/**
 * Reads and drops the bytes after a request, in place of Node's HTTP. The response keeps the socket. This uses Node's
 * public API only.
 */
export function dropRest(request: IncomingMessage, socket: Socket): void {
  afterRequest(request, () => {
    if (socket.destroyed) return
    socket.removeAllListeners('data')
    socket.on('data', ignore)
    socket.resume()
  })
}

/**
 * Calls `run` in a turn after a request has been read to its end. The request may emit 'close' while the parser parses
 * a pipelined request. A parser that is freed at that moment would add itself to the server's idle connections again.
 */
function afterRequest(request: IncomingMessage, run: () => void): void {
  const later = () => void setImmediate(run)
  if (request.closed) later()
  else request.once('close', later)
  request.resume()
}

function detachNow(response: ServerResponse, socket: Socket): void {
  const [close] = httpListeners(socket, 'close')
  const [onFinish] = (response.rawListeners('finish') as Listener[]).filter(({ name }) => name === RESPONSE_LISTENER)
  if (socket.destroyed || !close || !onFinish) return
  response.detachSocket(socket)
  // Node's own reaction to the end of a connection: frees the parser and aborts pipelined requests.
  asIfDestroyed(socket, () => withoutStackTraces(() => close.call(socket)))
  for (const event of Object.keys(HTTP_LISTENERS)) {
    for (const listener of httpListeners(socket, event)) socket.removeListener(event, listener)
  }
  socket.on('data', ignore)
  socket.resume()
  finish(response, onFinish)
  if (response.listenerCount('close') > 0) socket.once('close', () => emitClose(response))
}

const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: hub\r\n\r\n')

/**
 * Returns why this version of Node does not support `detach`; `undefined` if it does. The test detaches a connection
 * without a peer.
 */
export function detachFault(): string | undefined {
  const connection = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() }).on(
    'error',
    ignore,
  )
  const before = new Set(listenersOf(connection).map(({ listener }) => listener))
  const responses: ServerResponse[] = []
  let finishes = 0
  try {
    const server = new Server((request, response) => {
      request.on('error', ignore)
      responses.push(response.on('finish', () => finishes++))
    })
    server.emit('connection', connection)
    connection.emit('data', REQUEST)
    const [response] = responses
    if (!response) return 'a server does not read a request from a stream'
    response.writeHead(200)
    response.flushHeaders()
    detachNow(response, connection as unknown as Socket)
    if (finishes !== 1 || !response.writableEnded) return 'a response does not release its socket'
    const left = listenersOf(connection).find(({ listener }) => listener !== ignore && !before.has(listener))
    if (left) return `Node's HTTP has an unknown listener: ${left.listener.name} of ${left.event}`
    connection.emit('data', REQUEST)
    if (responses.length > 1) return "Node's HTTP still reads from a detached socket"
    return connection.destroyed ? 'a socket is destroyed when it is detached' : undefined
  } catch (err) {
    return String(err)
  } finally {
    connection.destroy()
  }
}

function listenersOf(emitter: NodeJS.EventEmitter): { event: string; listener: Listener }[] {
  return emitter
    .eventNames()
    .flatMap((name) =>
      (emitter.rawListeners(name) as Listener[]).map((listener) => ({ event: String(name), listener })),
    )
}

/** Emits 'close' for a response without a socket, for which Node would never emit it. */
export function emitClose(response: ServerResponse): void {
  if (response.destroyed) return
  response.destroyed = true
  response.emit('close')
}

/** Marks a response as ended and emits 'finish', without Node's own listener. */
function finish(response: ServerResponse, onFinish: Listener): void {
  response.removeListener('finish', onFinish)
  Object.assign(response, { finished: true }) // the value of `writableEnded`
  response.emit('finish')
}

/** Runs a function while a socket seems destroyed: an aborted request then does not destroy its connection. */
function asIfDestroyed(socket: Socket, run: () => void): void {
  Object.defineProperty(socket, 'destroyed', { value: true, configurable: true })
  try {
    run()
  } finally {
    Reflect.deleteProperty(socket, 'destroyed')
  }
}

/**
 * Runs a function without stack traces. Node creates an error for the aborted request, and its stack trace would cost
 * as much as the rest of `detach`.
 */
function withoutStackTraces(run: () => void): void {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    run()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

type Listener = (this: unknown, ...args: unknown[]) => void

function httpListeners(socket: Socket, event: string): Listener[] {
  return (socket.rawListeners(event) as Listener[]).filter(({ name }) => HTTP_LISTENERS[event]!.includes(name))
}

/** Drops the bytes of a peer. Reading them lets the hub notice the end of the connection. */
function ignore(): void {
  // nothing
}
