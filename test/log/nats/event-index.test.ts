import t from 'tap'
import { EventIndex } from '../../../src/log/nats/event-index.js'

/** Adds an event of 10 bytes. */
function add(index: EventIndex, sequence: number, topic = 'a') {
  index.add({ sequence, time: sequence, topic, type: undefined, size: 10 })
}

await t.test('a topic is trimmed to its newest events, and the log to its newest bytes', (t) => {
  const index = new EventIndex({ events: 2, bytes: 40 }, 0)
  for (const sequence of [1, 2, 3]) add(index, sequence)
  t.strictSame(index.takeTrims(), [{ topic: 'a', until: 1 }])
  for (const sequence of [5, 6]) add(index, sequence, 'b')
  add(index, 7, 'c')
  t.strictSame(index.takeTrims(), [{ topic: 'a', until: 2 }])
  t.strictSame(index.takeTrims(), [], 'a trim is told once')
  t.equal(index.head, 7)
  t.equal(index.retained.bytes, 40)
  t.notOk(index.has({ topic: 'a', sequence: 2 }))
  t.ok(index.has({ topic: 'a', sequence: 3 }))
  t.notOk(index.has({ topic: 'd', sequence: 3 }))
  t.end()
})

await t.test('events before a sequence, and events of one topic, are trimmed step by step', (t) => {
  const index = new EventIndex({ events: 9, bytes: 1e9 }, 0)
  for (const sequence of [1, 2, 3, 4]) add(index, sequence, sequence % 2 === 0 ? 'even' : 'odd')
  t.ok(index.trimBefore(4, 2), 'there are more')
  t.notOk(index.trimBefore(4, 2))
  t.strictSame(index.takeTrims(), [
    { topic: 'odd', until: 1 },
    { topic: 'even', until: 2 },
    { topic: 'odd', until: 3 },
  ])
  add(index, 5, 'even')
  add(index, 6, 'even')
  t.equal(index.trimTopic('even', 5, 1), 1)
  t.equal(index.trimTopic('even', 5, 9), 1, 'the newest event is newer')
  t.equal(index.trimTopic('nothing', 9, 9), 0)
  t.ok(index.has({ topic: 'even', sequence: 6 }))
  t.end()
})

await t.test('events that were trimmed from the beginning of the stream may be of any topic', (t) => {
  const index = new EventIndex({ events: 9, bytes: 1e9 }, 7)
  t.match(index.history.trimmedOf('a'), { trimmed: 7 })
  t.equal(index.head, 7)
  add(index, 8)
  t.match(index.history.trimmedOf('a'), { trimmed: 7 })
  t.end()
})

await t.test('a loss outside the index is a trim, unless it is known already', (t) => {
  const index = new EventIndex({ events: 9, bytes: 1e9 }, 0)
  add(index, 4)
  for (const topic of ['a', 'without events']) {
    index.lost(topic, 3)
    index.lost(topic, 3)
    index.lost(topic, 2)
    t.strictSame(index.takeTrims(), [{ topic, until: 3 }])
    t.match(index.history.trimmedOf(topic), { trimmed: 3 })
  }
  t.ok(index.has({ topic: 'a', sequence: 4 }), 'a newer event stays')
  t.end()
})

await t.test('a suspected loss counts for every topic, with and without events', (t) => {
  const index = new EventIndex({ events: 9, bytes: 1e9 }, 0)
  add(index, 4)
  index.lost('gone', 2)
  index.takeTrims()
  index.suspect(3)
  for (const topic of ['a', 'gone', 'unknown']) t.match(index.history.trimmedOf(topic), { trimmed: 3 }, topic)
  t.strictSame(
    index.takeTrims().map(({ topic, until }) => [topic, until]),
    [
      [undefined, 3],
      ['a', 3],
      ['gone', 3],
    ],
  )
  t.end()
})
