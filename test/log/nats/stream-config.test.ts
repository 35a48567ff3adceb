import t from 'tap'
import { epochOf, eventStream, SPARE_BYTES, SPARE_EVENTS, windowOf } from '../../../src/log/nats/stream-config.js'
import type { StreamInfo } from '../../../src/log/nats/jetstream.js'

const retention = { events: 100, age: 60_000, bytes: 1e6, dedupWindow: 1_000 }

await t.test('the stream keeps some more than the log, and for as long', (t) => {
  t.match(eventStream('hub', retention, 3), {
    name: 'hub',
    subjects: ['hub.t.>'],
    num_replicas: 3,
    max_msgs_per_subject: 100 + SPARE_EVENTS,
    max_bytes: 1e6 + SPARE_BYTES,
    max_age: 60e9,
    duplicate_window: 1e9,
  })
  t.end()
})

await t.test('ids are remembered no longer than events, and both for at least what JetStream allows', (t) => {
  t.equal(windowOf(retention), 1_000)
  t.equal(windowOf({ ...retention, dedupWindow: 90_000 }), 60_000)
  t.equal(windowOf({ ...retention, dedupWindow: 0 }), 100)
  t.equal(windowOf({ ...retention, age: 1 }), 100)
  t.match(eventStream('hub', { ...retention, age: 1 }, 1), { max_age: 100e6, duplicate_window: 100e6 })
  t.end()
})

await t.test('an age of centuries is a number that JSON carries unchanged', (t) => {
  const { max_age: age } = eventStream('hub', { ...retention, age: 1e15 }, 1)
  t.equal(age, 9e18)
  t.end()
})

await t.test('the epoch changes with the stream and with its generation, and with nothing else', (t) => {
  const info = (created: string, generation?: string) =>
    ({
      created,
      config: { name: 'hub', ...(generation === undefined ? {} : { metadata: { 'fanfare-generation': generation } }) },
      state: {},
    }) as unknown as StreamInfo
  const epoch = epochOf(info('2026-01-01'))
  t.match(epoch, /^[a-z0-9]{8}$/)
  t.equal(epochOf({ ...info('2026-01-01'), state: { messages: 1 } } as unknown as StreamInfo), epoch)
  t.equal(new Set([epoch, epochOf(info('2026-01-02')), epochOf(info('2026-01-01', '1'))]).size, 3)
  t.end()
})
