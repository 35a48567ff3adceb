import fc from 'fast-check'
import { Value } from 'typebox/value'
import t from 'tap'
import type { StoredEvent } from '../../src/model/event.js'
import { printEvent, printHead, toHistoryEvent } from '../../src/model/history-event.js'
import { HistoryEvent } from '../../src/schemas/stream.js'
import { anyAttributes } from '../hub/any-event.js'

const anyEvent: fc.Arbitrary<StoredEvent> = fc
  .record({
    sequence: fc.integer({ min: 1 }),
    topic: fc.constantFrom('a', 'orders.42'),
    type: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
    id: fc.option(fc.string(), { nil: undefined }),
    time: fc.integer({ min: 0, max: 4e12 }),
    attributes: fc.option(
      anyAttributes()
        .filter((attributes) => Object.keys(attributes).length > 0)
        .map((attributes) => JSON.stringify(attributes)),
      { nil: undefined },
    ),
  })
  .chain((event) =>
    fc.oneof(
      fc.json().map((payload) => ({ ...event, kind: 'json' as const, payload: JSON.stringify(JSON.parse(payload)) })),
      fc.string({ unit: 'grapheme' }).map((payload) => ({ ...event, kind: 'text' as const, payload })),
      fc.uint8Array().map((bytes) => ({
        ...event,
        kind: 'bytes' as const,
        payload: Buffer.from(bytes).toString('base64'),
      })),
    ),
  )

await t.test('an event has one shape, as JSON and as an object', (t) => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      const printed = printEvent(event, 'abcdefgh-1')
      const { bytes, ...members } = toHistoryEvent(event, 'abcdefgh-1')
      const inJson = bytes ? { ...members, bytes: Buffer.from(bytes).toString('base64') } : members
      t.equal(printed, JSON.stringify(inJson), 'the same members in the same order')
      t.ok(Value.Check(HistoryEvent, JSON.parse(printed)), 'the event matches the schema of the API')
    }),
  )
  t.end()
})

await t.test('missing members are left out', (t) => {
  const time = Date.UTC(2026, 10, 21, 14, 20, 52, 17)
  const event = { sequence: 1, topic: 'a', type: undefined, id: 'mine', kind: 'json', payload: 'null', time } as const
  t.strictSame(toHistoryEvent(event, 'abcdefgh-1'), {
    id: 'abcdefgh-1',
    topic: 'a',
    time: '2026-11-21T14:20:52.017Z',
    data: null,
  })
  t.strictSame(toHistoryEvent({ ...event, type: 'created', kind: 'text', payload: '' }, 'abcdefgh-1'), {
    id: 'abcdefgh-1',
    topic: 'a',
    type: 'created',
    time: '2026-11-21T14:20:52.017Z',
    text: '',
  })
  t.strictSame(toHistoryEvent({ ...event, attributes: '{"a":"x"}', kind: 'bytes', payload: 'AP8=' }, 'abcdefgh-1'), {
    id: 'abcdefgh-1',
    topic: 'a',
    time: '2026-11-21T14:20:52.017Z',
    attributes: { a: 'x' },
    bytes: Uint8Array.of(0, 255),
  })
  t.equal(printHead(event, time, null), '{"id":null,"topic":"a","time":"2026-11-21T14:20:52.017Z","data":')
  t.end()
})

await t.test('history shows data of any depth from an older hub', (t) => {
  const payload = '['.repeat(5_000) + ']'.repeat(5_000)
  const event = printEvent(
    { sequence: 1, topic: 'a', type: undefined, id: undefined, kind: 'json', payload, time: 0 },
    'abcdefgh-1',
  )
  t.ok(event.endsWith(`"data":${payload}}`))
  t.end()
})
