import fc from 'fast-check'
import t from 'tap'
import { fromIndexEntry, toIndexEntry } from '../../../src/log/lmdb/index-entry.js'

await t.test('an entry holds the size of an event of any size, and whether it has a publisher id', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 }), fc.boolean(), (size, hasId) => {
      const read = fromIndexEntry(toIndexEntry(size, hasId))
      return read.size === size && read.hasId === hasId
    }),
  )
  t.end()
})
