/** The same bytes with and without the frame of a chunk, checked with an HTTP parser. */
import fc from 'fast-check'
import t from 'tap'
import { Chunk, CHUNK_FRAME } from '../../src/wire/chunk.js'
import { decodeChunks } from '../helper/chunks.js'

const anyText = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 400 })

function chunkInBuffer(text: string): Chunk {
  const length = Buffer.byteLength(text)
  const buffer = Buffer.alloc(length + CHUNK_FRAME, 0x78)
  buffer.write(text, Chunk.START)
  return Chunk.within(buffer, length)
}

await t.test('a chunk is its size in hexadecimal, its bytes and CRLF', (t) => {
  t.equal(Chunk.of('data: 1\n\n').framed.toString(), '9\r\ndata: 1\n\n\r\n')
  t.equal(
    Chunk.of('é'.repeat(128)).framed.subarray(0, 5).toString(),
    '100\r\n',
    'the size counts bytes, not characters',
  )
  t.equal(chunkInBuffer('x'.repeat(16)).framed.toString(), `10\r\n${'x'.repeat(16)}\r\n`, 'without leading zeros')
  t.equal(Chunk.of('a').framedAsLast.toString(), '1\r\na\r\n0\r\n\r\n')
  t.end()
})

await t.test('an empty chunk is not written, since it would end the body', (t) => {
  for (const chunk of [
    Chunk.of(''),
    Chunk.NOTHING,
    Chunk.join([]),
    Chunk.join([Chunk.of(''), Chunk.NOTHING]),
    chunkInBuffer(''),
  ]) {
    t.match(chunk, { length: 0, framed: { length: 0 }, plain: { length: 0 } })
  }
  t.end()
})

await t.test('every constructor creates the bytes with and without the frame', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(anyText, { minLength: 1, maxLength: 5 }), (texts) => {
        const whole = texts.join('')
        const chunks = [
          Chunk.of(whole),
          chunkInBuffer(whole),
          chunkInBuffer(whole).copy(),
          Chunk.join(texts.map((text) => Chunk.of(text))),
          Chunk.join(texts.map(chunkInBuffer)),
        ]
        for (const chunk of chunks) {
          if (chunk.toString() !== whole || chunk.length !== Buffer.byteLength(whole)) return false
          const { parts, isComplete } = decodeChunks(chunk.framedAsLast)
          if (!isComplete || parts.length !== 1 || parts[0] !== whole) return false
          if (decodeChunks(chunk.framed).isComplete) return false
        }
        return true
      }),
    ),
  )
  t.end()
})
