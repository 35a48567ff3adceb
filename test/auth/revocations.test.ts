import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Revocations } from '../../src/auth/revocations.js'
import type { Principal } from '../../src/model/principal.js'
import type { KeyValue } from '../../src/log/log.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { anybody } from '../hub/anybody.js'

/** Records whose writes a test can make fail. */
function records(t: Test) {
  const log = new MemoryLog({ events: 1, age: 1, bytes: 1, dedupWindow: 1 })
  t.teardown(() => log.close())
  const { records } = log
  const state = { fails: false }
  const write = async (change: () => Promise<void>): Promise<void> => {
    await setImmediate()
    if (state.fails) throw new Error('the disk is full')
    await change()
  }
  const store: KeyValue = {
    get: (key) => records.get(key),
    list: (prefix) => records.list(prefix),
    watch: (prefix, onChange) => records.watch(prefix, onChange),
    put: (key, value, options) => write(() => records.put(key, value, options)),
    swap: (key, expected, value) => records.swap(key, expected, value),
    delete: (key) => write(() => records.delete(key)),
  }
  return { state, store, kept: async () => (await records.list('')).map(({ value }) => value) }
}

function open(store: KeyValue, onForce: (revocations: Revocations) => unknown = () => undefined) {
  return Revocations.open(store, onForce)
}

const principalWith = (members: Partial<Principal>): Principal => ({ ...anybody, ...members })
const soon = () => Date.now() + 60_000

await t.test('revokes the tokens of a subject, or one token', async (t) => {
  const revocations = await open(records(t).store)
  await revocations.add({ subject: 'u1' }, soon())
  await revocations.add({ jti: 'j1' }, soon())
  for (const principal of [
    principalWith({ subject: 'u1' }),
    principalWith({ subject: 'u1', tokenId: 'x' }),
    principalWith({ subject: 'u2', tokenId: 'j1' }),
    principalWith({ tokenId: 'j1' }),
  ]) {
    t.ok(revocations.includes(principal))
    t.throws(() => revocations.refuse(principal), { code: 'revoked-token', status: 401 })
  }
  for (const principal of [
    principalWith({}),
    principalWith({ subject: 'j1' }),
    principalWith({ tokenId: 'u1' }),
    principalWith({ subject: 'u10' }),
    principalWith({ subject: 'subject/u1' }),
  ])
    t.notOk(revocations.includes(principal))
})

await t.test('a revocation is in force before it is durable, and dropped if it cannot be stored', async (t) => {
  const { state, store, kept } = records(t)
  const inForce: boolean[] = []
  const revocations = await open(store, (known) => inForce.push(known.includes(principalWith({ subject: 'u1' }))))
  const adding = revocations.add({ subject: 'u1' }, soon())
  t.strictSame(inForce, [true])
  t.strictSame(await kept(), [])
  await adding
  t.equal((await kept()).length, 1)
  t.equal(inForce.length, 1, 'once')
  state.fails = true
  await t.rejects(revocations.add({ subject: 'u2' }, soon()), { message: 'the disk is full' })
  t.notOk(revocations.includes(principalWith({ subject: 'u2' })))
  t.equal(revocations.list().length, 1)
  await t.rejects(revocations.delete(revocations.list()[0]!.id))
  t.ok(
    revocations.includes(principalWith({ subject: 'u1' })),
    'a revocation stays in force if the end cannot be stored',
  )
})

await t.test('a revocation that another process creates or lifts takes effect in this process', async (t) => {
  const { store } = records(t)
  const inForce: boolean[] = []
  const here = await open(store, (known) => inForce.push(known.includes(principalWith({ subject: 'u1' }))))
  const there = await open(store)
  const { id } = await there.add({ subject: 'u1' }, soon())
  t.ok(here.includes(principalWith({ subject: 'u1' })))
  t.strictSame(inForce, [true], 'the callback is called, so that streams can be ended')
  t.equal(await there.delete(id), true)
  t.notOk(here.includes(principalWith({ subject: 'u1' })))
  t.strictSame(here.list(), [])
})

await t.test('a subject is revoked until its last revocation is lifted', async (t) => {
  const revocations = await open(records(t).store)
  const [one, two] = [
    await revocations.add({ subject: 'u1' }, soon()),
    await revocations.add({ subject: 'u1' }, soon() - 1),
  ]
  t.not(one.id, two.id)
  t.equal(await revocations.delete(one.id), true)
  t.ok(revocations.includes(principalWith({ subject: 'u1' })))
  t.equal(await revocations.delete(two.id), true)
  t.notOk(revocations.includes(principalWith({ subject: 'u1' })))
  t.equal(await revocations.delete(two.id), false)
})

await t.test('a revocation ends by itself, and its record is deleted', async (t) => {
  const { store, kept } = records(t)
  const revocations = await open(store)
  const { id } = await revocations.add({ subject: 'u1' }, Date.now() + 30)
  const other = await revocations.add({ jti: 'j1' }, soon())
  await delay(40) // the time at which the revocation ends has passed
  t.notOk(revocations.includes(principalWith({ subject: 'u1' })))
  t.equal(await revocations.delete(id), false)
  t.strictSame(revocations.list(), [other])
  t.strictSame(await kept(), [other])
})

await t.test('a revocation survives a restart', async (t) => {
  const { store } = records(t)
  await store.put('ticket-key', 'x')
  const revocation = await (await open(store)).add({ subject: 'u1' }, soon())
  const again = await open(store)
  t.ok(again.includes(principalWith({ subject: 'u1' })))
  t.strictSame(again.list(), [revocation])
})
