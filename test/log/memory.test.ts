import t, { type Test } from 'tap'
import { Selection } from '../../src/hub/selection.js'
import type { Retention } from '../../src/log/log.js'
import { MemoryLog } from '../../src/log/memory.js'
import { event, testLog } from '../contract/log.js'

await testLog(t, 'the memory log', async (retention, clock, elapsed) => new MemoryLog(retention, clock, elapsed))

const KEEP_ALL: Retention = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 0 }

function start(t: Test, retention: Partial<Retention>) {
  const clock = { now: 1_700_000_000_000 }
  const log = new MemoryLog({ ...KEEP_ALL, ...retention }, () => clock.now)
  t.teardown(() => log.close())
  return { log, clock }
}

async function sequences(log: MemoryLog, ...patterns: string[]): Promise<number[]> {
  const { events } = await log.read(new Selection(patterns.length > 0 ? patterns : ['**']), { after: 0, events: 1e6 })
  return events.map(({ sequence }) => sequence)
}

await t.test('what is too much by count or bytes goes at once', async (t) => {
  const { log } = start(t, { events: 3 })
  await log.append(Array.from({ length: 5 }, () => event('a')))
  t.strictSame(await sequences(log), [3, 4, 5])

  const { log: small } = start(t, { bytes: 3_000 })
  for (let n = 0; n < 20; n++) await small.append([event('a', { payload: 'x'.repeat(100) })])
  t.ok(small.stats().bytes <= 3_000)
  t.strictSame((await sequences(small)).at(-1), 20)
})

await t.test('trim takes what is too old of every topic, the oldest first, in steps', async (t) => {
  const { log, clock } = start(t, { age: 1_000 })
  await log.append(Array.from({ length: 2_500 }, (_, n) => event(`t.${n % 7}`)))
  clock.now += 900
  await log.append([event('t.3'), event('late')])
  clock.now += 200
  t.equal(log.trim(), true, 'there is more to do')
  t.strictSame((await sequences(log))[0], 1_001)
  t.equal(log.trim(), true)
  t.equal(log.trim(), false)
  t.strictSame(await sequences(log), [2_501, 2_502])
  t.match(log.stats(), { events: 2 })
})

await t.test('trim forgets topics that have nothing left, but not what was trimmed of them', async (t) => {
  const { log, clock } = start(t, { age: 1_000, dedupWindow: 5_000 })
  await log.append([event('a', { id: 'x' }), event('b')])
  clock.now += 2_000
  log.trim()
  t.match(log.stats(), { topics: 0, events: 0, bytes: 0 })
  t.strictSame(await log.append([event('a', { id: 'x' })]), [{ sequence: 1, duplicate: true }], 'nor its publisher ids')
  clock.now += 4_000
  log.trim()
  t.match(log.stats(), { topics: 0, events: 0, bytes: 0 })
  for (const topic of ['a', 'b']) t.match(await log.read(new Selection([topic]), { after: 0, events: 1 }), { gap: true })
  t.match(await log.read(new Selection(['*']), { after: 1, events: 1 }), { gap: true })
  t.match(await log.read(new Selection(['c', '*.*']), { after: 0, events: 1 }), { gap: false })
})

await t.test('many topics that come and go do not disturb the order of trimming', async (t) => {
  const { log } = start(t, { bytes: 20_000 })
  for (let n = 0; n < 2_000; n++) await log.append([event(`t.${(n * 7919) % 97}`)])
  const kept = await sequences(log)
  t.strictSame(kept, Array.from({ length: kept.length }, (_, index) => 2_000 - kept.length + 1 + index))
  t.equal(log.stats().events, kept.length)
})

await t.test('publisher ids are remembered when far more topics have been emptied than are remembered', async (t) => {
  const { log, clock } = start(t, { bytes: 100_000, dedupWindow: 600_000 })
  await log.append([event('pay.1', { id: 'order-1' })])
  for (let n = 0; n < 120_000; n += 1_000) await log.append(Array.from({ length: 1_000 }, (_, m) => event(`t.${n + m}`)))
  t.equal(await log.topic('pay.1'), undefined)
  t.match(await log.read(new Selection(['never']), { after: 0, events: 1 }), { gap: true }, 'it is not remembered of all how far they were trimmed')
  clock.now += 599_000
  t.strictSame(await log.append([event('pay.1', { id: 'order-1' })]), [{ sequence: 1, duplicate: true }])
  clock.now += 1_001
  t.match(await log.append([event('pay.1', { id: 'order-1' })]), [{ duplicate: false }])
})

await t.test('bytes are those that strings and objects take in the heap', async (t) => {
  const { log } = start(t, {})
  const grown = async (payload: string) => {
    const { bytes } = log.stats()
    await log.append([event('a', { payload })])
    return log.stats().bytes - bytes
  }
  await grown('')
  const empty = await grown('')
  t.ok(empty >= 150, `an event of nothing takes ${empty}`)
  t.equal(await grown('x'.repeat(10_000)) - empty, 10_000)
  t.equal(await grown('é'.repeat(10_000)) - empty, 10_000, 'Latin-1')
  t.equal(await grown('€'.repeat(10_000)) - empty, 20_000)
  t.equal(await grown(`${'x'.repeat(9_999)}€`) - empty, 20_000, 'one character makes all of them wide')
})

await t.test('a closed log tells followers nothing and does nothing by itself', async (t) => {
  const { log } = start(t, {})
  let told = 0
  log.follow((events) => void (told += events.length))
  await log.append([event('a')])
  await log.close()
  await log.close()
  await log.append([event('a')]).catch(() => undefined)
  t.equal(told, 1)
})
