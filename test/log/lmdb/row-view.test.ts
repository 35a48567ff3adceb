/** Rows are read as they were written. A changed, truncated or moved row is not read. */
import fc from 'fast-check'
import t from 'tap'
import { previousOf, readInPlace, sizeOfStored, toStoredEvent } from '../../../src/log/lmdb/row-view.js'
import {
  ATTRIBUTES_LENGTH,
  checksumOf,
  encodeRow,
  HEADER,
  ownPagesOf,
  sizeOf,
  sizeOfRow,
  toStored,
} from '../../../src/log/lmdb/rows.js'

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
const anyAttributes = fc
  .dictionary(fc.string({ minLength: 1, maxLength: 20 }), anyField, { minKeys: 1, maxKeys: 3 })
  .map((attributes) => JSON.stringify(attributes))
  .filter((json) => Buffer.byteLength(json) <= 65_535)
const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc.nat(2_000_000).map((length) => new Uint8Array(length).fill(0x9f)),
)
const anyTime = fc.oneof(fc.constantFrom(0, 1, 127, 4_294_967_296), fc.nat(), fc.integer({ min: 0, max: 8.64e15 }))
const anySequence = fc.oneof(
  fc.constantFrom(1, 4_294_967_295, 4_294_967_296, Number.MAX_SAFE_INTEGER),
  fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
)
const anyEvent = fc
  .record({
    topic: anyField,
    type: fc.option(anyField, { nil: undefined }),
    id: fc.option(anyField, { nil: undefined }),
    attributes: fc.option(anyAttributes, { nil: undefined }),
  })
  .chain((event) =>
    fc.oneof(
      anyPayload.map((payload) => ({ ...event, kind: 'json' as const, payload })),
      anyPayload.map((payload) => ({ ...event, kind: 'text' as const, payload })),
      anyBytes.map((bytes) => ({
        ...event,
        kind: 'bytes' as const,
        payload: Buffer.from(bytes).toString('base64'),
      })),
    ),
  )

/** Returns a copy of a row. */
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
      t.ok(Buffer.isBuffer(shown?.payload), 'the payload is not decoded to a string')
      t.equal(previousOf(row), previous)
      t.equal(sizeOfStored(row.subarray(0, row.end)), size)
      t.equal(sizeOf(event), size)
    }),
    { numRuns: 120 },
  )
  const empty = { topic: '', type: undefined, id: undefined, kind: 'text', payload: '' } as const
  const tooLong = 'x'.repeat(65_536)
  for (const field of ['topic', 'type', 'id', 'attributes'])
    t.throws(() => encodeRow(1, { ...empty, [field]: tooLong }, 0, 0), RangeError, field)
})

await t.test('attributes take two bytes and their JSON; a row without attributes has neither', (t) => {
  const event = { topic: 'a.b', type: undefined, id: undefined, kind: 'json', payload: '{}' } as const
  t.equal(rowOf(1, event).length, 27 + 3 + 2)
  t.equal(rowOf(1, { ...event, attributes: '{"a":"x"}' }).length, 27 + 2 + 3 + 9 + 2)
  t.equal(rowOf(1, { ...event, kind: 'bytes', payload: 'AAEC' }).length, 27 + 3 + 3, 'bytes are stored as they are')
  t.end()
})

const fields = { topic: 'a.b', type: 'greeting', id: 'p1' }
const whole = rowOf(7, { ...fields, kind: 'json', payload: `"${'x'.repeat(300)}"` }, Date.now(), 3)
const withAttributes = rowOf(
  7,
  { ...fields, attributes: '{"traceparent":"00-0af7"}', kind: 'bytes', payload: 'q83v'.repeat(20) },
  Date.now(),
  3,
)
const ROWS = [whole, withAttributes, rowOf(7, { ...fields, attributes: '{"a":"b"}', kind: 'text', payload: '' })]

await t.test('a row with any changed bit is not read', async (t) => {
  for (const whole of ROWS) {
    t.ok(readInPlace(7, whole))
    for (let bit = 0; bit < 8 * whole.length; bit++) {
      const row = Buffer.from(whole)
      row[bit >> 3]! ^= 1 << (bit & 7)
      if (readInPlace(7, row)) t.fail(`bit ${bit}`)
    }
  }
})

await t.test('a row of another sequence is not read', async (t) => {
  for (const whole of ROWS)
    for (const sequence of [1, 6, 8, 7 + 2 ** 32, 7 * 2 ** 32]) t.equal(readInPlace(sequence, whole), undefined)
})

await t.test('a truncated row is not read, for any bytes after it', async (t) => {
  for (const whole of ROWS) {
    for (let length = 0; length < whole.length; length++) {
      t.notOk(readInPlace(7, whole.subarray(0, length)), `${length} bytes, and nothing after them`)
      for (const rest of [0x00, 0x22, 0xff])
        if (readInPlace(7, cutOff(whole, length, rest))) t.fail(`${length} of ${whole.length} bytes, and then ${rest}`)
    }
    t.ok(readInPlace(7, cutOff(whole, whole.length, 0x22)))
  }
})

await t.test('lengths that reach beyond the row are refused, even if the checksum matches', async (t) => {
  for (const offset of [HEADER.topic, HEADER.type, HEADER.id, ATTRIBUTES_LENGTH.offset]) {
    for (const more of [withAttributes.length, 0xffff]) {
      const row = Buffer.from(withAttributes)
      row.writeUInt16LE(more, offset)
      row.writeUInt32LE(checksumOf(7, row, row.length), HEADER.checksum)
      t.equal(readInPlace(7, row), undefined, `${more} at ${offset}`)
    }
  }
})

await t.test('the size of an event is its share of the file', async (t) => {
  t.equal(sizeOfRow(100, 0), 64 + Math.ceil(4_096 / Math.floor(4_080 / 117)))
  t.equal(sizeOfRow(1_500, 0), 64 + 2_048, 'two events share a page')
  t.equal(sizeOfRow(2_100, 0), 64 + 4_096, 'the event has its own page')
  t.equal(sizeOfRow(5_000, 0), 64 + 2 * 4_096)
  t.ok(sizeOfRow(100, 20) > sizeOfRow(100, 0), 'a publisher’s id counts')
  t.strictSame(
    Array.from({ length: 20_000 }, (_, bytes) => bytes).filter((bytes) => sizeOfRow(bytes, 0) < bytes),
    [],
    'the size is never less than the bytes',
  )
  t.strictSame(
    [100, 2_000, 2_100, 5_000].map((bytes) => ownPagesOf(bytes, 4_096)),
    [0, 0, 1, 2],
  )
})

/** Returns a row as lmdb does: in a longer buffer whose `length` is set to that of the row. */
function cutOff(whole: Buffer, length: number, rest: number): Buffer {
  const row = Buffer.alloc(whole.length + 1_000, rest)
  whole.copy(row, 0, 0, length)
  return Object.defineProperty(row, 'length', { value: length })
}
