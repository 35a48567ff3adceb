import t from 'tap'
import { idSize, PublisherIds } from '../../../src/log/memory/publisher-ids.js'

await t.test('an id belongs to its topic, and is remembered while its event is retained', (t) => {
  const ids = new PublisherIds()
  ids.add('a', 'b c', 1)
  t.equal(ids.find('a', 'b c', 1e12), 1)
  t.equal(ids.find('b', 'b c', 0), undefined)
  t.equal(ids.find('a', 'b', 0), undefined)
  t.notOk(ids.forgetOne(1e12))
  t.end()
})

await t.test('the id of a trimmed event is remembered until its window is over, and counts its bytes', (t) => {
  const ids = new PublisherIds()
  for (const [id, sequence, until] of [
    ['late', 1, 30],
    ['soon', 2, 20],
    ['over', 3, 10],
  ] as const) {
    ids.add('a', id, sequence)
    ids.orphan('a', id, sequence, { until, now: 10 })
  }
  t.equal(ids.find('a', 'over', 10), undefined, 'its window is over already')
  t.equal(ids.orphanBytes, idSize('a', 'late') + idSize('a', 'soon'))
  t.equal(ids.find('a', 'soon', 19), 2)
  t.equal(ids.find('a', 'soon', 20), undefined)
  t.ok(ids.forgetOne(25))
  t.notOk(ids.forgetOne(25), 'the next window is not over')
  t.equal(ids.find('a', 'late', 29), 1)
  t.ok(ids.forgetOne(30))
  t.equal(ids.orphanBytes, 0)
  t.end()
})

await t.test('an id that a newer event has again is not forgotten with the older event', (t) => {
  const ids = new PublisherIds()
  ids.add('a', 'x', 1)
  ids.orphan('a', 'x', 1, { until: 10, now: 0 })
  ids.add('a', 'x', 2)
  t.ok(ids.forgetOne(10))
  t.equal(ids.find('a', 'x', 10), 2)
  ids.orphan('a', 'x', 1, { until: 20, now: 10 })
  t.equal(ids.orphanBytes, 0, 'only the newest event with an id can leave it behind')
  t.end()
})
