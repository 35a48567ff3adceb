import fc from 'fast-check'
import t from 'tap'
import { EventOrder } from '../../../src/log/memory/event-order.js'
import { keptEvent } from '../../helper/kept-event.js'

await t.test('lookups agree with a sorted list after any deletions', async (t) => {
  // each step pushes some events, skips some sequences, and deletes every `nth` event of a part of the existing ones
  const step = fc.record({
    pushed: fc.nat(1_500),
    skipped: fc.nat(5),
    nth: fc.integer({ min: 1, max: 5 }),
    from: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 8 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 10, maxLength: 10 }),
        (steps, looks) => {
          const order = new EventOrder()
          let model: number[] = []
          let head = 0
          for (const { pushed, skipped, nth, from } of steps) {
            head += skipped
            for (let n = 0; n < pushed; n++) {
              order.push(keptEvent(++head))
              model.push(head)
            }
            const first = Math.floor(from * model.length)
            const deleted = new Set(model.filter((_, index) => index >= first && (index - first) % nth === 0))
            for (const sequence of deleted) order.delete(sequence)
            model = model.filter((sequence) => !deleted.has(sequence))
            const found = [order.length, order.oldest?.sequence]
            const expected = [model.length, model[0]]
            for (const sequence of looks.map((look) => Math.floor(look * (head + 2)))) {
              found.push(order.after(sequence)?.sequence, order.before(sequence)?.sequence)
              expected.push(
                model.find((other) => other > sequence),
                model.findLast((other) => other < sequence),
              )
            }
            if (JSON.stringify(found) !== JSON.stringify(expected)) return false
          }
          return true
        },
      ),
      { numRuns: 200 },
    ),
  )
})

await t.test('a walk from event to event finds each', async (t) => {
  const order = new EventOrder()
  for (let sequence = 1; sequence <= 5_000; sequence++) order.push(keptEvent(sequence))
  for (let sequence = 1; sequence <= 5_000; sequence++) if (sequence % 100 !== 0) order.delete(sequence)
  const forwards: number[] = []
  for (let event = order.after(0); event; event = order.after(event.sequence)) forwards.push(event.sequence)
  const backwards: number[] = []
  for (let event = order.before(Infinity); event; event = order.before(event.sequence)) backwards.push(event.sequence)
  t.strictSame(
    forwards,
    Array.from({ length: 50 }, (_, n) => 100 * (n + 1)),
  )
  t.strictSame(backwards, forwards.toReversed())
  for (const sequence of forwards) order.delete(sequence)
  t.strictSame(
    [order.length, order.oldest, order.after(0), order.before(Infinity)],
    [0, undefined, undefined, undefined],
  )
})
