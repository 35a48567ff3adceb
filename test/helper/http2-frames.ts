/** A client of HTTP/2 that writes frames itself (RFC 9113, 4.1), also those that no client library writes. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import tls from 'node:tls'
import type { Test } from 'tap'

export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4 } as const
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

export interface Frame {
  type: number
  flags: number
  stream: number
  payload: Buffer
}

export class Http2Frames {
  readonly socket: Socket
  /** The frames of the server so far. */
  readonly received: Frame[] = []
  #rest = Buffer.alloc(0)

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => this.#read(bytes))
  }

  /** Connects, and sends the preface and settings. */
  static async connect(t: Test, port: number): Promise<Http2Frames> {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] })
    t.teardown(() => socket.destroy())
    await once(socket, 'secureConnect')
    const frames = new Http2Frames(socket)
    socket.write(PREFACE)
    frames.write(FRAME.settings, 0, 0)
    return frames
  }

  write(type: number, flags: number, stream: number, payload: Buffer | string = ''): void {
    const body = Buffer.from(payload)
    const head = Buffer.alloc(9)
    head.writeUIntBE(body.length, 0, 3)
    head.writeUInt8(type, 3)
    head.writeUInt8(flags, 4)
    head.writeUInt32BE(stream, 5)
    this.socket.write(Buffer.concat([head, body]))
  }

  /** Sends the head of a request, as literals without an index (RFC 7541, 6.2.2). */
  request(stream: number, headers: Record<string, string>, isEnd: boolean): void {
    const all = { ':method': 'GET', ':scheme': 'https', ':authority': 'hub', ...headers }
    const block = Object.entries(all).map(([name, value]) =>
      Buffer.concat([Buffer.from([0]), literal(name), literal(value)]),
    )
    this.write(FRAME.headers, FLAG.endHeaders | (isEnd ? FLAG.endStream : 0), stream, Buffer.concat(block))
  }

  reset(stream: number, code: number): void {
    const payload = Buffer.alloc(4)
    payload.writeUInt32BE(code)
    this.write(FRAME.reset, 0, stream, payload)
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < end) return
      const [type, flags] = [this.#rest.readUInt8(3), this.#rest.readUInt8(4)]
      const frame = { type, flags, stream: this.#rest.readUInt32BE(5), payload: this.#rest.subarray(9, end) }
      this.#rest = this.#rest.subarray(end)
      this.received.push(frame)
      if (type === FRAME.settings && (flags & FLAG.ack) === 0) this.write(FRAME.settings, FLAG.ack, 0)
    }
  }
}

/** Returns a string literal (RFC 7541, 5.2). Its length is an integer with a prefix of 7 bits (5.1). */
function literal(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length: number[] = []
  if (bytes.length < 127) length.push(bytes.length)
  else {
    length.push(127)
    let left = bytes.length - 127
    for (; left >= 128; left = Math.floor(left / 128)) length.push((left % 128) + 128)
    length.push(left)
  }
  return Buffer.concat([Buffer.from(length), bytes])
}
