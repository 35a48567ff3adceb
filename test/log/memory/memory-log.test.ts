import t, { type Test } from 'tap'
import { Selection } from '../../../src/model/selection.js'
import type { Retention } from '../../../src/log/log.js'
import { MemoryLog } from '../../../src/log/memory/memory-log.js'
import { event } from '../../../src/log/contract/events.js'
import { testLog } from '../../contract/log.js'
import { readFrom } from '../../helper/log.js'

await testLog(t, 'the memory log', {
  open: async (retention, clock, elapsed) => new MemoryLog(retention, clock, elapsed),
})

const KEEP_ALL: Retention = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 0 }

function start(t: Test, retention: Partial<Retention>) {
  const clock = { now: 1_700_000_000_000 }
  const log = new MemoryLog({ ...KEEP_ALL, ...retention }, () => clock.now)
  t.teardown(() => log.close())
  return { log, clock }
}

async function sequences(log: MemoryLog, ...patterns: string[]): Promise<number[]> {
  const { events } = await readFrom(log, new Selection(patterns.length > 0 ? patterns : ['**']), {
    after: 0,
    events: 1e6,
  })
  return events.map(({ sequence }) => sequence)
}

await t.test('an append trims events beyond the maximum count or size at once', async (t) => {
  const { log } = start(t, { events: 3 })
  await log.append(Array.from({ length: 5 }, () => event('a')))
  t.strictSame(await sequences(log), [3, 4, 5])

  const { log: small } = start(t, { bytes: 3_000 })
  for (let n = 0; n < 20; n++) await small.append([event('a', { payload: 'x'.repeat(100) })])
  t.ok(small.view.stats().bytes <= 3_000)
  t.strictSame((await sequences(small)).at(-1), 20)
})

await t.test('trim removes events of all topics that are too old, oldest first, in steps', async (t) => {
  const { log, clock } = start(t, { age: 1_000 })
  await log.append(Array.from({ length: 2_500 }, (_, n) => event(`t.${n % 7}`)))
  clock.now += 900
  await log.append([event('t.3'), event('late')])
  clock.now += 200
  t.equal(log.trim(), true, 'there is more to do')
  const [oldest] = await sequences(log)
  t.ok(oldest! > 1_000 && (oldest! - 1) % 1_000 === 0, `${oldest}: the log may have taken further steps by itself`)
  while (log.trim());
  t.strictSame(await sequences(log), [2_501, 2_502])
  t.match(log.view.stats(), { events: 2 })
})

await t.test('trim drops topics without events, and keeps their trim marks', async (t) => {
  const { log, clock } = start(t, { age: 1_000, dedupWindow: 5_000 })
  await log.append([event('a', { id: 'x' }), event('b')])
  clock.now += 2_000
  log.trim()
  t.match(log.view.stats(), { topics: 0, events: 0, bytes: 0 })
  t.strictSame(
    await log.append([event('a', { id: 'x' })]),
    [{ sequence: 1, duplicate: true }],
    'the publisher ids stay too',
  )
  clock.now += 4_000
  log.trim()
  t.match(log.view.stats(), { topics: 0, events: 0, bytes: 0 })
  for (const topic of ['a', 'b'])
    t.match(await readFrom(log, new Selection([topic]), { after: 0, events: 1 }), { gap: true })
  t.match(await readFrom(log, new Selection(['*']), { after: 1, events: 1 }), { gap: true })
  t.match(await readFrom(log, new Selection(['c', '*.*']), { after: 0, events: 1 }), { gap: false })
})

await t.test('events are trimmed in order while many topics come and go', async (t) => {
  const { log } = start(t, { bytes: 20_000 })
  for (let n = 0; n < 2_000; n++) await log.append([event(`t.${(n * 7919) % 97}`)])
  const kept = await sequences(log)
  t.strictSame(
    kept,
    Array.from({ length: kept.length }, (_, index) => 2_000 - kept.length + 1 + index),
  )
  t.equal(log.view.stats().events, kept.length)
})

await t.test('publisher ids are remembered even if the trim marks of their topics are dropped', async (t) => {
  const { log, clock } = start(t, { bytes: 100_000, dedupWindow: 600_000 })
  await log.append([event('pay.1', { id: 'order-1' })])
  for (let n = 0; n < 120_000; n += 1_000)
    await log.append(Array.from({ length: 1_000 }, (_, m) => event(`t.${n + m}`)))
  t.equal(await log.topic('pay.1'), undefined)
  t.match(
    await readFrom(log, new Selection(['never']), { after: 0, events: 1 }),
    { gap: true },
    'the trim marks of some topics are dropped',
  )
  clock.now += 599_000
  t.strictSame(await log.append([event('pay.1', { id: 'order-1' })]), [{ sequence: 1, duplicate: true }])
  clock.now += 1_001
  t.match(await log.append([event('pay.1', { id: 'order-1' })]), [{ duplicate: false }])
})

