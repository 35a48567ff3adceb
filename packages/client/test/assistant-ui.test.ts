/** The store of resumable streams: one producer, each chunk once, and an end for every reader. */
import t from 'tap'
import {
  createResumableStreamStore,
  type ResumableStreamLease,
  type ResumableStreamStore,
} from 'fanfare-client/assistant-ui'
import { poll } from '../../../test/helper/deadline.js'
import { send } from '../../../test/helper/http.js'
import { startHub } from '../../../test/helper/process.js'
import { anyGrants } from './hubs.js'

const hub = await startHub(t)
const token = anyGrants()
const encoder = new TextEncoder()

function storeOf(options: { fetch?: typeof fetch; lease?: number; ttl?: number } = {}): ResumableStreamStore {
  return createResumableStreamStore({ url: hub.url, token, ...options })
}

async function produce(store: ResumableStreamStore, id: string): Promise<ResumableStreamLease> {
  const acquired = await store.acquireLease(id)
  if (acquired.role !== 'producer') throw new Error(`${id} has a producer`)
  return acquired.lease
}

/** Reads a stream to its end. */
async function read(store: ResumableStreamStore, id: string, cursor = '', signal = new AbortController().signal) {
  const entries: { cursor: string; chunk: Uint8Array }[] = []
  for await (const entry of store.read(id, cursor, signal)) entries.push(entry)
  return entries
}

function textOf(entries: readonly { chunk: Uint8Array }[]): string {
  return entries.map(({ chunk }) => new TextDecoder().decode(chunk)).join('|')
}

await t.test('of many callers, also with other options, one is the producer', async (t) => {
  const stores = Array.from({ length: 6 }, (_, i) => storeOf({ ttl: 60_000 + i * 10_000 }))
  const roles = await Promise.all(stores.map((store) => store.acquire('election')))
  t.equal(roles.filter((role) => role === 'producer').length, 1)
  await storeOf().finalize('election', 'done')
  t.equal(await storeOf().acquire('election'), 'consumer', 'also after the end')
})

await t.test('a reader continues after each cursor, and gets the same bytes', async (t) => {
  const store = storeOf()
  const lease = await produce(store, 'bytes')
  const chunks = [
    encoder.encode('\uFEFFa\r\n\0'),
    Uint8Array.of(0xe2, 0x82),
    Uint8Array.of(0xac),
    new Uint8Array(70_000),
  ]
  for (const chunk of chunks) await store.append('bytes', chunk, lease)
  t.equal(await store.finalize('bytes', 'done', undefined, lease), true)
  t.equal(await store.finalize('bytes', 'done', undefined, lease), false)
  const all = await read(store, 'bytes')
  t.strictSame(Buffer.concat(all.map(({ chunk }) => chunk)), Buffer.concat(chunks))
  for (const [i, { cursor }] of all.entries())
    t.strictSame((await read(store, 'bytes', cursor)).length, all.length - i - 1)
  await t.rejects(read(store, 'bytes', '?live=sse'), { name: 'TypeError' })
})

await t.test('a reader misses and repeats nothing over connections that are cut', async (t) => {
  let cuts = 0
  const cutting: typeof fetch = async (input, init) => {
    const { body, ...rest } = await fetch(input, init).then((response) => ({
      body: response.body,
      status: response.status,
      headers: response.headers,
    }))
    let blocks = 0
    const cut = new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        if (++blocks < 3) return controller.enqueue(piece)
        cuts++
        controller.enqueue(piece.subarray(0, piece.length >> 1))
        controller.error(new TypeError('cut'))
      },
    })
    return new Response(body?.pipeThrough(cut), rest)
  }
  const store = storeOf()
  const lease = await produce(store, 'cut')
  const reading = read(storeOf({ fetch: cutting }), 'cut')
  const words = Array.from({ length: 12 }, (_, i) => `w${i}`)
  for (const word of words) await store.append('cut', encoder.encode(word), lease)
  await store.finalize('cut', 'done', undefined, lease)
  t.equal(textOf(await reading), words.join('|'))
  t.ok(cuts > 0)
})

