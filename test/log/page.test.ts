import t from 'tap'
import { PageBuilder } from '../../src/log/page.js'
import type { ScannedEvent } from '../../src/model/event.js'

const event = (payload: string | Buffer, kind: ScannedEvent['kind'] = 'text'): ScannedEvent => {
  return { sequence: 1, time: 0, topic: 'a', type: undefined, id: undefined, kind, payload }
}

await t.test('a page takes a number of events', (t) => {
  const page = new PageBuilder({ events: 2 })
  t.strictSame(
    [event('x'), event('y'), event('z')].map((next) => page.take(next)),
    [true, true, false],
  )
  t.strictSame(
    page.events.map(({ payload }) => payload),
    ['x', 'y'],
  )
  t.notOk(new PageBuilder({ events: 0 }).take(event('x')))
  t.end()
})

await t.test('a page ends with the event that fills its bytes, so it has at least one', (t) => {
  const page = new PageBuilder({ events: 9, bytes: 3 })
  t.strictSame(
    [event('xx'), event('yyyyyy'), event('')].map((next) => page.take(next)),
    [true, true, false],
  )
  const large = new PageBuilder({ events: 9, bytes: 3 })
  t.ok(large.take({ ...event('x'), attributes: '{"a":"b"}' }))
  t.notOk(large.take(event('y')), 'attributes count')
  t.end()
})

await t.test('the payload in the buffer of a scan is copied, as it was published', (t) => {
  const page = new PageBuilder({ events: 9 })
  const buffer = Buffer.from([0xc3, 0xa9])
  page.take(event(buffer))
  page.take(event(buffer, 'bytes'))
  buffer.fill(0)
  t.strictSame(
    page.events.map(({ payload }) => payload),
    ['é', 'w6k='],
  )
  t.end()
})
