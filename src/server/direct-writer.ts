/**
 * Writes to a socket without the buffer of Node's streams. A stream doubles the cost of a delivery
 * (docs/performance.md): it takes several objects and a dozen calls, although the kernel nearly always takes the whole
 * write at once. Below that buffer, Node's streams write in the same way, with functions that Node does not export
 * (lib/internal/stream_base_commons.js).
 */
import { Socket, type SocketConstructorOpts } from 'node:net'
import type { Lender } from '../wire/sink.js'

/** Node's object for a socket of libuv. */
interface Handle {
  /**
   * Writes bytes. Bytes that the kernel does not take at once stay in libuv's queue, together with the request.
   * @param request `null` from Node 26 on, which creates a request only for a write that is not done at once
   * @returns 0, an error number or, from Node 26 on, the request
   */
  writeBuffer(request: WriteRequest | null, bytes: Buffer): number | WriteRequest
  /** The bytes in the queue. 0 does not mean done: the completion callback may still be pending. */
  readonly writeQueueSize: number
}

/** A write in progress. A request can be reused if its write was done at once. */
interface WriteRequest {
  /** -1 until libuv uses the request. */
  getAsyncId(): number
  /** Keeps the bytes from being garbage-collected during the write. */
  buffer?: Buffer
  /** @param status 0 or an error number */
  oncomplete?: (status: number) => void
  /** From Node 26 on: the status of a write that completed before `oncomplete` was set, otherwise `null`. */
  writeStatus?: number | null
}

export interface DirectWriter {
  /** Called once the bytes left over by the last `write` have been written, unless the socket closes first. */
  onDrain: () => void
  /** The number of bytes that the kernel has not taken yet. */
  readonly waiting: number
  /**
   * Writes bytes. The buffer of the socket's stream must be empty.
   * @param lender gets the bytes back when libuv has read them, unless the socket closes first
   * @returns `false` if bytes are left over, or if the socket is broken and closes
   */
  write(bytes: Buffer, lender?: Lender): boolean
}

const UNUSED = -1
const PROTOCOL = findProtocol()
/** The request of the next write. `null` from Node 26 on. */
let spare = PROTOCOL.Request ? new PROTOCOL.Request() : null

/** Returns why this version of Node does not support direct writes; `undefined` if it does. */
export function directWriterFault(): string | undefined {
  return PROTOCOL.fault
}

/** @returns `undefined` if Node has unexpected internals; write to the stream of the socket then */
export function writerTo(socket: Socket): DirectWriter | undefined {
  const { _handle: handle } = socket as { _handle?: Partial<Handle> | null }
  const isKnown = typeof handle?.writeBuffer === 'function' && typeof handle.writeQueueSize === 'number'
  return isKnown && PROTOCOL.fault === undefined ? new HandleWriter(socket, handle as Handle) : undefined
}

/** Returns how many bytes of a write the kernel has not taken yet; `undefined` if Node does not expose the number. */
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

/** The way in which Node calls `writeBuffer`. */
interface Protocol {
  /** The class of the request for each write. `undefined` from Node 26 on. */
  Request?: new () => WriteRequest
  fault?: string
}

/** Finds the class of requests by writing to a socket with a fake handle, since Node does not export the class. */
function findProtocol(): Protocol {
  const given: unknown[] = []
  const begun = { getAsyncId: () => UNUSED + 2, writeStatus: null, oncomplete: undefined }
  try {
    writeTo((request) => given.push(request) && 0)
    const [request] = given as [WriteRequest | null | undefined]
    if (request) {
      const Request = request.constructor as new () => WriteRequest
      return new Request().getAsyncId() === UNUSED
        ? { Request }
        : { fault: 'the request of a write has an unknown form' }
    }
    if (request === undefined) return { fault: 'a socket does not write to its handle' }
    writeTo(() => begun)
    return typeof begun.oncomplete === 'function' ? {} : { fault: 'a handle does not create the request of a write' }
  } catch (err) {
    return { fault: `a socket does not write to its handle: ${String(err)}` }
  }
}

/** Writes a byte to a socket with a fake handle. */
function writeTo(writeBuffer: (request: unknown) => unknown): void {
  const nothing = () => 0
  const handle = { getAsyncId: nothing, readStart: nothing, readStop: nothing, close: nothing, writeBuffer }
  new Socket({ handle } as SocketConstructorOpts).write(Buffer.alloc(1))
}
