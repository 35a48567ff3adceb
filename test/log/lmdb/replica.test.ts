/** A replica: the contract of logs on a process that asks the leader of its folder to write. */
import t from 'tap'
import { FileLog } from '../../../src/log/lmdb/lmdb-log.js'
import { event } from '../../../src/log/contract/events.js'
import type { EventLog, Retention } from '../../../src/log/log.js'
import { testLog } from '../../contract/log.js'

t.setTimeout(300_000)

const root = t.testdir({})
let count = 0

async function open(retention: Retention, now: () => number, elapsed = now): Promise<EventLog> {
  const options = {
    folder: `${root}/${++count}`,
    durability: 'commit',
    retention,
    shared: true,
    sameProcess: true,
    now,
    elapsed,
  } as const
  const leader = await FileLog.open(options)
  const replica = await FileLog.open(options)
  const close = replica.close.bind(replica)
  replica.close = async () => {
    await close()
    await leader.close()
  }
  return replica
}

await testLog(t, 'a replica', { open })

await t.test('a replica catches up with its leader, and knows every event that was acknowledged before', async (t) => {
  const folder = t.testdir({})
  const open = async () => {
    const retention = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 }
    const log = await FileLog.open({ folder, durability: 'commit', retention, shared: true, sameProcess: true })
    t.teardown(() => log.close())
    return log
  }
  const leader = await open()
  const replica = await open()
  for (let n = 1; n <= 100; n++) {
    await leader.append([event('a')])
    await replica.catchUp()
    t.equal(replica.view.head, leader.view.head)
  }
})
