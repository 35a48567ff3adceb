/**
 * Lets a socket go from Node's HTTP once the head of an endless response is out. Node would keep the parser, the
 * request, the response and all that hangs on them for as long as the connection lives: more than half of the memory
 * that an idle stream costs, and old objects that keep young ones alive for the garbage collector.
 */
import { Server, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

/**
 * What listens to the socket of a connection for Node's HTTP (lib/_http_server.js and, the last one, lib/net.js), by
 * event.
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
 * What listens to a response for Node's HTTP (lib/_http_server.js): it would look for the next response on the
 * connection.
 */
const RESPONSE_LISTENER = 'bound resOnFinish'

/**
 * Detaches the socket as soon as the request has been read to its end; it is a plain socket from then on, and nobody
 * may use `request` or `response` any more. What the peer sends later is read and dropped. For HTTP the response is
 * finished then ('finish', at which Fastify calls its `onResponse` hooks); whoever listens for its 'close' is told when
 * the connection closes. Where Node's HTTP is not as it is known here nothing is done, and the stream costs more
 * memory.
 */
export function detach(request: IncomingMessage, response: ServerResponse, socket: Socket): void {
  afterRequest(request, () => letGo(response, socket))
}

/**
 * Takes what a peer sends after its request from Node's HTTP, and drops it; the response keeps the socket. That is what
 * can be done by Node's public API.
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
 * Runs when a request has been read to its end, and not within the parser, which may be in the middle of what was
 * pipelined behind the request: promises and 'close' run between two parts of a body. A parser that is freed there
 * would add itself to the server's idle connections again.
 */
function afterRequest(request: IncomingMessage, run: () => void): void {
  const later = () => void setImmediate(run)
  if (request.closed) later()
  else request.once('close', later)
  request.resume()
}

function letGo(response: ServerResponse, socket: Socket): void {
  const [close] = httpListeners(socket, 'close')
  const [onFinish] = (response.rawListeners('finish') as Listener[]).filter(({ name }) => name === RESPONSE_LISTENER)
  if (socket.destroyed || !close || !onFinish) return
  response.detachSocket(socket)
  // what Node does itself when a connection ends: frees the parser, and aborts the requests that were pipelined behind
  // this one
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
 * Returns why a socket cannot be detached from this Node's HTTP; `undefined` when it can. A connection without a peer
 * is detached to see that.
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
    letGo(response, connection as unknown as Socket)
    if (finishes !== 1 || !response.writableEnded) return 'a response does not give up its socket'
    const left = listenersOf(connection).find(({ listener }) => listener !== ignore && !before.has(listener))
    if (left) return `a listener of Node's HTTP is not known: ${left.listener.name} of ${left.event}`
    connection.emit('data', REQUEST)
    if (responses.length > 1) return "Node's HTTP goes on reading from a detached socket"
    return connection.destroyed ? 'a socket does not survive it' : undefined
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

/**
 * Tells that a response is over of which Node will never say so itself, since it has no socket any more, or never got
 * one: emits 'close'.
 */
export function emitClose(response: ServerResponse): void {
  if (response.destroyed) return
  response.destroyed = true
  response.emit('close')
}

/** Tells that a response has been handed over: nothing can be written to it any more. */
function finish(response: ServerResponse, onFinish: Listener): void {
  response.removeListener('finish', onFinish)
  Object.assign(response, { finished: true }) // what `writableEnded` answers
  response.emit('finish')
}

/** A request that is aborted destroys its connection, unless that is destroyed already. */
function asIfDestroyed(socket: Socket, run: () => void): void {
  Object.defineProperty(socket, 'destroyed', { value: true, configurable: true })
  try {
    run()
  } finally {
    Reflect.deleteProperty(socket, 'destroyed')
  }
}

/**
 * Node makes an error, for a request that is over: where it was made says nothing, and costs as much as all the rest
 * here.
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

/** What a peer sends after its request is read, so that its end is noticed, and dropped. */
function ignore(): void {
  // nothing
}
