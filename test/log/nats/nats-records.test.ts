import fc from 'fast-check'
import t from 'tap'
import { keyOf, recordKey } from '../../../src/log/nats/nats-records.js'

await t.test('a key of a record is a valid name in a bucket, and is read back', (t) => {
  t.equal(recordKey('cursor/Ann-1_x'), 'r.cursor/Ann-1_x')
  t.equal(recordKey('a.b é='), 'r.a=2eb=20=c3=a9=3d')
  t.equal(keyOf('p.topic'), undefined)
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (key) => {
      const name = recordKey(key)
      return /^r\.[A-Za-z0-9_=/-]*$/.test(name) && keyOf(name) === key
    }),
  )
  t.end()
})
