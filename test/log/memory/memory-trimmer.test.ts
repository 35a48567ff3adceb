import t from 'tap'
import { FollowedView } from '../../../src/log/followed-view.js'
import { MemoryTrimmer } from '../../../src/log/memory/memory-trimmer.js'
import { PublisherIds } from '../../../src/log/memory/publisher-ids.js'
import { RetainedEvents } from '../../../src/log/memory/retained-events.js'
import { SteadyClock, systemTime } from '../../../src/log/steady-clock.js'
import { keptEvent } from '../../helper/kept-event.js'

await t.test('the marks of topics without events are dropped if they take more than a quarter', async (t) => {
  const retained = new RetainedEvents()
  const retention = { events: 10, age: 1e12, bytes: 4 * 2 ** 20, dedupWindow: 0 }
  const clock = new SteadyClock(systemTime)
  const trimmer = new MemoryTrimmer(retained, new PublisherIds(), clock, retention, () => undefined)
  t.teardown(() => trimmer.stop())
  const { history } = trimmer
  const deep = (n: number) => Array.from({ length: 16 }, (_, depth) => `${n}-${depth}`).join('.')
  for (let n = 1; n <= 2_000; n++) {
    const name = deep(n)
    retained.push(retained.add(name, history.trimmedOf(name)), keptEvent(n, name))
    t.equal(await trimmer.purge(name), 1)
  }
  t.ok(history.marks.bytes <= 2 ** 20, `the marks of topics take ${history.marks.bytes} bytes`)
  t.equal(history.marks.get(deep(1)), undefined, 'the oldest mark is dropped')
  t.ok(history.forgotten.trimmed > 0)
  t.match(history.trimmedOf(deep(2_000)), { trimmed: 2_000 }, 'the newest mark is kept')
  const view = new FollowedView(
    { epoch: '', failure: () => undefined, stats: () => retained.stats() },
    { head: 0, mark: 0 },
  )
  view.apply({ events: [], trims: history.take(), records: [] })
  for (const name of [deep(1), deep(1_000), deep(2_000), 'other'])
    t.match(view.trimmedOf(name), history.trimmedOf(name), 'a view that follows the deltas has the same marks')
  t.equal(view.marks.bytes, history.marks.bytes, 'the view keeps no more bytes of marks')
  t.strictSame(retained.stats(), { topics: 0, events: 0, bytes: 0 })
})
