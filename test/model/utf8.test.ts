import fc from 'fast-check'
import t from 'tap'
import { byteLength, fits } from '../../src/model/utf8.js'

const part = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('a', 'é', '€', '𝄞') }),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
)

await t.test('strings and buffers fit if they have at most so many bytes', (t) => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 3 }), fc.integer({ min: -2, max: 2 }), (parts, more) => {
      const bytes = Buffer.concat(parts.map((part) => Buffer.from(part))).length
      return byteLength(parts) === bytes && fits(parts, bytes + more) === more >= 0
    }),
  )
  t.end()
})
