import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Messenger } from '../../../src/hub/cluster/messenger.js'
import { SharedAllowances } from '../../../src/hub/cluster/shared-allowances.js'
import { LocalCluster } from '../../helper/local-cluster.js'

/** Starts processes whose publishers may send `rate` requests a second, on a clock that the test sets. */
function start(t: Test, count: number, rate: number) {
  const clock = { now: performance.now() }
  t.intercept(performance, 'now', { value: () => clock.now })
  const cluster = new LocalCluster()
  const nodes = Array.from({ length: count }, () => {
    const messenger = new Messenger(cluster.start())
    t.teardown(() => messenger.close())
    const allowances = new SharedAllowances(messenger, rate)
    messenger.start()
    return allowances
  })
  return { clock, nodes }
}

/** Waits until all messages have arrived: each takes a turn of the event loop. */
async function delivered(): Promise<void> {
  await turn()
  await turn()
}

/** Takes allowances until one is refused. Returns the number that were allowed. */
function takeAll(allowances: SharedAllowances, publisher: string): number {
  let count = 0
  while (allowances.take(publisher).isAllowed) count++
  return count
}

await t.test('unused allowance returns continuously, up to the rate', async (t) => {
  const { clock, nodes } = start(t, 1, 10)
  const one = nodes[0]!
  const { wait, ...first } = one.take('u1')
  t.match(first, { isAllowed: true, used: 1 })
  t.equal(Math.round(wait), 100)
  t.equal(takeAll(one, 'u1'), 9)
  t.equal(takeAll(one, 'u2'), 10, 'each publisher has its own')
  clock.now += 350
  t.equal(takeAll(one, 'u1'), 3)
  const refused = one.take('u1')
  t.notOk(refused.isAllowed)
  t.ok(Math.abs(refused.wait - 50) < 1e-3, 'the next is allowed when the rest of the fourth has returned')
  clock.now += 1e6
  t.equal(takeAll(one, 'u1'), 10)
})

await t.test('a publisher that uses several processes gets its rate once', async (t) => {
  const { clock, nodes } = start(t, 3, 100)
  let allowed = 0
  for (let step = 0; step < 100; step++) {
    clock.now += 101
    for (const node of nodes) allowed += takeAll(node, 'u1')
    await delivered()
  }
  // 10.1 s, and a burst at each process before it has heard of the others
  t.ok(allowed >= 1_000 && allowed <= 1_010 + 3 * 100 + 3 * 11, `${allowed} requests were allowed`)
})

await t.test('a publisher that uses one process gets its whole rate there', async (t) => {
  const { clock, nodes } = start(t, 3, 100)
  takeAll(nodes[0]!, 'u1')
  let allowed = 0
  for (let step = 0; step < 100; step++) {
    clock.now += 100
    allowed += takeAll(nodes[0]!, 'u1')
    await delivered()
  }
  t.ok(Math.abs(allowed - 1_000) <= 1, `${allowed} requests were allowed within ten seconds`)
})
