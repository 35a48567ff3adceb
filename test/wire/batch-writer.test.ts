import fc from 'fast-check'
import t from 'tap'
import { CHUNK_FRAME } from '../../src/wire/chunk.js'
import { BatchWriter } from '../../src/wire/batch-writer.js'

const anyPart = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ maxLength: 40 }).map((text) => Buffer.from(text)),
)
const anyBlock = fc.array(anyPart, { maxLength: 4 })

function sizeOf(parts: readonly (string | Buffer)[]): number {
  return parts.reduce((size, part) => size + Buffer.byteLength(part), 0)
}

await t.test('blocks are written one after the other, up to the last byte of the space', async (t) => {
  fc.assert(
    fc.property(fc.array(anyBlock, { maxLength: 12 }), fc.nat(200), (blocks, size) => {
      const given = Buffer.alloc(size + CHUNK_FRAME)
      const writer = new BatchWriter(given)
      const taken: Buffer[] = []
      for (const parts of blocks) {
        const fits = taken.length === 0 || writer.length + sizeOf(parts) <= writer.buffer.length - CHUNK_FRAME
        if (writer.write(...parts) !== fits) return false
        if (fits) taken.push(Buffer.concat(parts.map((part) => Buffer.from(part as string))))
      }
      const ownsOne = taken.length > 0 && taken[0]!.length > size
      return (
        writer.chunk().plain.equals(Buffer.concat(taken)) &&
        writer.blocks === taken.length &&
        (writer.buffer === given) === !ownsOne
      )
    }),
  )
  t.pass()
})
