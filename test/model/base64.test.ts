import { deepStrictEqual as same } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { decodeBytes, decodedLength, encodeBytes } from '../../src/model/base64.js'
import { show } from '../hub/show.js'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Base64 by RFC 4648: groups of 24 bits. */
function reference(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 3) {
    const group = [...bytes.subarray(at, at + 3)]
    const bits = group.map((byte) => byte.toString(2).padStart(8, '0')).join('')
    const sextets = bits.match(/.{1,6}/g)!.map((sextet) => ALPHABET[parseInt(sextet.padEnd(6, '0'), 2)])
    text += sextets.join('').padEnd(4, '=')
  }
  return text
}

await t.test('bytes become base64, and base64 becomes the same bytes', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const base64 = reference(bytes)
        same(encodeBytes(bytes), base64)
        same(encodeBytes(base64), base64)
        same(decodeBytes(base64), bytes)
        same(decodedLength(base64), bytes.length)
      }),
    ),
  )
  for (const [text, base64] of [
    ['', ''],
    ['f', 'Zg=='],
    ['fo', 'Zm8='],
    ['foo', 'Zm9v'],
    ['foob', 'Zm9vYg=='],
    ['fooba', 'Zm9vYmE='],
    ['foobar', 'Zm9vYmFy'],
  ] as const)
    t.equal(encodeBytes(Buffer.from(text)), base64, 'RFC 4648, section 10')
  t.end()
})

await t.test('a view of a larger buffer is encoded alone, and decoded bytes share no memory', (t) => {
  const whole = Uint8Array.of(1, 2, 3, 4, 5)
  t.equal(encodeBytes(whole.subarray(1, 4)), 'AgME')
  t.equal(encodeBytes(new Uint8Array(new SharedArrayBuffer(2))), 'AAA=')
  const bytes = decodeBytes('AgME')
  t.equal(bytes.constructor, Uint8Array, 'not a Buffer')
  t.strictSame([bytes.byteOffset, bytes.buffer.byteLength], [0, 3])
  t.end()
})

await t.test('non-canonical base64 is refused, since decoders disagree about it', (t) => {
  const wrong = [
    'Zg', // no padding
    'Zg=',
    'Zm8',
    'Zg===',
    'Zm9v=',
    'Zm9v====',
    '=',
    '====',
    'A',
    'Zh==', // unused bits that are not zero
    'Zm9=',
    'Z-8=', // the alphabet for URLs
    'Z_8=',
    'Zm 9v',
    ' Zm9v',
    'Zm9v ',
    'Zm9v\n',
    'Zm9\r\nv',
    'Zg==Zg==',
    'Z=g=',
    'Zm9v\0',
    'Zm9é',
    'Ζm9v', // a Greek capital zeta
    'Zm\ud8009',
    'data:;base64,Zm9v',
    '💥💥',
  ]
  for (const text of wrong)
    t.throws(
      () => encodeBytes(text),
      { name: 'HubError', code: 'invalid-event', message: /^"bytes" is not base64 \(RFC 4648, section 4\)/ },
      show(text),
    )
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...Array.from(ALPHABET), '=', '-', '_', ' ', '\n'), maxLength: 9 }),
        (text) => {
          const isStrict = reference(Buffer.from(text, 'base64')) === text
          let isTaken = true
          try {
            encodeBytes(text)
          } catch {
            isTaken = false
          }
          same(isTaken, isStrict)
        },
      ),
      { numRuns: 2_000 },
    ),
  )
  t.end()
})

await t.test('other values are refused by their kind', (t) => {
  for (const value of [
    null,
    7,
    true,
    {},
    [],
    [1, 2],
    new ArrayBuffer(2),
    new Uint16Array(2),
    new DataView(new ArrayBuffer(2)),
    Object('Zg==') as unknown,
    Object.create(Uint8Array.prototype) as unknown,
    { type: 'Buffer', data: [1] },
    () => 'Zg==',
    Symbol('Zg=='),
  ])
    t.throws(() => encodeBytes(value), {
      name: 'HubError',
      code: 'invalid-event',
      message: /^"bytes" is base64 or a Uint8Array, not /,
    })
  t.end()
})
