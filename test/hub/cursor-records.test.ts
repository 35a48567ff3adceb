import t, { type Test } from 'tap'
import { CursorRecords, type Entry } from '../../src/hub/cursor-records.js'
import type { KeyValue } from '../../src/log/log.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { settle } from './fake-sink.js'

const entry = (sequence: number): Entry => ({ id: `aaaaaaaa-${sequence}`, used: 1 })

/** Records whose writes wait until the test lets them through. */
function open(t: Test) {
  const log = new MemoryLog({ events: 1, age: 1, bytes: 1, dedupWindow: 1 })
  t.teardown(() => log.close())
  const { records } = log
  const waiting: ((err?: Error) => void)[] = []
  const pass = () =>
    new Promise<void>((resolve, reject) => waiting.push((err) => (err === undefined ? resolve() : reject(err))))
  const store: KeyValue = {
    get: (key) => records.get(key),
    list: (prefix) => records.list(prefix),
    watch: (prefix, onChange) => records.watch(prefix, onChange),
    put: (key, value, options) => pass().then(() => records.put(key, value, options)),
    swap: (key, expected, value) => records.swap(key, expected, value),
    delete: (key) => pass().then(() => records.delete(key)),
  }
  return { records, cursors: new CursorRecords(store, 1e9), finish: (err?: Error) => waiting.shift()!(err) }
}

await t.test('a step sees the writes of earlier steps before they are durable', async (t) => {
  const { cursors, finish, records } = open(t)
  const done = await cursors.run('ada', async (own) => ({ put: own.write('phone', entry(7)) }))
  t.strictSame(await records.list(''), [], 'nothing is stored yet')
  await cursors.run('ada', async (own) => {
    t.strictSame(await own.get('phone'), entry(7))
    t.strictSame([...(await own.all())], [['phone', entry(7)]])
  })
  const gone = await cursors.run('ada', async (own) => ({ put: own.write('phone', undefined) }))
  await cursors.run('ada', async (own) => {
    t.equal(await own.get('phone'), undefined)
    t.equal((await own.all()).size, 0)
  })
  finish()
  await done.put
  t.equal(
    await cursors.run('ada', (own) => own.get('phone')),
    undefined,
    'an earlier write that is done hides no later one',
  )
  finish()
  await gone.put
  t.strictSame(await records.list(''), [])
})

await t.test('a write that fails is not seen any more', async (t) => {
  const { cursors, finish } = open(t)
  const { put } = await cursors.run('ada', async (own) => ({ put: own.write('phone', entry(7)) }))
  finish(new Error('the disk is full'))
  await t.rejects(put, { message: 'the disk is full' })
  t.equal(await cursors.run('ada', (own) => own.get('phone')), undefined)
  t.equal((await cursors.run('ada', (own) => own.all())).size, 0)
})

await t.test('the steps of one subject run one after the other, even after one that fails', async (t) => {
  const { cursors } = open(t)
  const order: string[] = []
  const step =
    (name: string, fails = false) =>
    async () => {
      order.push(`${name} begins`)
      await settle(3)
      order.push(`${name} ends`)
      if (fails) throw new Error(name)
    }
  const failed = cursors.run('ada', step('first', true))
  const second = cursors.run('ada', step('second'))
  const other = cursors.run('bob', step('other'))
  await t.rejects(failed, { message: 'first' })
  await Promise.all([second, other])
  t.strictSame(
    order.filter((line) => !line.startsWith('other')),
    ['first begins', 'first ends', 'second begins', 'second ends'],
  )
  t.ok(order.indexOf('other begins') < order.indexOf('second begins'), 'another subject does not wait')
})

await t.test('the records are settled once every write has succeeded or failed', async (t) => {
  const { cursors, finish } = open(t)
  const { put } = await cursors.run('ada', async (own) => ({ put: own.write('phone', entry(1)) }))
  await cursors.run('bob', async (own) => void own.write('phone', entry(2)).catch(() => undefined))
  let isSettled = false
  const settled = cursors.settled().then(() => (isSettled = true))
  finish()
  await put
  await settle()
  t.notOk(isSettled)
  finish(new Error('the disk is full'))
  await settled
})

await t.test('the keys of the records do not reveal the subject, and no subject sees those of another', async (t) => {
  const { cursors, finish, records } = open(t)
  const subjects = ['ada', 'ada/', 'a'.repeat(10_000), '']
  for (const [n, subject] of subjects.entries()) {
    const { put } = await cursors.run(subject, async (own) => ({ put: own.write('phone', entry(n)) }))
    finish()
    await put
  }
  for (const [n, subject] of subjects.entries())
    t.strictSame([...(await cursors.run(subject, (own) => own.all()))], [['phone', entry(n)]])
  for (const { key } of await records.list('')) t.match(key, /^cursor\/[\w-]{43}\/phone$/)
})
