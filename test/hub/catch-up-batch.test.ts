import t from 'tap'
import { BATCH_EVENTS, BatchBuffers, CatchUpBatch } from '../../src/hub/catch-up-batch.js'
import { BATCH_BYTES, Feed } from '../../src/hub/feed.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { Selection } from '../../src/model/selection.js'
import { Encoder } from '../../src/wire/sse.js'
import { CHUNK_FRAME } from '../../src/wire/chunk.js'

async function prepare(payloads: string[]) {
  const log = new MemoryLog({ events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 0 })
  await log.append(payloads.map((payload) => ({ topic: 'a', type: undefined, id: undefined, kind: 'text', payload })))
  const buffers = new BatchBuffers()
  const source = { log, encoder: new Encoder(log.view.epoch), head: () => log.view.head, buffers }
  const feed = new Feed(new Selection(['a']), 'raw', 0)
  const read = async (after: number) => {
    const batch = new CatchUpBatch(source, feed, after)
    await batch.read
    return batch
  }
  return { buffers, read }
}

await t.test('a large batch lends its buffer until the last holder has released it', async (t) => {
  const { buffers, read } = await prepare(['x'.repeat(BATCH_BYTES - 1_000)])
  const batch = await read(0)
  batch.hold()
  batch.release()
  const other = buffers.take()
  t.not(batch.chunk.plain.buffer, other.buffer, 'the batch still has its buffer')
  batch.release()
  t.equal(batch.chunk.plain.buffer, buffers.take().buffer, 'the next batch gets the buffer')
})

await t.test('a small batch has bytes of its own, and its buffer is free at once', async (t) => {
  const { buffers, read } = await prepare(['one', 'two'])
  const batch = await read(0)
  const next = buffers.take()
  t.equal(next.length, BATCH_BYTES + CHUNK_FRAME)
  next.fill(0)
  t.match(batch.chunk.plain.toString(), /data: one\n\n.*data: two\n\n$/s)
  batch.release()
  t.not(buffers.take(), next, 'a release gives back nothing a second time')
})

await t.test('a batch has a maximum number of events, and says that more follow', async (t) => {
  const { read } = await prepare(Array.from({ length: BATCH_EVENTS + 1 }, () => ''))
  t.match(await read(0), { events: BATCH_EVENTS, position: BATCH_EVENTS, more: true, oldest: 1 })
  t.match(await read(BATCH_EVENTS), { events: 1, position: BATCH_EVENTS + 1, more: false, oldest: BATCH_EVENTS + 1 })
})

await t.test('the pool keeps 16 buffers', (t) => {
  const buffers = new BatchBuffers()
  const taken = new Set(Array.from({ length: 20 }, () => buffers.take()))
  t.equal(taken.size, 20)
  for (const buffer of taken) buffers.giveBack(buffer)
  t.equal(Array.from({ length: 20 }, () => buffers.take()).filter((buffer) => taken.has(buffer)).length, 16)
  t.end()
})
