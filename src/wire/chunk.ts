/**
 * Bytes that a stream is written at once. They are made once, for every subscriber whatever its transport: the bytes as
 * they are, and the same bytes as one chunk of HTTP/1.1 (RFC 9112, 7.1), lie in one buffer.
 */

/** The most bytes of a chunk's size line: eight hexadecimal digits and CRLF. */
const SIZE_LINE = 10
const CRLF = '\r\n'

/** How much larger than its bytes the buffer of a chunk is that `Chunk.within` is given, in bytes. */
export const CHUNK_FRAME = SIZE_LINE + CRLF.length

/** The end of a body in chunks (RFC 9112, 7.1). A body that ends without it was cut off. */
const LAST_CHUNK = Buffer.from('0\r\n\r\n')

export class Chunk {
  /** Size line, bytes and CRLF. Nothing at all where there are no bytes: a chunk of no bytes would be the last one. */
  readonly framed: Buffer
  /** How many bytes there are, without the frame. */
  readonly length: number
  /** Where the bytes begin in `framed`. */
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

  /** Returns one chunk of the bytes of several. */
  static join(chunks: readonly Chunk[]): Chunk {
    return chunks.length === 1 ? chunks[0]! : Chunk.#copy(chunks)
  }

  /**
   * Makes a chunk of bytes where they are, and writes its frame around them.
   * @param buffer has `CHUNK_FRAME` bytes more than it has room for, and is not to be written to any more
   * @param length how many bytes there are; they begin at `Chunk.START`
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

  /** Where the bytes begin in a buffer that `within` is given. */
  static readonly START = SIZE_LINE

  /** No bytes. */
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

  /** Returns a chunk of the same bytes in a buffer of its own. */
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

  /** The chunk and the last chunk, which ends a body. */
  get framedAsLast(): Buffer {
    return Buffer.concat([this.framed, LAST_CHUNK])
  }
}

function sizeLine(length: number): string {
  return length.toString(16) + CRLF
}
