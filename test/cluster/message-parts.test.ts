import t from 'tap'
import { labelOf, PartJoiner, splitPayload } from '../../src/cluster/message-parts.js'

const bytes = (text: string) => Uint8Array.from(Buffer.from(text))

await t.test('a payload is split into parts that leave room for headers', async (t) => {
  t.equal(splitPayload('', 1_000).length, 1)
  t.equal(splitPayload('x'.repeat(1_000_000), Infinity).length, 1)
  for (const [length, most, count] of [
    [5_904, 10_000, 1],
    [5_905, 10_000, 2],
    [500, 1_000, 1],
    [501, 1_000, 2],
    [3, 1, 3],
  ] as const) {
    const parts = splitPayload('x'.repeat(length), most)
    t.equal(parts.length, count)
    t.equal(Buffer.concat(parts).toString(), 'x'.repeat(length))
  }
})

await t.test('parts are joined by sender', async (t) => {
  const joiner = new PartJoiner()
  t.equal(joiner.join('a', labelOf(7, 1, 2), bytes('one ')), undefined)
  t.equal(joiner.join('b', labelOf(7, 1, 2), bytes('two ')), undefined)
  t.equal(Buffer.from(joiner.join('a', labelOf(7, 2, 2), bytes('end'))!).toString(), 'one end')
  t.equal(Buffer.from(joiner.join('b', labelOf(7, 2, 2), bytes('end'))!).toString(), 'two end')
})

await t.test('a message with a lost part is dropped, and the next one is not', async (t) => {
  for (const lost of [1, 2, 3]) {
    const joiner = new PartJoiner()
    for (const part of [1, 2, 3].filter((part) => part !== lost))
      t.equal(joiner.join('a', labelOf(1, part, 3), bytes('x')), undefined)
    t.equal(joiner.join('a', labelOf(2, 1, 2), bytes('y')), undefined)
    t.equal(Buffer.from(joiner.join('a', labelOf(2, 2, 2), bytes('z'))!).toString(), 'yz')
  }
})

await t.test('parts of different messages are not joined', async (t) => {
  const joiner = new PartJoiner()
  joiner.join('a', labelOf(1, 1, 2), bytes('x'))
  t.equal(joiner.join('a', labelOf(2, 2, 2), bytes('y')), undefined)
  joiner.join('a', labelOf(3, 1, 2), bytes('x'))
  joiner.forget('a')
  t.equal(joiner.join('a', labelOf(3, 2, 2), bytes('y')), undefined)
})
