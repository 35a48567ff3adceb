import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { NamedCursors } from '../../src/hub/named-cursors.js'
import type { Stream } from '../../src/hub/stream.js'
import type { KeyValue } from '../../src/log/log.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { settle, until } from './fake-sink.js'

const EPOCH = 'aaaaaaaa'
const phone = { subject: 'ada', name: 'phone' }
const id = (sequence: number) => `${EPOCH}-${sequence}`

/** Records whose writes a test can hold back or make fail. */
function slowRecords(t: Test) {
  const log = new MemoryLog({ events: 1, age: 1, bytes: 1, dedupWindow: 1 })
  t.teardown(() => log.close())
  const { records } = log
  const state = { writes: 0, gate: Promise.resolve(), fails: false }
  const write = async (change: () => Promise<void>): Promise<void> => {
    state.writes++
    const { gate, fails } = state
    await gate
    if (fails) throw new Error('the disk is full')
    await change()
  }
  /** Reads are late, and return the values from when they began. */
  const late = async <T>(read: Promise<T>): Promise<T> => {
    const answer = await read
    await setImmediate()
    return answer
  }
  const store: KeyValue = {
    get: (key) => late(records.get(key)),
    list: (prefix) => late(records.list(prefix)),
    watch: (prefix, onChange) => records.watch(prefix, onChange),
    put: (key, value, options) => write(() => records.put(key, value, options)),
    swap: (key, expected, value) => records.swap(key, expected, value),
    delete: (key) => write(() => records.delete(key)),
  }
  return { state, store, records }
}

function open(t: Test, { limit = 100, ttl = 1e9 } = {}) {
  const slow = slowRecords(t)
  const errors: unknown[] = []
  const make = () =>
    new NamedCursors(slow.store, { epoch: () => EPOCH, limit, ttl, onError: (err) => void errors.push(err) })
  return { ...slow, cursors: make(), again: make, errors }
}

await t.test('a named cursor moves by acknowledgements, and never backwards', async (t) => {
  const { cursors, again } = open(t)
  t.equal(await cursors.get(phone), undefined)
  t.match(await cursors.acknowledge(phone, 7), { name: 'phone', id: id(7) })
  t.match(await cursors.acknowledge(phone, 5), { id: id(7) }, 'an older id returns the current cursor')
  t.match(await cursors.acknowledge(phone, 9), { id: id(9) })
  t.match(await again().get(phone), { id: id(9) }, 'the cursor is stored')
  t.ok(await cursors.delete(phone))
  t.notOk(await cursors.delete(phone))
  t.match(await cursors.acknowledge(phone, 1), { id: id(1) }, 'a deleted cursor starts again')
})

await t.test('concurrent acknowledgements end at the newest, and each is durable when it resolves', async (t) => {
  const { cursors, state, again } = open(t)
  let release!: () => void
  state.gate = new Promise((resolve) => (release = resolve))
  const answers = [3, 9, 4, 9, 1].map((sequence) => cursors.acknowledge(phone, sequence))
  const done: number[] = []
  answers.forEach((answer, index) => void answer.then(() => done.push(index)))
  await until(() => state.writes >= 2)
  await settle()
  t.strictSame(done, [], 'no acknowledgement resolves before it is stored')
  t.equal(state.writes, 2, 'an acknowledgement that moves nothing is not stored')
  release()
  t.strictSame(
    (await Promise.all(answers)).map((cursor) => cursor.id),
    [id(3), id(9), id(9), id(9), id(9)],
  )
  t.match(await again().get(phone), { id: id(9) })
})

await t.test('a failed write is reported, and does not move the cursor', async (t) => {
  const { cursors, state } = open(t)
  await cursors.acknowledge(phone, 3)
  state.fails = true
  await t.rejects(cursors.acknowledge(phone, 5), /the disk is full/)
  t.match(await cursors.get(phone), { id: id(3) })
  await t.rejects(
    cursors.use({ subject: 'ada', name: 'new' }, 5, false),
    /the disk is full/,
    'a new cursor must be stored first',
  )
  await t.resolves(cursors.use(phone, 5, true), 'a stream with a known cursor does not wait for the store')
})

await t.test('a named cursor of another log is replaced', async (t) => {
  const { cursors, store } = open(t)
  await cursors.acknowledge(phone, 900)
  const other = new NamedCursors(store, { epoch: () => 'bbbbbbbb', limit: 100, ttl: 1e9, onError: () => undefined })
  t.match(await other.get(phone), { id: id(900) })
  t.match(await other.acknowledge(phone, 2), { id: 'bbbbbbbb-2' })
})