await t.test('answers that are lost neither repeat a chunk nor lose one', async (t) => {
  let lost = 0
  const lossy: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    if (init?.method !== 'POST' && init?.method !== 'PUT') return response
    if (++lost % 3 > 0) return response
    throw new TypeError('the answer is lost')
  }
  const store = storeOf({ fetch: lossy })
  const lease = await produce(store, 'lost')
  const words = ['a', 'b', 'c', 'd', 'e', 'f']
  await Promise.all(words.map((word) => store.append('lost', encoder.encode(word), lease)))
  t.equal(await store.finalize('lost', 'error', 'enough', lease), true)
  const seen: string[] = []
  await t.rejects(
    async () => {
      for await (const { chunk } of store.read('lost', '', new AbortController().signal))
        seen.push(new TextDecoder().decode(chunk))
    },
    { message: 'enough' },
  )
  t.strictSame(seen, words)
  t.equal(await store.status('lost'), 'error')
})

await t.test('a producer whose stream was created again changes nothing', async (t) => {
  const store = storeOf()
  const old = await produce(store, 'again')
  await store.delete('again')
  await t.rejects(store.finalize('again', 'done', undefined, old), { code: 'missing' })
  const lease = await produce(storeOf(), 'again')
  await t.rejects(store.append('again', encoder.encode('old'), old), { name: 'ResumableStreamError', code: 'missing' })
  t.equal(await store.finalize('again', 'done', undefined, old), false)
  t.equal(await store.status('again'), 'streaming')
  t.ok(lease)
})

await t.test('a producer that vanishes ends its stream with an error', async (t) => {
  let isOff = false
  const store = storeOf({
    lease: 1_000,
    fetch: (input, init) => (isOff ? Promise.reject(new TypeError('off')) : fetch(input, init)),
  })
  const lease = await produce(store, 'vanished')
  await store.append('vanished', encoder.encode('half'), lease)
  const reading = read(storeOf(), 'vanished')
  const failed = t.rejects(reading, { message: 'The stream has failed.' })
  isOff = true
  await failed
  t.equal(await storeOf().status('vanished'), 'error')
})

await t.test('a stop ends the readers, and the next append of the producer', async (t) => {
  const store = storeOf()
  const lease = await produce(store, 'stop')
  await store.append('stop', encoder.encode('half'), lease)
  const reading = read(store, 'stop')
  await storeOf().cancel('stop')
  t.equal(textOf(await reading), 'half')
  await t.rejects(store.append('stop', encoder.encode('more'), lease), { code: 'finalized', message: /cancelled/ })
  t.equal(await store.finalize('stop', 'error', 'stopped', lease), false)
  t.equal(await store.status('stop'), 'done')
  await store.cancel('unknown')
})

await t.test('a signal and a deletion end a reader without an error', async (t) => {
  const store = storeOf()
  const lease = await produce(store, 'left')
  await store.append('left', encoder.encode('a'), lease)
  const leaving = new AbortController()
  const readers = [read(store, 'left', '', leaving.signal), read(store, 'left')]
  await poll(
    async () => {
      const { body } = await send<{ clients: number }>(hub, 'GET', '/status')
      return body.clients >= 2 || undefined
    },
    () => 'the readers are not connected',
  )
  leaving.abort()
  t.equal(textOf(await readers[0]!), 'a')
  await store.delete('left')
  t.equal(textOf(await readers[1]!), 'a')
  await t.rejects(read(store, 'left'), { code: 'missing' })
})

await t.test('names that no URL can have are refused', async (t) => {
  for (const id of ['', '.', '..', 'cancel']) await t.rejects(storeOf().acquire(id), { name: 'TypeError' }, id)
  for (const id of ['a.b', 'a/b', 'é ~41', 'x:y@z']) {
    t.equal(await storeOf().acquire(id), 'producer', id)
    t.equal(await storeOf().status(id), 'streaming')
  }
})
