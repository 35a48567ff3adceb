/**
 * Writes to a socket past the buffer that Node's streams keep. A stream's own way costs as much again as the rest of the hub
 * does for a delivery (docs/performance.md): several objects and a dozen calls for what nearly always is one `write` that the
 * kernel takes at once. Node does the same below it (lib/internal/stream_base_commons.js), with what it does not export.
 */
import { Socket, type SocketConstructorOpts } from 'node:net'
import type { Lender } from '../wire/sink.js'

/** What Node's sockets hold on to libuv with. */
interface Handle {
  /**
   * Gives libuv bytes to write; whatever the kernel does not take at once stays in its queue, and so does the request.
   * @returns 0, or the number of an error
   */
  writeBuffer(request: WriteRequest, bytes: Buffer): number
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
}

export interface DirectWriter {
  /** Called when everything is written that was left when `write` answered `false`, unless the socket was closed meanwhile. */
  onDrain: () => void
  /** How many bytes the kernel has not taken yet. */
  readonly waiting: number
  /**
   * Writes; nothing may be left in the socket's own buffer. `false`: something is left, or the socket is broken and closes.
   * @param lender is told when libuv has read the bytes to the end, unless the socket was closed meanwhile
   */
  write(bytes: Buffer, lender?: Lender): boolean
}

const UNUSED = -1
const WriteRequest = findWriteRequest()
let spare = WriteRequest && new WriteRequest()

/** @returns `undefined` where Node is not as it is known here: the socket is to be used as a stream then */
export function writerTo(socket: Socket): DirectWriter | undefined {
  const { _handle: handle } = socket as { _handle?: Partial<Handle> | null }
  const isKnown = typeof handle?.writeBuffer === 'function' && typeof handle.writeQueueSize === 'number'
  return isKnown && spare?.getAsyncId() === UNUSED ? new HandleWriter(socket, handle as Handle) : undefined
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
    const request = spare!
    const error = this.#handle.writeBuffer(request, bytes)
    if (error !== 0) {
      this.#socket.destroy()
      return false
    }
    if (request.getAsyncId() === UNUSED) {
      lender?.release()
      return true
    }
    spare = new WriteRequest!()
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

/** Node's class of a write in progress, seen in what a socket gives to a handle that is none. */
function findWriteRequest(): (new () => WriteRequest) | undefined {
  let found: (new () => WriteRequest) | undefined
  const nothing = () => 0
  const handle = {
    getAsyncId: nothing, readStart: nothing, readStop: nothing, close: nothing,
    writeBuffer(request: { constructor: new () => WriteRequest }) {
      found = request.constructor
      return 0
    },
  }
  try {
    new Socket({ handle } as SocketConstructorOpts).write(Buffer.alloc(1))
  } catch {
    // another Node
  }
  return found
}
