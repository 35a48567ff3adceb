/** What `fanfare publish` makes of its data. */
import fc from 'fast-check'
import t from 'tap'
import { payloadOf, withoutLineEnd } from '../../src/commands/payload.js'

await t.test('text and bytes are kept as they are', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      if (/[\ud800-\udfff]/.test(text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, ''))) return
      t.strictSame(payloadOf(Buffer.from(text), 'text'), { text })
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const { bytes: written } = payloadOf(Buffer.from(bytes), 'bytes') as { bytes: string }
      t.strictSame([...Buffer.from(written, 'base64')], [...bytes])
    }),
  )
  t.end()
})

await t.test('every JSON object, array and string is data with the same value', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.object(), fc.array(fc.jsonValue()), fc.string()), (value) => {
      const written = JSON.stringify(value)
      t.strictSame(payloadOf(written, 'auto'), { data: JSON.parse(written) as unknown })
    }),
  )
  t.end()
})

await t.test('no number loses a digit', (t) => {
  fc.assert(
    fc.property(fc.stringMatching(/^-?\d{1,25}(\.\d{1,25})?$/), (written) => {
      const payload = payloadOf(written, 'auto') as { data?: number; text?: string }
      t.equal(payload.text ?? String(payload.data), written)
    }),
  )
  t.end()
})

await t.test('one line break is removed from the end', (t) => {
  for (const [written, kept] of [
    ['a\n', 'a'],
    ['a\r\n', 'a'],
    ['a\n\n', 'a\n'],
    ['a', 'a'],
    ['', ''],
    ['\n', ''],
  ] as const)
    t.equal(withoutLineEnd(Buffer.from(written)).toString(), kept)
  t.end()
})
