/** Rows that are read where they lie are what lmdb's own decoder makes of them. */
import fc from 'fast-check'
import { open } from 'lmdb'
import t from 'tap'
import { readInPlace } from '../../src/log/file/row-in-place.js'
import { toEvent, toRow } from '../../src/log/file/rows.js'
import type { EventRow } from '../../src/log/file/store.js'

const anyText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.nat(70_000).map((length) => 'x'.repeat(length)),
  fc.nat(70_000).map((length) => 'é'.repeat(length)),
).filter((text) => text.isWellFormed())
const anyTime = fc.oneof(fc.constantFrom(0, 1, 127, 128, 255, 256, 65_535, 65_536, 4_294_967_295, 4_294_967_296), fc.nat(), fc.integer({ min: 0, max: 8.64e15 }))
const anyEvent = fc.record({
  topic: anyText,
  type: fc.option(anyText, { nil: undefined }),
  id: fc.option(anyText, { nil: undefined }),
  kind: fc.constantFrom('json' as const, 'text' as const),
  payload: anyText,
})

await t.test('every event that a log can hold', async (t) => {
  const root = open({ path: t.testdir({}), noSubdir: false, maxDbs: 1 })
  t.teardown(() => root.close())
  const rows = root.openDB<EventRow, number>({ name: 'rows' })
  fc.assert(fc.property(anyEvent, anyTime, (event, time) => {
    const row = toRow(event, time)
    rows.putSync(1, row)
    const shown = readInPlace(1, rows.getBinaryFast(1)!)
    t.strictSame(shown && { ...shown, payload: shown.payload.toString() }, toEvent(1, row))
    t.ok(Buffer.isBuffer(shown?.payload), 'its payload is not made a string')
  }))
})

await t.test('what it does not know is left to the decoder', async (t) => {
  const root = open({ path: t.testdir({}), noSubdir: false, maxDbs: 1 })
  t.teardown(() => root.close())
  const others = root.openDB<unknown, number>({ name: 'others' })
  for (const other of [
    'text', 5, null, {}, [], ['a'], ['a', 1, false, null, null, 5], ['a', -1, false, null, null, 'x'], ['a', 1.5e300, 'yes', null, null, 'x'],
    ['a', 1, false, null, null, null], [5, 1, false, null, null, 'x'], ['a', 1, false, null, null, 'x', 'more'],
  ]) {
    others.putSync(1, other)
    t.equal(readInPlace(1, others.getBinaryFast(1)!), undefined, JSON.stringify(other))
  }
})

await t.test('a row that was cut off is not known', async (t) => {
  const root = open({ path: t.testdir({}), noSubdir: false, maxDbs: 1 })
  t.teardown(() => root.close())
  const rows = root.openDB<EventRow, number>({ name: 'rows' })
  rows.putSync(1, toRow({ topic: 'a.b', type: 'greeting', id: 'p1', kind: 'json', payload: `"${'x'.repeat(300)}"` }, Date.now()))
  const whole = Buffer.from(rows.getBinary(1)!)
  t.ok(readInPlace(1, whole))
  for (let length = 0; length < whole.length; length++) {
    for (const rest of [0x00, 0xa0, 0xc0, 0x22]) {
      if (readInPlace(1, cutOff(whole, length, rest))) t.fail(`${length} of ${whole.length} bytes, and then ${rest}`)
    }
  }
})

await t.test('a row that has more than its fields, or less, is not known', async (t) => {
  const row = Buffer.from('96a161cc05c2c0c0a27b7d', 'hex')
  t.match(readInPlace(1, row), { topic: 'a', time: 5, payload: Buffer.from('{}') })
  row[row.length - 3] = 0xa1
  t.equal(readInPlace(1, row), undefined)
  row[row.length - 3] = 0xa3
  t.equal(readInPlace(1, row), undefined)
})

/** As lmdb gives it: a longer buffer, with a length of its own, and anything behind it. */
function cutOff(whole: Buffer, length: number, rest: number): Buffer {
  const row = Buffer.alloc(whole.length + 1_000, rest)
  whole.copy(row, 0, 0, length)
  return Object.defineProperty(row, 'length', { value: length })
}
