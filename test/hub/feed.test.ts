import { deepStrictEqual as same } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { BATCH_BYTES, Feed } from '../../src/hub/feed.js'
import { Frame } from '../../src/hub/frame.js'
import { Selection } from '../../src/model/selection.js'
import { Encoder, type Wire } from '../../src/wire/sse.js'
import { parseStream } from './reference-parser.js'

const RAW: Wire = { format: 'raw', topicLine: false }
const encoder = new Encoder('8f3kq0zt')

/** Frames as a hub creates them. `sequence` is `undefined` for an ephemeral event. */
function frame(sequence: number | undefined, order: number, text = String(order)): Frame {
  const event = { topic: 'a', type: undefined, id: undefined, kind: 'text' as const, payload: text }
  return new Frame(encoder, event, sequence, order, 0, sequence === undefined ? '' : encoder.cursor(sequence))
}

function texts(bytes: Buffer): string[] {
  return parseStream(bytes).map(({ event }) => event!.data)
}

function newFeed(head = 0): Feed {
  return new Feed(new Selection(['a']), 'raw', head)
}

await t.test('all streams at one offset share one batch up to the end of the feed', (t) => {
  const feed = newFeed()
  for (const n of [1, 2, 3]) feed.push(frame(n, n))
  const batch = feed.batch(1)
  t.match(
    { ...batch, bytes: texts(batch.chunk.plain) },
    { bytes: ['2', '3'], events: 2, sequence: 3, to: 3, full: false },
  )
  t.equal(feed.batch(1), batch)
  feed.push(frame(4, 4))
  t.match(
    { ...feed.batch(1), bytes: texts(feed.batch(1).chunk.plain) },
    { bytes: ['2', '3', '4'], sequence: 4, to: 4 },
    'a new batch includes later frames',
  )
  t.strictSame(texts(feed.batch(3).chunk.plain), ['4'])
  t.end()
})

await t.test('a batch of one event is the chunk of the event itself', (t) => {
  const feed = newFeed()
  const one = frame(1, 1)
  feed.push(one)
  t.equal(feed.batch(0).chunk, one.chunk(RAW))
  t.end()
})

await t.test('a batch has at most the maximum size, or a single larger event', (t) => {
  const feed = newFeed()
  const text = 'x'.repeat(BATCH_BYTES * 0.4)
  for (const n of [1, 2, 3]) feed.push(frame(n, n, text))
  feed.push(frame(4, 4, 'x'.repeat(BATCH_BYTES * 2)))
  t.match(feed.batch(0), { events: 2, sequence: 2, to: 2, full: true })
  t.match(feed.batch(2), { events: 1, sequence: 3, to: 3, full: true })
  t.match(feed.batch(3), { events: 1, sequence: 4, to: 4, full: false })
  feed.push(frame(5, 5))
  t.match(feed.batch(0), { events: 2, to: 2 }, 'a full batch does not change')
  t.end()
})

await t.test('a batch of ephemeral events alone has no sequence', (t) => {
  const feed = newFeed()
  feed.push(frame(undefined, 1))
  t.match(feed.batch(0), { events: 1, sequence: undefined })
  feed.push(frame(7, 2))
  feed.push(frame(undefined, 3))
  t.match(feed.batch(0), { events: 3, sequence: 7 })
  t.end()
})

await t.test('a frame that matches two patterns is added once', (t) => {
  const feed = newFeed()
  const one = frame(1, 1)
  t.equal(feed.push(one), true)
  t.equal(feed.push(one), false)
  t.equal(feed.end, 1)
  t.end()
})

await t.test('a sequence has an offset as long as the frames reach back to it', (t) => {
  const feed = newFeed(10)
  t.equal(feed.offsetAfter(10, 0), 0, 'no frame since')
  t.equal(feed.offsetAfter(9, 0), undefined, 'the feed has no earlier frames')
  feed.push(frame(12, 1))
  feed.push(frame(undefined, 2))
  feed.push(frame(15, 3))
  t.equal(feed.offsetAfter(10, 0), 0)
  t.equal(feed.offsetAfter(11, 0), 0)
  t.equal(feed.offsetAfter(12, 0), 1)
  t.equal(feed.offsetAfter(14, 0), 1)
  t.equal(feed.offsetAfter(15, 0), 3)
  t.equal(feed.offsetAfter(99, 0), 3)
  t.equal(feed.offsetAfter(12, 2), 2, 'a stream gets no ephemeral events from before it joined')
  t.end()
})

await t.test('a feed forgets the offsets of released frames', (t) => {
  const feed = newFeed()
  for (const n of [1, 2, 3, 4]) feed.push(frame(n * 10, n))
  feed.releaseOlder(3)
  t.equal(feed.holds(1), false)
  t.equal(feed.holds(2), true)
  t.equal(feed.end, 4)
  t.equal(feed.offsetAfter(19, 0), undefined)
  t.equal(feed.offsetAfter(20, 0), 2)
  t.strictSame(texts(feed.batch(2).chunk.plain), ['3', '4'])
  feed.releaseAll()
  t.equal(feed.holds(3), false)
  t.equal(feed.holds(4), true)
  t.equal(feed.offsetAfter(39, 0), undefined)
  t.equal(feed.offsetAfter(40, 0), 4)
  t.end()
})

await t.test('the batches from an offset to the end have every frame that the feed holds', (t) => {
  const step = fc.oneof(
    fc.record({ push: fc.constantFrom(1, 1_000, BATCH_BYTES / 2, BATCH_BYTES * 2), ephemeral: fc.boolean() }),
    fc.record({ release: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({ read: fc.double({ min: 0, max: 1, noNaN: true }) }),
  )
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30, size: 'max' }), (steps) => {
        const feed = newFeed()
        const frames: Frame[] = []
        let released = 0
        let sequence = 0
        for (const step of steps) {
          if ('push' in step) {
            const next = frame(step.ephemeral ? undefined : (sequence += 3), frames.length, 'x'.repeat(step.push))
            feed.push(next)
            frames.push(next)
          } else if ('release' in step) {
            released = Math.max(released, Math.round(step.release * frames.length))
            feed.releaseOlder(released)
          } else {
            const from = released + Math.round(step.read * (frames.length - released))
            const parts: Buffer[] = []
            for (let offset = from; offset < feed.end;) {
              const { chunk, to, sequence: last, events } = feed.batch(offset)
              same(events, to - offset)
              same(last, frames.slice(offset, to).findLast((frame) => frame.sequence !== undefined)?.sequence)
              parts.push(chunk.plain)
              offset = to
            }
            same(
              Buffer.concat(parts).equals(Buffer.concat(frames.slice(from).map((frame) => frame.chunk(RAW).plain))),
              true,
            )
          }
          same(feed.end, frames.length)
        }
      }),
      { numRuns: 60 },
    ),
  )
  t.end()
})