await t.test('publisher ids of trimmed events count towards the size of the log', async (t) => {
  const bytes = 4 * 2 ** 20
  const { log, clock } = start(t, { bytes, dedupWindow: 120_000, events: 10 })
  const withIds = (from: number, count: number) =>
    Array.from({ length: count }, (_, n) => event('a', { id: `id-${from + n}`.padEnd(128, 'x') }))
  await log.append([event('b')])
  let accepted = 0
  const refusal = {
    name: 'HubError',
    code: 'too-many-ids',
    index: 0,
    message: /FANFARE_RETAIN_BYTES.*FANFARE_DEDUP_WINDOW/,
  }
  await t.rejects(async () => {
    for (; accepted < 100_000; accepted += 100) await log.append(withIds(accepted, 100))
  }, refusal)
  t.ok(accepted > 1_000 && accepted * 128 < bytes / 2, `${accepted} ids were accepted`)
  t.strictSame(await sequences(log, 'b'), [1], 'the other half is for events')
  const { head } = log.view
  await t.rejects(log.append([event('a'), ...withIds(0, 1), event('c', { id: 'new' })]), { ...refusal, index: 2 })
  t.equal(log.view.head, head, 'a batch is refused as a whole')
  t.match(await log.append(withIds(0, 2)), [{ duplicate: true }, { duplicate: true }], 'a duplicate needs no room')
  t.match(await log.append([event('a')]), [{ duplicate: false }], 'an event without an id needs no room for ids')
  clock.now += 120_001
  while (log.trim());
  t.match(
    await log.append(withIds(0, 2)),
    [{ duplicate: false }, { duplicate: false }],
    'there is room once the windows have ended',
  )
})

await t.test('events are trimmed to make room for publisher ids', async (t) => {
  const kept = async (dedupWindow: number) => {
    const { log } = start(t, { bytes: 4 * 2 ** 20, dedupWindow, events: 1_000 })
    for (let n = 0; n < 8_000; n += 100)
      await log.append(Array.from({ length: 100 }, (_, m) => event('a', { id: `id-${n + m}` })))
    for (let n = 0; n < 4_000; n += 100)
      await log.append(Array.from({ length: 100 }, (_, m) => event(`b.${m % 5}`, { payload: 'x'.repeat(1_000) })))
    return log.view.stats().events
  }
  const [withIds, without] = [await kept(120_000), await kept(0)]
  t.ok(withIds < without - 500, `${withIds} events are kept rather than ${without}`)
})

await t.test('the marks of topics without events are dropped if their names take too many bytes', async (t) => {
  const { log } = start(t, { bytes: 4 * 2 ** 20, events: 10 })
  const deep = (n: number) => Array.from({ length: 16 }, (_, depth) => `${n}-${depth}`).join('.')
  await log.append([event('first')])
  await log.purge('first')
  for (let n = 0; n < 2_000; n++) {
    await log.append([event(deep(n))])
    await log.purge(deep(n))
  }
  t.match(
    await readFrom(log, new Selection(['never']), { after: 0, events: 1 }),
    { gap: true },
    'some marks are dropped',
  )
  t.match(
    await readFrom(log, new Selection([deep(1_999)]), { after: log.view.head - 1, events: 1 }),
    { gap: true },
    'the newest marks are kept',
  )
  t.match(await readFrom(log, new Selection(['never']), { after: log.view.head - 1, events: 1 }), { gap: false })
})

await t.test('the newest events of very many topics are found page by page', async (t) => {
  const { log } = start(t, {})
  const topicOf = (n: number) => `t.${n % 3 === 0 ? 'many' : 'few'}.${n % 3_000}`
  const typeOf = (n: number) => (n % 4 === 0 ? 'odd' : 'common')
  for (let n = 1; n <= 5_000; n += 1_000)
    await log.append(Array.from({ length: 1_000 }, (_, m) => event(topicOf(n + m), { type: typeOf(n + m) })))
  for (const selection of [
    new Selection(['**']),
    new Selection(['t.few.*']),
    new Selection(['**'], ['odd']),
    new Selection(['**'], ['none']),
  ]) {
    const newest = new Map<string, number>()
    for (let n = 1; n <= 4_900; n++)
      if (selection.hasTopic(topicOf(n)) && selection.hasType(typeOf(n))) newest.set(topicOf(n), n)
    const found: number[] = []
    for (let after = 0, more = true; more;) {
      const page = await log.newest(selection, { after, until: 4_900, events: 100 })
      t.ok(page.events.length <= 100)
      found.push(...page.events.map(({ sequence }) => sequence))
      ;({ position: after, more } = page)
    }
    t.strictSame(
      found,
      [...newest.values()].sort((a, b) => a - b),
    )
  }
})

await t.test('bytes are the sizes of strings and objects in the heap', async (t) => {
  const { log } = start(t, {})
  const grown = async (payload: string) => {
    const { bytes } = log.view.stats()
    await log.append([event('a', { payload })])
    return log.view.stats().bytes - bytes
  }
  await grown('')
  const empty = await grown('')
  t.ok(empty >= 150, `an empty event takes ${empty} bytes`)
  t.equal((await grown('x'.repeat(10_000))) - empty, 10_000)
  t.equal((await grown('é'.repeat(10_000))) - empty, 10_000, 'Latin-1')
  t.equal((await grown('€'.repeat(10_000))) - empty, 20_000)
  t.equal(
    (await grown(`${'x'.repeat(9_999)}€`)) - empty,
    20_000,
    'one wide character doubles the size of the whole string',
  )
})

await t.test('a closed log calls no followers and runs no timers', async (t) => {
  const { log } = start(t, {})
  let told = 0
  await log.follow(({ events }) => void (told += events.length))
  await log.append([event('a')])
  await log.close()
  await log.close()
  await log.append([event('a')]).catch(() => undefined)
  t.equal(told, 1)
})
