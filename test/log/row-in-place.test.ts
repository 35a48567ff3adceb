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
    let shown: unknown
    try {
      shown = readInPlace(1, Buffer.from(whole.subarray(0, length)))
    } catch (err) {
      shown = (err as Error).name === 'RangeError' ? undefined : err
    }
    if (shown !== undefined) t.fail(`${length} of ${whole.length} bytes`)
  }
})
