import t from 'tap'
import { AppendQueue, type PendingAppend } from '../../../src/log/lmdb/append-queue.js'

const append = (events: number, characters = 1): PendingAppend => ({
  events: Array.from({ length: events }, () => {
    return { topic: 'a', type: undefined, id: undefined, kind: 'text' as const, payload: 'x'.repeat(characters) }
  }),
  resolve: () => undefined,
  reject: () => undefined,
})

/** Returns the sizes of the groups of appends. */
function groups(appends: PendingAppend[]): number[] {
  const queue = new AppendQueue()
  for (const next of appends) queue.push(next)
  const sizes: number[] = []
  while (queue.length > 0) sizes.push(queue.takeGroup().length)
  return sizes
}

await t.test('a group takes the oldest appends, until it has a thousand events', (t) => {
  t.strictSame(groups([append(400), append(400), append(400), append(1)]), [3, 1])
  t.strictSame(groups([append(999), append(1_000), append(1)]), [2, 1])
  t.strictSame(new AppendQueue().takeGroup(), [])
  t.end()
})

await t.test('a group takes the oldest appends, until it has 8 Mi characters', (t) => {
  const large = 4 * 1024 * 1024
  t.strictSame(groups([append(1, large), append(1, large), append(1)]), [2, 1])
  t.strictSame(groups([append(3, large), append(1)]), [1, 1], 'an append is never divided')
  t.end()
})

await t.test('appends are taken in order, each once', (t) => {
  const queue = new AppendQueue()
  const appends = [append(1_000), append(1), append(1)] as const
  for (const next of appends) queue.push(next)
  t.equal(queue.takeGroup()[0], appends[0])
  const rest = queue.takeGroup()
  t.ok(rest.length === 2 && rest[0] === appends[1] && rest[1] === appends[2])
  t.equal(queue.length, 0)
  t.end()
})
