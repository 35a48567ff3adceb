/** Batches of the log after a cursor, whose bytes are shared and whose buffers are reused. */
import t from 'tap'
import { Feed } from '../../src/hub/feed.js'
import { CatchUpCache } from '../../src/hub/catch-up-cache.js'
import type { CatchUpBatch } from '../../src/hub/catch-up-batch.js'
import { Selection } from '../../src/model/selection.js'
import { Encoder } from '../../src/wire/sse.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'

/** About half of a batch. */
const LARGE = 40_000

class CountingLog extends MemoryLog {
  scans = 0
  broken: Error | undefined

  override async scan(...args: Parameters<MemoryLog['scan']>) {
    this.scans++
    if (this.broken) throw this.broken
    return super.scan(...args)
  }
}

async function prepare(texts: string[], retained = 1e6) {
  const log = new CountingLog({ events: retained, age: 1e12, bytes: 1e12, dedupWindow: 0 })
  for (const payload of texts) await log.append([{ topic: 'a', type: undefined, id: undefined, kind: 'text', payload }])
  const past = new CatchUpCache(log, new Encoder(log.view.epoch), () => log.view.head)
  const feed = () => new Feed(new Selection(['a']), 'raw', log.view.head)
  return { log, past, feed }
}

function large(n: number): string {
  return `${n} `.padEnd(LARGE, String.fromCharCode(97 + (n % 26)))
}

/** Returns what is wrong with a batch of one large event: another batch may have overwritten it. */
function faultOf(batch: CatchUpBatch, n: number): string | undefined {
  return batch.chunk.plain.includes(large(n))
    ? undefined
    : `the batch has ${batch.chunk.plain.toString('latin1', 0, 60)} and not event ${n}`
}

await t.test('a batch has its events and its position', async (t) => {
  const { past, feed } = await prepare(['one', 'two', 'three'])
  const batch = await past.after(feed(), 1)
  t.match(batch, { events: 2, position: 3, oldest: 2, trimmedAt: undefined })
  t.match(batch.chunk.plain.toString(), /^id: .*-2\ndata: two\n\nid: .*-3\ndata: three\n\n$/)
  t.match(await past.after(feed(), 3), {
    events: 0,
    position: 3,
    oldest: undefined,
    trimmedAt: undefined,
    chunk: { length: 0 },
  })
})

await t.test('a batch fits its buffer, or has a single larger event', async (t) => {
  const huge = 'x'.repeat(300_000)
  const { past, feed } = await prepare(['small', large(1), large(2), huge, 'last'])
  const own = feed()
  const first = await past.after(own, 0)
  t.match(first, { events: 2, position: 2 })
  t.match(await past.after(own, first.position), { events: 1, position: 3 })
  const third = await past.after(own, 3)
  t.match(third, { events: 1, position: 4 })
  t.ok(third.chunk.plain.includes(huge))
  t.match(await past.after(own, 4), { events: 1, position: 5 })
})

await t.test('a batch is read once for streams that need it at about the same time', async (t) => {
  const { log, past, feed } = await prepare(['one', 'two'])
  const own = feed()
  const batches = await Promise.all(Array.from({ length: 10 }, () => past.after(own, 0)))
  t.equal(new Set(batches).size, 1)
  t.equal(await past.after(own, 0), batches[0])
  t.equal(log.scans, 1)
  t.not(await past.after(feed(), 0), batches[0], 'another feed gets other bytes')
  t.not(await past.after(own, 1), batches[0])
})

await t.test('a batch is read again after a trim, or if it was empty', async (t) => {
  const { log, past, feed } = await prepare(['one', 'two'], 2)
  const own = feed()
  t.match(await past.after(own, 0), { events: 2, trimmedAt: undefined })
  t.match(await past.after(own, 2), { events: 0, position: 2 })
  await log.append([{ topic: 'a', type: undefined, id: undefined, kind: 'text', payload: 'three' }])
  t.match(await past.after(own, 0), { events: 2, trimmedAt: Number, oldest: 2 })
  t.match(await past.after(own, 2), { events: 1, position: 3 })
})

await t.test('the bytes of a held batch do not change while other batches are read', async (t) => {
  const count = 200
  const { past, feed } = await prepare(Array.from({ length: count }, (_, n) => large(n)))
  const own = feed()
  const held = await Promise.all(Array.from({ length: count }, (_, n) => past.after(own, n)))
  t.strictSame(
    held.flatMap((batch, n) => faultOf(batch, n) ?? []),
    [],
  )
  for (const [n, batch] of held.entries()) if (n % 2 === 0) batch.release()
  for (let n = 0; n < count; n++) {
    const again = await past.after(own, n)
    t.equal(faultOf(again, n), undefined)
    again.release()
  }
  t.strictSame(
    held.flatMap((batch, n) => (n % 2 === 0 ? [] : (faultOf(batch, n) ?? []))),
    [],
  )
})

await t.test('buffers are reused once their batches are released', async (t) => {
  const count = 500
  const { past, feed } = await prepare(Array.from({ length: count }, (_, n) => large(n)))
  const own = feed()
  const buffers = new Set<ArrayBufferLike>()
  for (let n = 0; n < count; n++) {
    const batch = await past.after(own, n)
    buffers.add(batch.chunk.framed.buffer)
    batch.release()
  }
  t.ok(buffers.size < 50, `${buffers.size} buffers for ${count} batches`)
})

await t.test('a batch that is larger than a buffer is shared by concurrent requests, and not cached', async (t) => {
  const { log, past, feed } = await prepare(['x'.repeat(300_000)])
  const own = feed()
  const [first, second] = await Promise.all([past.after(own, 0), past.after(own, 0)])
  t.equal(first, second)
  t.equal(log.scans, 1)
  t.not(await past.after(own, 0), first)
})

await t.test('a failed read rejects all waiting requests, and a later request reads again', async (t) => {
  const { log, past, feed } = await prepare(['one'])
  const own = feed()
  log.broken = new Error('the disk is gone')
  const results = await Promise.allSettled([past.after(own, 0), past.after(own, 0)])
  t.strictSame(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  log.broken = undefined
  t.match(await past.after(own, 0), { events: 1 })
})
