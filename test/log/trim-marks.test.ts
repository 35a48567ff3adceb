import fc from 'fast-check'
import t from 'tap'
import { GapSearch, TrimMarks, type TrimHistory } from '../../src/log/trim-marks.js'
import { Selection } from '../../src/model/selection.js'

await t.test('the marks are in the order in which they were set, and deleted ones take no memory', (t) => {
  const topic = fc.constantFrom('a', 'b', 'a.b', 'a.b.c', 'c')
  const step = fc.oneof(
    { weight: 3, arbitrary: topic },
    topic.map((deleted) => ({ deleted })),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const marks = new TrimMarks()
      let expected: string[] = []
      for (const [n, next] of steps.entries()) {
        const name = typeof next === 'string' ? next : next.deleted
        expected = expected.filter((other) => other !== name)
        if (typeof next !== 'string') marks.delete(name)
        else {
          marks.set(name, 10 * n, n)
          expected.push(name)
        }
        const backwards: string[] = []
        for (let mark = marks.latest; mark; mark = mark.older) backwards.push(mark.topic)
        t.strictSame(backwards, [...expected].reverse())
        const [oldest] = expected
        const forwards: string[] = []
        for (let mark = oldest === undefined ? undefined : marks.get(oldest); mark; mark = mark.newer)
          forwards.push(mark.topic)
        t.strictSame(forwards, expected)
      }
      for (const name of expected) marks.delete(name)
      return marks.bytes === 0 && marks.latest === undefined
    }),
    { numRuns: 50 },
  )
  t.end()
})

/** A history in which topics were trimmed, in this order. */
function history(trims: [topic: string, until: number][]) {
  const marks = new TrimMarks()
  const state = { mark: 0, newestTrimmed: 0 }
  const trim = (topic: string, until: number) => {
    marks.set(topic, until, ++state.mark)
    state.newestTrimmed = Math.max(state.newestTrimmed, until)
  }
  for (const [topic, until] of trims) trim(topic, until)
  const forgotten = { trimmed: 0, trimmedAt: 0 }
  const seen: TrimHistory = {
    get mark() {
      return state.mark
    },
    get newestTrimmed() {
      return state.newestTrimmed
    },
    marks,
    forgotten,
    trimmedOf: (topic) => marks.get(topic) ?? forgotten,
  }
  return { seen, trim }
}

/** Returns the trim mark of a gap in a read behind `after`. */
function gap(trims: [topic: string, until: number][], patterns: string[], after: number): number | undefined {
  const search = new GapSearch(history(trims).seen, new Selection(patterns))
  Array.from(search.begin(after))
  return search.result(after, false).trimmedAt
}

await t.test('a read has a gap if a topic of its selection was trimmed behind its position', (t) => {
  t.equal(gap([['a', 5]], ['a'], 4), 1)
  t.equal(gap([['a', 5]], ['a'], 5), undefined)
  t.equal(gap([['a', 5]], ['b'], 0), undefined)
  t.equal(
    gap(
      [
        ['a.b', 5],
        ['c', 9],
      ],
      ['a.*'],
      4,
    ),
    1,
  )
  t.equal(
    gap(
      [
        ['a', 5],
        ['b', 7],
      ],
      ['a', 'b'],
      4,
    ),
    2,
    'the latest of several trims',
  )
  t.equal(gap([], ['**'], 0), undefined)
  const others = Array.from({ length: 50 }, (_, n): [string, number] => [`other.${n}`, 10 + n])
  t.equal(gap([['a.b', 5], ...others], ['a.**'], 0), 1, 'an old trim before many of other topics')
  t.end()
})

await t.test('a trim during the read is a gap, unless the read has passed it', (t) => {
  const { seen, trim } = history([])
  const search = new GapSearch(seen, new Selection(['a', 'b.*']))
  trim('a', 5)
  search.advance(5)
  t.equal(search.result(5, true).trimmedAt, undefined)
  trim('b.c', 8)
  search.advance(7)
  t.strictSame(search.result(9, false), { position: 9, more: false, trimmedAt: 2, mark: 2 })
  t.end()
})

await t.test('an event that is missing without a trim is a gap that no later read is without', (t) => {
  const { seen } = history([])
  const search = new GapSearch(seen, new Selection(['a']))
  search.missed()
  t.equal(search.result(1, false).trimmedAt, Infinity)
  t.end()
})
