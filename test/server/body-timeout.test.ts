import t from 'tap'
import { Waiting } from '../../src/server/body-timeout.js'

const never = new Promise<never>(() => undefined)

await t.test('an interruption ends the current wait and all later ones', async (t) => {
  const waiting = new Waiting(60_000, 'A line', () => undefined)
  t.equal(await waiting.for(Promise.resolve(1)), 1)
  const current = waiting.for(never)
  const fault = new Error('cancelled')
  setTimeout(() => waiting.interrupt(fault))
  await t.rejects(current, fault)
  await t.rejects(waiting.for(never), fault)
  await t.rejects(waiting.for(Promise.resolve(2)), fault)
})

await t.test('a wait ends after the time limit, or when the check fails', async (t) => {
  const alive = setInterval(() => undefined, 1_000)
  t.teardown(() => clearInterval(alive))
  await t.rejects(new Waiting(50, 'A line', () => undefined).for(never), { code: 'request-timeout' })
  const fault = new Error('expired')
  const check = () => {
    throw fault
  }
  await t.rejects(new Waiting(60_000, 'A line', check).for(never), fault)
})
