import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { Revocations } from '../../src/auth/revocations.js'
import type { Principal } from '../../src/model/principal.js'
import type { Records } from '../../src/log/log.js'
import { anybody } from '../hub/anybody.js'

function records() {
  const kept = new Map<string, unknown>()
  const state = { kept, fails: false, store: undefined as unknown as Records }
  state.store = {
    get: (key) => kept.get(key),
    list: (prefix) => [...kept].filter(([key]) => key.startsWith(prefix)).map(([key, value]) => ({ key, value })),
    walk: (prefix) =>
      [...kept]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, value]) => ({ key, value }))
        .values(),
    put: async (key, value) => {
      if (state.fails) throw new Error('the disk is full')
      kept.set(key, value)
    },
    delete: async (key) => {
      if (state.fails) throw new Error('the disk is full')
      kept.delete(key)
    },
  }
  return state
}

const who = (members: Partial<Principal>): Principal => ({ ...anybody, ...members })
const soon = () => Date.now() + 60_000

await t.test('revokes the tokens of a subject, or one token', async (t) => {
  const revocations = new Revocations(records().store)
  await revocations.add({ subject: 'u1' }, soon(), () => undefined)
  await revocations.add({ jti: 'j1' }, soon(), () => undefined)
  for (const principal of [
    who({ subject: 'u1' }),
    who({ subject: 'u1', tokenId: 'x' }),
    who({ subject: 'u2', tokenId: 'j1' }),
    who({ tokenId: 'j1' }),
  ]) {
    t.ok(revocations.includes(principal))
    t.throws(() => revocations.refuse(principal), { code: 'revoked-token', status: 401 })
  }
  for (const principal of [
    who({}),
    who({ subject: 'j1' }),
    who({ tokenId: 'u1' }),
    who({ subject: 'u10' }),
    who({ subject: 'subject/u1' }),
  ])
    t.notOk(revocations.includes(principal))
})

await t.test('a revocation is in force before it is durable, and dropped if it cannot be stored', async (t) => {
  const state = records()
  const revocations = new Revocations(state.store)
  let inForce: boolean | undefined
  const adding = revocations.add({ subject: 'u1' }, soon(), () => {
    inForce = revocations.includes(who({ subject: 'u1' })) && state.kept.size === 0
  })
  t.equal(inForce, true)
  await adding
  t.equal(state.kept.size, 1)
  state.fails = true
  await t.rejects(
    revocations.add({ subject: 'u2' }, soon(), () => undefined),
    { message: 'the disk is full' },
  )
  t.notOk(revocations.includes(who({ subject: 'u2' })))
  t.equal(revocations.list().length, 1)
  await t.rejects(revocations.delete(revocations.list()[0]!.id))
  t.ok(revocations.includes(who({ subject: 'u1' })), 'one that cannot be lifted durably is not lifted')
})

await t.test('several revocations of a subject: the last one counts', async (t) => {
  const revocations = new Revocations(records().store)
  const [one, two] = [
    await revocations.add({ subject: 'u1' }, soon(), () => undefined),
    await revocations.add({ subject: 'u1' }, soon() - 1, () => undefined),
  ]
  t.not(one.id, two.id)
  t.equal(await revocations.delete(one.id), true)
  t.ok(revocations.includes(who({ subject: 'u1' })))
  t.equal(await revocations.delete(two.id), true)
  t.notOk(revocations.includes(who({ subject: 'u1' })))
  t.equal(await revocations.delete(two.id), false)
})

await t.test('a revocation ends by itself, and its record is deleted', async (t) => {
  const state = records()
  const revocations = new Revocations(state.store)
  const { id } = await revocations.add({ subject: 'u1' }, Date.now() + 30, () => undefined)
  const other = await revocations.add({ jti: 'j1' }, soon(), () => undefined)
  await delay(40)
  t.notOk(revocations.includes(who({ subject: 'u1' })))
  t.equal(await revocations.delete(id), false)
  t.strictSame(revocations.list(), [other])
  t.strictSame([...state.kept.values()], [other])
})

await t.test('a revocation survives a restart', async (t) => {
  const { store, kept } = records()
  kept.set('ticket-key', 'x')
  const revocation = await new Revocations(store).add({ subject: 'u1' }, soon(), () => undefined)
  const again = new Revocations(store)
  t.ok(again.includes(who({ subject: 'u1' })))
  t.strictSame(again.list(), [revocation])
})
