/**
 * The bytes of one write to a stream, shared by all subscribers on every transport. One buffer holds the plain bytes
 * and, around them, the frame of an HTTP/1.1 chunk (RFC 9112, 7.1).
 */

/** The maximum length of a chunk's size line in bytes: eight hexadecimal digits and CRLF. */
const SIZE_LINE = 10
const CRLF = '\r\n'

/** How many bytes a buffer for `Chunk.within` needs beyond its contents. */
export const CHUNK_FRAME = SIZE_LINE + CRLF.length

/** The last chunk of a body (RFC 9112, 7.1). A body without it was cut off. */
const LAST_CHUNK = Buffer.from('0\r\n\r\n')

export class Chunk {
  /** Size line, bytes and CRLF. Empty if there are no bytes, since an empty chunk would end the body. */
  readonly framed: Buffer
  /** The number of bytes without the frame. */
  readonly length: number
  /** The index of the first byte in `framed`. */
  readonly #start: number
  #plain: Buffer | undefined

  private constructor(framed: Buffer, start: number, length: number) {
    this.framed = framed
    this.length = length
    this.#start = start
  }

  /** Returns the chunk of a text, in UTF-8. */
  static of(text: string): Chunk {
    const length = Buffer.byteLength(text)
    if (length === 0) return Chunk.NOTHING
    const line = sizeLine(length)
    return new Chunk(Buffer.from(`${line}${text}${CRLF}`), line.length, length)
  }

  /** Joins several chunks into one. */
  static join(chunks: readonly Chunk[]): Chunk {
    return chunks.length === 1 ? chunks[0]! : Chunk.#copy(chunks)
  }

  /**
   * Makes a chunk of bytes in place, and writes its frame around them.
   * @param buffer needs `CHUNK_FRAME` bytes beyond its contents; do not write to it afterwards
   * @param length the number of bytes, which begin at `Chunk.START`
   */
  static within(buffer: Buffer, length: number): Chunk {
    if (length === 0) return Chunk.NOTHING
    const line = sizeLine(length)
    const from = Chunk.START - line.length
    const end = Chunk.START + length
    buffer.write(line, from, 'latin1')
    buffer.write(CRLF, end, 'latin1')
    return new Chunk(buffer.subarray(from, end + CRLF.length), line.length, length)
  }

  /** The index of the first byte in a buffer for `within`. */
  static readonly START = SIZE_LINE

  /** The empty chunk. */
  static readonly NOTHING = new Chunk(Buffer.alloc(0), 0, 0)

  static #copy(chunks: readonly Chunk[]): Chunk {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    if (length === 0) return Chunk.NOTHING
    const line = sizeLine(length)
    const framed = Buffer.allocUnsafe(line.length + length + CRLF.length)
    let end = framed.write(line, 'latin1')
    for (const chunk of chunks) end += chunk.framed.copy(framed, end, chunk.#start, chunk.#start + chunk.length)
    framed.write(CRLF, end, 'latin1')
    return new Chunk(framed, line.length, length)
  }

  /** Returns a copy with a buffer of its own. */
  copy(): Chunk {
    return Chunk.#copy([this])
  }

  /** The bytes without a frame. */
  get plain(): Buffer {
    return (this.#plain ??= this.framed.subarray(this.#start, this.#start + this.length))
  }

  /** Returns the bytes as text. */
  toString(): string {
    return this.plain.toString()
  }

  /** The framed chunk, followed by the last chunk of the body. */
  get framedAsLast(): Buffer {
    return Buffer.concat([this.framed, LAST_CHUNK])
  }
}

function sizeLine(length: number): string {
  return length.toString(16) + CRLF
}
