/** Sends and receives messages on a local socket: MessagePack, each with its length before it (four bytes). */
import type { Socket } from 'node:net'
import { Packr } from 'msgpackr'

/** The size of the length, in bytes. */
const LENGTH = 4

const packr = new Packr({ useRecords: false })

/** Encodes a message once for several sockets. */
export function encodeMessage(message: object): Buffer {
  const body = packr.pack(message)
  const frame = Buffer.allocUnsafe(LENGTH + body.length)
  frame.writeUInt32BE(body.length)
  body.copy(frame, LENGTH)
  return frame
}

export class MessageSocket<Sent extends object, Received> {
  readonly #socket: Socket
  #onMessage: (message: Received) => void = () => undefined
  #chunks: Buffer[] = []
  /** The number of bytes in `#chunks`. */
  #length = 0
  /** The number of bytes that the next message needs. */
  #needed = LENGTH

  /** @param socket a paused socket: nothing is read before `receive` */
  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => undefined) // `close` follows
  }

  /**
   * Starts to receive.
   * @param onMessage called with each message, in order
   * @param onClose called once, after the last message
   */
  receive(onMessage: (message: Received) => void, onClose: () => void): void {
    this.#onMessage = onMessage
    if (this.#socket.closed) return void setImmediate(onClose)
    this.#socket.once('close', onClose)
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk)).resume()
  }

  /** The number of bytes that the other process has not read yet. */
  get backlog(): number {
    return this.#socket.writableLength
  }

  get isClosed(): boolean {
    return this.#socket.destroyed
  }

  /** Sends a message. All messages of one turn of the event loop leave together, since each write is a system call. */
  send(message: Sent): void {
    this.sendEncoded(encodeMessage(message))
  }

  /** Sends a message that `encodeMessage` has returned, as `send` does. */
  sendEncoded(frame: Buffer): void {
    if (this.#socket.destroyed || !this.#socket.writable) return
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork()
      setImmediate(() => this.flush())
    }
    this.#socket.write(frame)
  }

  /** Writes the waiting messages now. */
  flush(): void {
    if (this.#socket.writableCorked > 0) this.#socket.uncork()
  }

  /** Closes the socket once everything is sent. */
  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    if (this.#length < this.#needed) return
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#length)
    this.#needed = LENGTH
    while (bytes.length >= LENGTH) {
      const end = LENGTH + bytes.readUInt32BE()
      if (bytes.length < end) {
        this.#needed = end
        break
      }
      const message = packr.unpack(bytes.subarray(LENGTH, end)) as Received
      bytes = bytes.subarray(end)
      this.#onMessage(message)
      if (this.#socket.destroyed) return
    }
    this.#chunks = bytes.length > 0 ? [bytes] : []
    this.#length = bytes.length
  }
}
