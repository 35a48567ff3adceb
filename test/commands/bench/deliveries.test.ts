/** The counts of a load: lost, reordered and repeated deliveries. */
import t from 'tap'
import { Deliveries } from '../../../src/commands/bench/deliveries.js'
import { Stamps } from '../../../src/commands/bench/stamp.js'

/** Counts deliveries to one subscriber. Event n is sent at 10 n and accepted at 10 n + `takes`. */
function count(numbers: readonly number[], total: number, takes = 5, refused: readonly number[] = []) {
  const deliveries = new Deliveries(1, 1)
  deliveries.compareWith((_topic, number) => (refused.includes(number) ? undefined : 10 * number + takes))
  deliveries.measureFrom(0)
  for (const number of numbers) deliveries.add(0, number, 10 * number, 10 * number + 7)
  const { received, reordered, repeated, latency } = deliveries
  return { received, reordered, repeated, lost: deliveries.lost([total]), max: latency.max }
}

await t.test('events in order are neither lost, reordered nor repeated', (t) => {
  t.strictSame(count([0, 1, 2], 3), { received: 3, reordered: 0, repeated: 0, lost: 0, max: 7 })
  t.end()
})

await t.test('missing events are lost unless the server refused them', (t) => {
  t.match(count([0, 2], 5), { received: 2, lost: 3 })
  t.match(count([0, 2], 5, 5, [1, 4]), { received: 2, lost: 1 })
  t.end()
})

await t.test('an event is reordered if it was accepted before a delivered one was sent', (t) => {
  t.match(count([1, 0], 2), { reordered: 1, lost: 0 })
  t.match(count([1, 0], 2, 15), { reordered: 0 }, 'both were on their way at once')
  t.end()
})

await t.test('an event that comes again is repeated, and counts once', (t) => {
  t.match(count([0, 1, 1, 0], 2), { received: 2, repeated: 2, reordered: 0 })
  t.end()
})

await t.test('stamps are found wherever the bytes are divided', (t) => {
  const stamps = new Stamps('run1')
  const bytes = Buffer.from(
    [0, 1, 2].map((n) => `id: ${n}\ndata: ${stamps.payload(n, 1_700_000_000_000_000 + n, 120)}\n\n`).join(''),
  )
  t.equal(stamps.payload(7, 1, 120).length, 120)
  for (let size = 1; size < bytes.length; size++) {
    const found: [number, number][] = []
    let rest: Buffer = Buffer.alloc(0)
    for (let from = 0; from < bytes.length; from += size)
      rest = stamps.scan(Buffer.concat([rest, bytes.subarray(from, from + size)]), (number, at) =>
        found.push([number, at]),
      )
    if (found.length !== 3 || found.some(([number, at], n) => number !== n || at !== 1_700_000_000_000_000 + n))
      t.fail(`chunks of ${size} bytes: ${JSON.stringify(found)}`)
  }
  t.end()
})
