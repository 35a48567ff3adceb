/** Rows are read as they were written, and a row that was changed, cut off or put elsewhere is not read at all. */
import fc from 'fast-check'
import t from 'tap'
import { previousOf, readInPlace, sizeOfStored, toStoredEvent } from '../../../src/log/lmdb/row-view.js'
import { encodeRow, ownPagesOf, sizeOf, sizeOfRow, toStored } from '../../../src/log/lmdb/rows.js'

const anyField = fc
  .oneof(
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.nat(30_000).map((length) => 'x'.repeat(length)),
    fc.nat(30_000).map((length) => 'é'.repeat(length)),
  )
  .filter((text) => text.isWellFormed())
const anyPayload = fc.oneof(
  anyField,
  fc.nat(700_000).map((length) => '漢'.repeat(length)),
)
const anyTime = fc.oneof(fc.constantFrom(0, 1, 127, 4_294_967_296), fc.nat(), fc.integer({ min: 0, max: 8.64e15 }))
const anySequence = fc.oneof(
  fc.constantFrom(1, 4_294_967_295, 4_294_967_296, Number.MAX_SAFE_INTEGER),
  fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
)
const anyEvent = fc.record({
  topic: anyField,
  type: fc.option(anyField, { nil: undefined }),
  id: fc.option(anyField, { nil: undefined }),
  kind: fc.constantFrom('json' as const, 'text' as const),
  payload: anyPayload,
})

/** A row of its own. */
function rowOf(sequence: number, event: Parameters<typeof encodeRow>[1], time = 5, previous = 0): Buffer {
  const { row } = encodeRow(sequence, event, time, previous)
  return Buffer.from(row.subarray(0, row.end))
}

await t.test('every event that a log can hold', async (t) => {
  fc.assert(
    fc.property(anyEvent, anySequence, anyTime, anySequence, (event, sequence, time, previous) => {
      const { row, size } = encodeRow(sequence, event, time, previous)
      const shown = readInPlace(sequence, row.subarray(0, row.end))
      t.strictSame(shown && toStoredEvent(shown), toStored(sequence, event, time))
      t.ok(Buffer.isBuffer(shown?.payload), 'its payload is not made a string')
      t.equal(previousOf(row), previous)
      t.equal(sizeOfStored(row.subarray(0, row.end)), size)
      t.equal(sizeOf(event), size)
    }),
    { numRuns: 60 },
  )
  t.throws(
    () => encodeRow(1, { topic: 'x'.repeat(65_536), type: undefined, id: undefined, kind: 'text', payload: '' }, 0, 0),
    RangeError,
  )
})

const whole = rowOf(
  7,
  { topic: 'a.b', type: 'greeting', id: 'p1', kind: 'json', payload: `"${'x'.repeat(300)}"` },
  Date.now(),
  3,
)

await t.test('a row of which any bit has changed is not read', async (t) => {
  t.ok(readInPlace(7, whole))
  for (let bit = 0; bit < 8 * whole.length; bit++) {
    const row = Buffer.from(whole)
    row[bit >> 3]! ^= 1 << (bit & 7)
    if (readInPlace(7, row)) t.fail(`bit ${bit}`)
  }
})

await t.test('a row that stands for another sequence is not read', async (t) => {
  for (const sequence of [1, 6, 8, 7 + 2 ** 32, 7 * 2 ** 32]) t.equal(readInPlace(sequence, whole), undefined)
})

await t.test('a row that was cut off is not read, whatever lies behind it', async (t) => {
  for (let length = 0; length < whole.length; length++) {
    for (const rest of [0x00, 0x22, 0xff])
      if (readInPlace(7, cutOff(whole, length, rest))) t.fail(`${length} of ${whole.length} bytes, and then ${rest}`)
  }
  t.ok(readInPlace(7, cutOff(whole, whole.length, 0x22)))
})

await t.test('the size of an event is its share of the file', async (t) => {
  t.equal(sizeOfRow(100, 0), 64 + Math.ceil(4_096 / Math.floor(4_080 / 117)))
  t.equal(sizeOfRow(1_500, 0), 64 + 2_048, 'two to a page')
  t.equal(sizeOfRow(2_100, 0), 64 + 4_096, 'a page for itself')
  t.equal(sizeOfRow(5_000, 0), 64 + 2 * 4_096)
  t.ok(sizeOfRow(100, 20) > sizeOfRow(100, 0), 'a publisher’s id counts')
  t.strictSame(
    Array.from({ length: 20_000 }, (_, bytes) => bytes).filter((bytes) => sizeOfRow(bytes, 0) < bytes),
    [],
    'never less than its bytes',
  )
  t.strictSame(
    [100, 2_000, 2_100, 5_000].map((bytes) => ownPagesOf(bytes, 4_096)),
    [0, 0, 1, 2],
  )
})

/** As lmdb gives it: a longer buffer, with a length of its own, and anything behind it. */
function cutOff(whole: Buffer, length: number, rest: number): Buffer {
  const row = Buffer.alloc(whole.length + 1_000, rest)
  whole.copy(row, 0, 0, length)
  return Object.defineProperty(row, 'length', { value: length })
}
