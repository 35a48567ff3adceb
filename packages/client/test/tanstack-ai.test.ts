/** The durability of runs: an offset for each chunk, one producer, and an end for every subscriber. */
import t from 'tap'
import { fanfareStream, type StreamDurability } from 'fanfare-client/tanstack-ai'
import { startHub } from '../../../test/helper/process.js'
import { anyGrants } from './hubs.js'

interface Chunk {
  type: string
}

const hub = await startHub(t)
const token = anyGrants()

function run(source: Request | { runId: string; offset?: string }): StreamDurability<Chunk> {
  return fanfareStream<Chunk>(source, { url: hub.url, token })
}

const chunksOf = (...types: string[]): Chunk[] => types.map((type) => ({ type }))

async function read(runId: string, offset = '-1', signal?: AbortSignal): Promise<string[]> {
  const types: string[] = []
  for await (const { chunk } of run({ runId, offset }).read(offset, signal)) types.push(chunk.type)
  return types
}

await t.test('each offset leads to the chunks after it', async (t) => {
  const producer = run({ runId: 'r 1/é:x' })
  const offsets = await producer.append(chunksOf('a', 'b', 'c'))
  offsets.push(...(await producer.append(chunksOf('d'))))
  const live = read('r 1/é:x', offsets[0])
  offsets.push(...(await producer.append(chunksOf('e'))))
  await producer.close()
  await producer.close()
  t.strictSame(await live, ['b', 'c', 'd', 'e'])
  for (const [i, offset] of offsets.entries()) {
    t.match(offset, /^[\x21-\x7e]+$/)
    t.strictSame(await read('r 1/é:x', offset), ['a', 'b', 'c', 'd', 'e'].slice(i + 1))
  }
  const stored = await producer.snapshot()
  t.strictSame(
    stored.map(({ chunk }) => chunk.type),
    ['a', 'b', 'c', 'd', 'e'],
  )
  t.strictSame(await read('r 1/é:x', stored[1]!.offset), ['c', 'd', 'e'])
  t.strictSame(await read('r 1/é:x', 'now'), [])
})

await t.test('a request names its run and its offset as TanStack AI does', async (t) => {
  const url = 'http://app/api?x=1'
  t.equal(run(new Request(url, { headers: { 'x-run-id': 'r' } })).resumeFrom(), null)
  const [offset] = await run({ runId: 'r' }).append(chunksOf('a'))
  const headers = { 'last-event-id': offset! }
  t.equal(run(new Request(`${url}&runId=r`, { headers })).resumeFrom(), offset)
  t.equal(run(new Request(`${url}&offset=-1&runId=r`)).resumeFrom(), '-1')
  await run({ runId: 'r' }).close()
  const types: string[] = []
  const resumed = run(new Request(url, { headers }))
  for await (const { chunk } of resumed.read(offset!)) types.push(chunk.type)
  t.strictSame(types, [], 'an offset names its run')
  t.throws(() => run(new Request(`${url}&runId=other`, { headers })), { name: 'TypeError' })
  for (const wrong of ['x', 'r:1', 'r:-1.1&live=sse', '%:-1.1', 'r:0000000000000001.1/../../x'])
    t.throws(() => run(new Request(url, { headers: { 'last-event-id': wrong } })), { name: 'TypeError' }, wrong)
})

await t.test('a later producer takes the run over', async (t) => {
  const first = run({ runId: 'taken' })
  await first.append(chunksOf('a'))
  const second = run({ runId: 'taken' })
  const prefix = await second.snapshot()
  t.strictSame(
    prefix.map(({ chunk }) => chunk.type),
    ['a'],
  )
  const [offset] = await second.append(chunksOf('b'))
  await t.rejects(first.append(chunksOf('x')), { code: 'producer-fenced' })
  await first.close()
  await second.append(chunksOf('c'))
  await second.close()
  t.strictSame(await read('taken'), ['a', 'b', 'c'])
  t.strictSame(await read('taken', offset), ['c'])
  await t.rejects(run({ runId: 'taken' }).append(chunksOf('x')), { code: 'stream-closed' })
})

await t.test('a run that does not exist is empty, and is no subscription that waits', async (t) => {
  t.strictSame(await run({ runId: 'none' }).snapshot(), [])
  await t.rejects(read('none'), { message: /no finite topic/ })
  await run({ runId: 'none' }).close()
  await run({ runId: 'none' }).cancel()
  const early = fanfareStream<Chunk>({ runId: 'soon' }, { url: hub.url, token, firstChunkDeadlineMs: 30_000 })
  const reading = early.read('-1')[Symbol.asyncIterator]().next()
  await run({ runId: 'soon' }).append(chunksOf('a'))
  t.match(await reading, { value: { chunk: { type: 'a' } } })
})

await t.test('a stop fails the producer and the subscribers', async (t) => {
  const producer = run({ runId: 'stop' })
  await producer.append(chunksOf('a'))
  const reading = t.rejects(read('stop'), { name: 'AbortError' })
  await run({ runId: 'stop' }).cancel()
  await reading
  await t.rejects(producer.append(chunksOf('b')), { name: 'AbortError' })
  t.match(await producer.append(chunksOf('RUN_ERROR')), [/./], 'the error of the end is taken, and not stored')
  await producer.close()
  t.strictSame((await producer.snapshot()).length, 1)
})

await t.test('large batches are divided, and a signal ends a subscriber', async (t) => {
  const producer = run({ runId: 'large' })
  const types = Array.from({ length: 12 }, (_, i) => String(i).repeat(100_000))
  const offsets = await producer.append(chunksOf(...types))
  t.equal(new Set(offsets).size, 12)
  const leaving = new AbortController()
  const seen: string[] = []
  for await (const { offset, chunk } of run({ runId: 'large' }).read(offsets[3]!, leaving.signal)) {
    seen.push(chunk.type)
    if (seen.length === 8) {
      leaving.abort()
      t.not(offset, offsets[3])
    }
  }
  t.ok(seen.every((type, i) => type === types[i + 4]))
})
