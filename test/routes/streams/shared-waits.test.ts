/** Live reads at one offset share a wait of the hub. */
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { SharedWaits } from '../../../src/routes/streams/shared-waits.js'

/** A hub whose waits the test ends. */
function fakeHub() {
  const waits: { key: string; end: () => void; fail: () => void; signal: AbortSignal }[] = []
  const wait = (topic: string, after: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      waits.push({ key: `${topic} ${after}`, end: resolve, fail: () => reject(new Error('gone')), signal })
    })
  return { waits, shared: new SharedWaits({ wait }) }
}

await t.test('readers at one offset share a wait, and all of them wake', async (t) => {
  const { waits, shared } = fakeHub()
  const woken: string[] = []
  for (const name of ['a', 'b']) shared.join('x', 1, () => void woken.push(name))
  shared.join('x', 2, () => void woken.push('other'))
  t.strictSame(
    waits.map(({ key }) => key),
    ['x 1', 'x 2'],
  )
  waits[0]!.end()
  t.strictSame(woken, [], 'never in the turn of the call')
  await turn()
  t.strictSame(woken, ['a', 'b'])
  shared.join('x', 1, () => undefined)
  t.equal(waits.length, 3, 'a later reader begins another wait')
})

await t.test('a wait that fails wakes its readers, whose next read gets the error', async (t) => {
  const { waits, shared } = fakeHub()
  let woken = 0
  shared.join('x', 1, () => (woken += 1))
  waits[0]!.fail()
  await turn()
  t.equal(woken, 1)
})

await t.test('the last reader that leaves ends the wait', async (t) => {
  const { waits, shared } = fakeHub()
  let woken = 0
  const leaves = [1, 2].map(() => shared.join('x', 1, () => (woken += 1)))
  leaves[0]!()
  t.notOk(waits[0]!.signal.aborted)
  leaves[1]!()
  t.ok(waits[0]!.signal.aborted)
  shared.join('x', 1, () => (woken += 1))
  t.equal(waits.length, 2, 'a new reader does not join a wait that has ended')
  waits[0]!.end()
  leaves[1]!()
  await turn()
  t.equal(woken, 0)
  t.notOk(waits[1]!.signal.aborted, 'leaving twice does not end the wait of others')
})
