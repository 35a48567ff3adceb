/** The leader's side of its connections to replicas, with replicas that speak the messages themselves. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { event } from '../../../src/log/contract/events.js'
import { FileLog } from '../../../src/log/lmdb/lmdb-log.js'
import { systemTime } from '../../../src/log/lmdb/replica-writes.js'
import { joinLeader } from '../../helper/bare-replica.js'
import { poll } from '../../helper/deadline.js'

const RETENTION = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 }
/** Appends that keep the leader busy: each is as large as a transaction takes. */
const GROUPS = 40
const GROUP = 1_000

async function openLeader(t: Test): Promise<{ log: FileLog; folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-lock-')) // the path of a socket may have 107 bytes
  t.teardown(() => rmSync(folder, { recursive: true }))
  const log = await FileLog.open({ folder, durability: 'sync', retention: RETENTION, shared: true })
  t.teardown(() => log.close())
  return { log, folder }
}

await t.test('a write that a replica sends again while the leader still performs it is stored once', async (t) => {
  const { log, folder } = await openLeader(t)
  const first = await joinLeader(t, folder)
  const earlier = Array.from({ length: GROUPS }, () => log.append(Array.from({ length: GROUP }, () => event('b'))))
  const since = systemTime()
  first.write(1, { append: [event('a')] })
  first.write(2, { catchUp: true })
  t.match(await first.answer(2), { kind: 'written' }, 'the leader has received the append')
  first.destroy()
  const second = await joinLeader(t, folder)
  second.write(1, { append: [event('a')] }, since)
  t.ok(log.view.head < GROUPS * GROUP, 'the first append still waits')
  t.match(await second.answer(1), { kind: 'written', result: [GROUPS * GROUP + 1] })
  await Promise.all(earlier)
  await log.append([event('a')])
  t.equal(log.view.head, GROUPS * GROUP + 2, 'the append was stored once')
})

await t.test(
  'the newest connection of a node replaces an earlier one, whose later writes are not performed',
  async (t) => {
    const { log, folder } = await openLeader(t)
    const first = await joinLeader(t, folder)
    const second = await joinLeader(t, folder)
    first.write(1, { append: [event('a')] })
    await poll(
      async () => (first.isClosed ? true : undefined),
      () => 'the earlier connection stays open',
    )
    second.write(1, { append: [event('a')] }, systemTime())
    t.match(await second.answer(1), { kind: 'written', result: [1] })
    t.equal(log.view.head, 1)
  },
)
