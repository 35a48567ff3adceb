/**
 * Writes to a socket past the buffer that Node's streams keep. A stream's own way costs as much again as the rest of
 * the hub does for a delivery (docs/performance.md): several objects and a dozen calls for what nearly always is one
 * `write` that the kernel takes at once. Node does the same below it (lib/internal/stream_base_commons.js), with what
 * it does not export.
 */
import { Socket, type SocketConstructorOpts } from 'node:net'
import type { Lender } from '../wire/sink.js'

/** What Node's sockets hold on to libuv with. */
interface Handle {
  /**
   * Gives libuv bytes to write; whatever the kernel does not take at once stays in its queue, and so does the request.
   * @param request `null` from Node 26 on, which makes a request only for a write that is not done at once
   * @returns 0, the number of an error or, from Node 26 on, the request
   */
  writeBuffer(request: WriteRequest | null, bytes: Buffer): number | WriteRequest
  /** How many bytes are in the queue. None is no sign that the request is done: it may still have to be told. */
  readonly writeQueueSize: number
}

/** A write in progress. One that is done at once leaves no trace in it, and it can be used again. */
interface WriteRequest {
  /** -1 as long as libuv has nothing to do with it. */
  getAsyncId(): number
  /** What is being written, lest it be collected. */
  buffer?: Buffer
  /** @param status 0, or the number of an error */
  oncomplete?: (status: number) => void
  /** From Node 26 on: the status of a write that completed before `oncomplete` was set, else `null`. */
  writeStatus?: number | null
}

export interface DirectWriter {
  /**
   * Called when everything is written that was left when `write` answered `false`, unless the socket was closed
   * meanwhile.
   */
  onDrain: () => void
  /** How many bytes the kernel has not taken yet. */
  readonly waiting: number
  /**
   * Writes; nothing may be left in the socket's own buffer. `false`: something is left, or the socket is broken and
   * closes.
   * @param lender is told when libuv has read the bytes to the end, unless the socket was closed meanwhile
   */
  write(bytes: Buffer, lender?: Lender): boolean
}

const UNUSED = -1
const PROTOCOL = findProtocol()
/** The request of the next write, where Node wants one. */
let spare = PROTOCOL.Request ? new PROTOCOL.Request() : null

/** Returns why this Node's sockets cannot be written directly; `undefined` when they can. */
export function directWriterFault(): string | undefined {
  return PROTOCOL.fault
}

/** @returns `undefined` where Node is not as it is known here: the socket is to be used as a stream then */
export function writerTo(socket: Socket): DirectWriter | undefined {
  const { _handle: handle } = socket as { _handle?: Partial<Handle> | null }
  const isKnown = typeof handle?.writeBuffer === 'function' && typeof handle.writeQueueSize === 'number'
  return isKnown && PROTOCOL.fault === undefined ? new HandleWriter(socket, handle as Handle) : undefined
}

/** Returns how many bytes of a write the kernel has not taken yet; `undefined` where Node does not tell. */
export function queueSizeOf(socket: Socket): number | undefined {
  return (socket as { _handle?: Partial<Handle> | null })._handle?.writeQueueSize
}

class HandleWriter implements DirectWriter {
  onDrain: () => void = () => undefined
  readonly #handle: Handle
  readonly #socket: Socket

  constructor(socket: Socket, handle: Handle) {
    this.#handle = handle
    this.#socket = socket
  }

  get waiting(): number {
    return this.#handle.writeQueueSize
  }

  write(bytes: Buffer, lender?: Lender): boolean {
    const result = this.#handle.writeBuffer(spare, bytes)
    if (result === 0 && (!spare || spare.getAsyncId() === UNUSED)) {
      lender?.release()
      return true
    }
    const request = typeof result === 'object' ? result : spare
    if (request?.writeStatus === 0) {
      lender?.release()
      return true
    }
    const isUnderWay =
      request && !request.writeStatus && request.getAsyncId() !== UNUSED && (result === 0 || result === request)
    if (!isUnderWay) {
      this.#socket.destroy()
      return false
    }
    if (PROTOCOL.Request) spare = new PROTOCOL.Request()
    request.buffer = bytes
    request.oncomplete = (status) => {
      if (status !== 0) {
        this.#socket.destroy()
        return
      }
      lender?.release()
      this.onDrain()
    }
    return false
  }
}

/** How Node tells a handle to write. */
interface Protocol {
  /** The class of a request that is given with each write; from Node 26 on there is none. */
  Request?: new () => WriteRequest
  fault?: string
}

/** Looks at what a socket gives to a handle that is none: Node does not export the class of a request. */
function findProtocol(): Protocol {
  const given: unknown[] = []
  const begun = { getAsyncId: () => UNUSED + 2, writeStatus: null, oncomplete: undefined }
  try {
    writeTo((request) => given.push(request) && 0)
    const [request] = given as [WriteRequest | null | undefined]
    if (request) {
      const Request = request.constructor as new () => WriteRequest
      return new Request().getAsyncId() === UNUSED ? { Request } : { fault: 'a request of a write is not known' }
    }
    if (request === undefined) return { fault: 'a socket does not write to its handle' }
    writeTo(() => begun)
    return typeof begun.oncomplete === 'function' ? {} : { fault: 'a handle does not make the request of a write' }
  } catch (err) {
    return { fault: `a socket does not write to its handle: ${String(err)}` }
  }
}

/** Writes a byte to a socket whose handle does nothing but to answer this. */
function writeTo(writeBuffer: (request: unknown) => unknown): void {
  const nothing = () => 0
  const handle = { getAsyncId: nothing, readStart: nothing, readStop: nothing, close: nothing, writeBuffer }
  new Socket({ handle } as SocketConstructorOpts).write(Buffer.alloc(1))
}