await t.test('concurrent requests do not exceed the maximum number of named cursors of a subject', async (t) => {
  const { cursors } = open(t, { limit: 3 })
  const all = await Promise.allSettled(
    Array.from({ length: 10 }, (_, n) => cursors.acknowledge({ subject: 'ada', name: `c${n}` }, n)),
  )
  t.equal(all.filter(({ status }) => status === 'fulfilled').length, 3)
  t.match(
    all.find(({ status }) => status === 'rejected'),
    { reason: { code: 'too-many-cursors' } },
  )
  t.match(
    await cursors.acknowledge({ subject: 'ada', name: 'c1' }, 50),
    { id: id(50) },
    'existing cursors can be moved',
  )
  t.match(
    await cursors.acknowledge({ subject: 'grace', name: 'c9' }, 50),
    { id: id(50) },
    'another subject has its own limit',
  )
  const deleting = cursors.delete({ subject: 'ada', name: 'c0' })
  t.match(await cursors.acknowledge({ subject: 'ada', name: 'c9' }, 9), { id: id(9) })
  await deleting
  t.strictSame(
    (await cursors.list('ada')).map(({ name }) => name),
    ['c1', 'c2', 'c9'],
  )
  t.strictSame(await cursors.list('nobody'), [])
})

await t.test('an unused named cursor expires, and one of an open stream does not', async (t) => {
  const ttl = 400
  const { cursors, records, again, errors } = open(t, { ttl })
  const other = { subject: 's1', name: 'x' }
  await Promise.all(Array.from({ length: 300 }, (_, n) => cursors.acknowledge({ subject: `s${n}`, name: 'x' }, 1)))
  const stream = Object.create(null) as Stream
  await cursors.use(phone, 4, false)
  cursors.opened(phone, stream)
  t.match(await cursors.list('s1'), [{ name: 'x', id: id(1) }])
  // the ttl passes while the stream is open
  for (const end = performance.now() + ttl + 50; performance.now() < end;) {
    cursors.tick()
    await delay(10)
  }
  t.equal(await cursors.get(other), undefined)
  t.strictSame(await cursors.list('s1'), [])
  t.match(await cursors.get(phone), { id: id(4) })
  while ((await records.list('cursor/')).length > 1) {
    cursors.tick()
    await delay(1)
  }
  cursors.closed(stream)
  await cursors.close()
  t.match(await again().get(phone), { id: id(4) }, 'the lifetime starts at the end of the stream')
  t.strictSame(errors, [])
})

await t.test('a use that cannot be recorded is reported once, and tried again later', async (t) => {
  const ttl = 400
  const { cursors, state, errors } = open(t, { ttl })
  await cursors.use(phone, 4, false)
  cursors.opened(phone, Object.create(null) as Stream)
  state.fails = true
  const tick = async () => {
    cursors.tick()
    await delay(5)
  }
  while (errors.length === 0) await tick()
  for (let n = 0; n < 3; n++) await tick()
  t.equal(errors.length, 1)
  state.fails = false
  const { expiresAt } = (await cursors.get(phone))!
  while ((await cursors.get(phone))!.expiresAt <= expiresAt) await tick()
})

await t.test('a shorter ttl applies at once', async (t) => {
  const { cursors, store } = open(t, { ttl: 1e9 })
  await cursors.acknowledge(phone, 1)
  const stricter = new NamedCursors(store, { epoch: () => EPOCH, limit: 100, ttl: 20, onError: () => undefined })
  await delay(25) // longer than the ttl
  t.equal(await stricter.get(phone), undefined)
  t.match(await cursors.get(phone), { id: id(1) })
})

await t.test('a use in the future is corrected by the next use', async (t) => {
  const { cursors, records } = open(t, { ttl: 1_000 })
  await cursors.acknowledge(phone, 1)
  const { key } = (await records.list('cursor/'))[0]!
  await records.put(key, { id: id(1), used: Date.now() + 1e12 })
  await cursors.use(phone, 1, false)
  await cursors.close()
  t.ok(((await records.get(key)) as { used: number }).used <= Date.now())
})

await t.test('the stored cursors of an earlier version can be read', async (t) => {
  const { cursors, records } = open(t)
  await cursors.acknowledge(phone, 1)
  const { key } = (await records.list('cursor/'))[0]!
  t.notMatch(key, /ada/, 'the key does not contain the subject')
  await records.put(key, id(8))
  t.match(await cursors.get(phone), { id: id(8) })
  await cursors.use(phone, 8, false)
  await cursors.close()
  t.match(await records.get(key), { id: id(8) })
})
