/** What a stream has seen, against a simple list of what it was given. */
import fc from 'fast-check'
import t from 'tap'
import { Seen } from '../../src/hub/seen.js'
import { Selection } from '../../src/hub/selection.js'

const TOPICS = ['a.x', 'a.y', 'b.x', 'c']
const anyPatterns = fc.subarray(['a.x', 'a.*', '*.x', 'c', '**'])
const anyMove = fc.record({ by: fc.nat(5), patterns: anyPatterns, past: fc.option(fc.record({ patterns: anyPatterns, back: fc.nat(8) })) })

type Move = typeof anyMove extends fc.Arbitrary<infer M> ? M : never

/** Plays moves, and notes each event that the stream is given: `topic sequence`. */
function play(moves: Move[], start: number): { seen: Seen; given: Set<string>; head: number } {
  let selection = new Selection(['a.x'])
  let seen = Seen.since(selection, start)
  let at = start
  const given = new Set<string>()
  const give = (from: number, to: number, { hasTopic }: { hasTopic: (topic: string) => boolean }) => {
    for (let sequence = from + 1; sequence <= to; sequence++) for (const topic of TOPICS) if (hasTopic(topic)) given.add(`${topic} ${sequence}`)
  }
  const of = (held: Selection) => ({ hasTopic: (topic: string) => held.hasTopic(topic) })
  for (const { by, patterns, past } of moves) {
    give(at, at + by, of(selection))
    at += by
    const replay = past ? { selection: new Selection(past.patterns), after: Math.max(0, at - past.back) } : undefined
    if (replay) give(replay.after, at, of(replay.selection))
    selection = new Selection(patterns)
    if (replay) seen = seen.given(replay.selection.patterns, replay.after, at)
    seen = seen.moved(at, selection)
  }
  give(at, at + 5, of(selection))
  return { seen, given, head: at + 5 }
}

await t.test('it has seen what it was given, and nothing else', async () => {
  fc.assert(fc.property(fc.array(anyMove, { maxLength: 60 }), fc.nat(10), (moves, start) => {
    const { seen, given, head } = play(moves, start)
    for (let sequence = 1; sequence <= head; sequence++) {
      for (const topic of TOPICS) {
        if (seen.has(topic, sequence) !== given.has(`${topic} ${sequence}`)) throw new Error(`${topic} ${sequence}`)
        let newest = sequence
        while (given.has(`${topic} ${newest}`)) newest--
        if (seen.newestUnseen(topic, sequence) !== newest) throw new Error(`newest of ${topic} up to ${sequence}`)
      }
    }
  }))
})

await t.test('after very many changes of a topic it may take more for seen than was, and never less', async (t) => {
  const held = new Selection(['c'])
  const both = new Selection(['a.x', 'c'])
  let seen = Seen.since(held, 0)
  for (let at = 10; at <= 30_000; at += 10) seen = seen.moved(at, at % 20 === 0 ? held : both) // 'a.x' in every second ten
  for (let sequence = 15; sequence < 30_000; sequence += 20) if (!seen.has('a.x', sequence)) t.fail(`${sequence} was seen`)
  for (let sequence = 1; sequence <= 30_000; sequence += 7) if (!seen.has('c', sequence)) t.fail(`${sequence} of what stayed was seen`)
  t.notOk(seen.has('a.x', 29_985), 'of late it is exact')
  t.notOk(seen.has('a.y', 29_995))
})

await t.test('patterns that come and go do not add up', async (t) => {
  let seen = Seen.since(new Selection(['c']), 0)
  for (let at = 1; at <= 3_000; at++) seen = seen.moved(at, new Selection(['c', `t${at}`]))
  t.ok(seen.has('t2999', 3_000))
  t.notOk(seen.has('t1', 2), 'the first are forgotten')
  t.ok(seen.has('c', 1))
})
