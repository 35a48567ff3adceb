import { deepStrictEqual as same } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { EventQueue } from '../../../src/log/memory/event-queue.js'
import { keptEvent } from '../../helper/kept-event.js'

await t.test('an empty queue', (t) => {
  const queue = new EventQueue()
  t.equal(queue.length, 0)
  t.equal(queue.oldest, undefined)
  t.equal(queue.shift(), undefined)
  t.equal(queue.at(0), undefined)
  t.equal(queue.indexAfter(0), 0)
  t.end()
})

await t.test('events are shifted in the order of their pushes', (t) => {
  const queue = new EventQueue()
  for (let sequence = 1; sequence <= 300; sequence++) queue.push(keptEvent(sequence))
  for (let sequence = 1; sequence <= 300; sequence++) {
    t.equal(queue.oldest?.sequence, sequence)
    t.equal(queue.shift()?.sequence, sequence)
    t.equal(queue.length, 300 - sequence)
  }
  t.equal(queue.oldest, undefined)
  queue.push(keptEvent(301))
  t.equal(queue.at(0), undefined, 'an event keeps its index')
  t.equal(queue.at(300)?.sequence, 301)
  t.strictSame([queue.first, queue.end, queue.newest?.sequence], [300, 301, 301])
  t.end()
})

await t.test('the queue behaves as an array', (t) => {
  const step = fc.oneof(
    fc.record({ push: fc.integer({ min: 1, max: 80 }) }),
    fc.record({ shift: fc.integer({ min: 1, max: 90 }) }),
    fc.record({ search: fc.nat(2_000) }),
  )
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const queue = new EventQueue()
        const model: number[] = []
        let last = 0
        for (const step of steps) {
          if ('push' in step) {
            for (let n = 0; n < step.push; n++) {
              last += 1 + (n % 3) // other topics have sequences too
              queue.push(keptEvent(last))
              model.push(last)
            }
          } else if ('shift' in step) {
            for (let n = 0; n < step.shift; n++) same(queue.shift()?.sequence, model.shift())
          } else {
            same(
              queue.indexAfter(step.search) - queue.first,
              model.filter((sequence) => sequence <= step.search).length,
            )
          }
          same(queue.length, model.length)
          same(
            [0, model.length >> 1, model.length - 1, model.length].map(
              (index) => queue.at(queue.first + Math.max(0, index))?.sequence,
            ),
            [0, model.length >> 1, model.length - 1, model.length].map((index) => model[Math.max(0, index)]),
          )
        }
      }),
    ),
  )
  t.end()
})
