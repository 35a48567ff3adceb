/** A replica: the contract of logs on a process that asks the leader of its folder to write. */
import t from 'tap'
import { FileLog } from '../../../src/log/lmdb/lmdb-log.js'
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
