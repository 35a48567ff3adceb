import t, { type Test } from 'tap'
import { Selection } from '../../src/model/selection.js'
import { locate } from '../../src/hub/start.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { event } from '../../src/log/contract/events.js'

async function start(t: Test) {
  const log = new MemoryLog({ events: 4, age: 1e12, bytes: 1e12, dedupWindow: 0 })
  t.teardown(() => log.close())
  await log.append(Array.from({ length: 10 }, (_, n) => event(n % 2 === 0 ? 'a' : 'b'))) // a: 3 5 7 9, b: 4 6 8 10
  return {
    log,
    locate: (request: Parameters<typeof locate>[3], ...patterns: string[]) =>
      locate(log, log.view.head, new Selection(patterns.length > 0 ? patterns : ['a']), request),
  }
}

await t.test('by default a stream begins at the head, without history', async (t) => {
  const { locate } = await start(t)
  t.strictSame(await locate({}), { sequence: 10, gap: undefined, past: false })
  t.strictSame(await locate({ replay: 0 }), { sequence: 10, gap: undefined, past: false })
})

await t.test('a stream continues after the last event id, which takes precedence over replay', async (t) => {
  const { log, locate } = await start(t)
  t.strictSame(await locate({ lastEventId: `${log.view.epoch}-7` }), { sequence: 7, gap: undefined, past: true })
  t.strictSame(await locate({ lastEventId: `${log.view.epoch}-7`, replay: 'all' }), {
    sequence: 7,
    gap: undefined,
    past: true,
  })
  t.strictSame(await locate({ lastEventId: `${log.view.epoch}-10` }), { sequence: 10, gap: undefined, past: true })
  t.strictSame(await locate({ lastEventId: `${log.view.epoch}-0` }), { sequence: 0, gap: undefined, past: true })
})

await t.test('a stream with an unusable cursor begins at the oldest event, with the reason', async (t) => {
  const { log, locate } = await start(t)
  const table: [lastEventId: string, reason: string][] = [
    [`${log.view.epoch}-11`, 'future'],
    [`${log.view.epoch}-99999999999999999999`, 'future'],
    ['zzzzzzzz-3', 'epoch'],
    ['zzzzzzzz-99', 'epoch'],
    ['42', 'invalid'],
    ['a\nb', 'invalid'],
    [`${log.view.epoch}-07`, 'invalid'],
    [' ', 'invalid'],
  ]
  for (const [lastEventId, reason] of table) {
    t.strictSame(await locate({ lastEventId }), { sequence: 0, gap: { reason, after: lastEventId }, past: true })
  }
})

await t.test('the detail repeats at most 128 characters of an unreadable cursor', async (t) => {
  const { locate } = await start(t)
  t.equal((await locate({ lastEventId: 'x'.repeat(10_000) })).gap?.after, 'x'.repeat(128))
})

await t.test('a replay counts the retained events before the head over all requested topics', async (t) => {
  const { locate } = await start(t)
  const sequence = async (replay: number | 'all', ...patterns: string[]) =>
    (await locate({ replay }, ...patterns)).sequence
  t.ok((await sequence(1)) >= 7 && (await sequence(1)) < 9)
  t.ok((await sequence(2)) >= 5 && (await sequence(2)) < 7)
  t.ok((await sequence(3, 'a', 'b')) >= 7 && (await sequence(3, '*')) < 8)
  t.equal(await sequence('all'), 2, 'before the oldest retained event')
  t.equal(await sequence(1_000), 2)
  t.equal(await sequence('all', 'nobody'), 10)
  t.match(
    await locate({ replay: 1 }),
    { past: true, gap: undefined, replayedAt: Number },
    'trimmed events are not a gap for a replay',
  )
})
