import t from 'tap'
import { payloadBytes, payloadOf } from '../../src/model/payload.js'

await t.test('a payload from the log is the string that was published', (t) => {
  t.equal(payloadOf({ kind: 'text', payload: 'zwölf' }), 'zwölf')
  t.equal(payloadOf({ kind: 'text', payload: Buffer.from('zwölf') }), 'zwölf')
  t.equal(payloadOf({ kind: 'json', payload: Buffer.from('{"a":1}') }), '{"a":1}')
  t.equal(payloadOf({ kind: 'bytes', payload: Buffer.from([0, 255]) }), 'AP8=')
  t.equal(payloadOf({ kind: 'bytes', payload: 'AP8=' }), 'AP8=')
  t.end()
})

await t.test('the size is that of the UTF-8, or of the bytes themselves', (t) => {
  t.equal(payloadBytes({ kind: 'text', payload: 'zwölf€' }), 9)
  t.equal(payloadBytes({ kind: 'json', payload: '"AP8="' }), 6)
  for (const length of [0, 1, 2, 3, 4])
    t.equal(payloadBytes({ kind: 'bytes', payload: Buffer.alloc(length).toString('base64') }), length)
  t.end()
})
