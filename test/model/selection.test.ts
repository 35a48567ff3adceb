import t from 'tap'
import { Selection } from '../../src/model/selection.js'

await t.test('topics and patterns are separated, without duplicates', (t) => {
  const selection = new Selection(['b', 'a.*', 'a', 'b', '**', 'a.*'])
  t.strictSame(selection.patterns, ['**', 'a', 'a.*', 'b'])
  t.strictSame(selection.topics, ['a', 'b'])
  t.strictSame(selection.wildcards, ['**', 'a.*'])
  t.end()
})

await t.test('the selection has its topics', (t) => {
  const selection = new Selection(['a', 'b.*'])
  for (const topic of ['a', 'b.c']) t.equal(selection.hasTopic(topic), true, topic)
  for (const topic of ['b', 'a.b', 'b.c.d', 'fanfare']) t.equal(selection.hasTopic(topic), false, topic)
  t.equal(new Selection(['**']).hasTopic('fanfare.stats'), false)
  t.equal(new Selection(['fanfare.stats']).hasTopic('fanfare.stats'), true)
  t.end()
})

await t.test('without types the selection has every event, otherwise only events of its types', (t) => {
  const all = new Selection(['a'])
  t.equal(all.hasType(undefined), true)
  t.equal(all.hasType('x'), true)
  const some = new Selection(['a'], ['x', 'y', 'x'])
  t.equal(some.hasType('x'), true)
  t.equal(some.hasType('y'), true)
  t.equal(some.hasType('z'), false)
  t.equal(some.hasType(undefined), false)
  t.end()
})

await t.test('equal selections have the same key, and others do not', (t) => {
  t.equal(new Selection(['b', 'a', 'b'], ['y', 'x']).key, new Selection(['a', 'b'], ['x', 'y', 'y']).key)
  const different = [
    new Selection(['a']),
    new Selection(['a', 'b']),
    new Selection(['a'], ['b']),
    new Selection(['a.b']),
    new Selection(['a'], ['x', 'y']),
    new Selection(['a'], ['x,y']),
    new Selection(['a'], ['x","y']),
    new Selection(['a'], ['x y']),
    new Selection(['a', 'x', 'y']),
  ]
  t.equal(new Set(different.map(({ key }) => key)).size, different.length)
  t.end()
})

await t.test('only a single plain topic needs no topic on its events', (t) => {
  t.equal(new Selection(['a']).isSingleTopic, true)
  t.equal(new Selection(['a', 'a']).isSingleTopic, true)
  for (const patterns of [['a', 'b'], ['a.*'], ['a', 'a.*']])
    t.equal(new Selection(patterns).isSingleTopic, false, patterns.join(' '))
  t.end()
})
