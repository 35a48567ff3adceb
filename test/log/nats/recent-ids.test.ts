import t from 'tap'
import { RecentIds } from '../../../src/log/nats/recent-ids.js'

await t.test('an id has the sequence of its latest event', (t) => {
  const ids = new RecentIds(60_000)
  ids.add('a', 1)
  ids.add('b', 2, 59_000)
  ids.add('a', 3)
  t.equal(ids.find('a'), 3)
  t.equal(ids.find('b'), 2)
  t.equal(ids.find('c'), undefined)
  ids.clear()
  t.equal(ids.find('a'), undefined)
  t.end()
})

await t.test('an event from before the window leaves no id, and replaces none', (t) => {
  const ids = new RecentIds(1_000)
  ids.add('old', 1, 1_001)
  t.equal(ids.find('old'), undefined)
  ids.add('a', 3)
  ids.add('a', 2, 1_001)
  t.equal(ids.find('a'), 3)
  t.end()
})

await t.test('an id is known for a little longer than the window, and no longer', (t) => {
  const ids = new RecentIds(1_000)
  let now = 0
  t.intercept(performance, 'now', { value: () => now })
  ids.add('a', 1)
  now = 2_999
  t.equal(ids.find('a'), 1)
  now = 3_000
  t.equal(ids.find('a'), undefined)
  ids.add('b', 2)
  t.equal(ids.find('b'), 2)
  t.end()
})
