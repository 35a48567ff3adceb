/** A replica: the contract of logs on a process that asks the leader of its folder to write. */
import t from 'tap'
import { FileLog } from '../../../src/log/lmdb/lmdb-log.js'
import type { ToLeader, ToReplica } from '../../../src/log/lmdb/messages.js'
import { Replica } from '../../../src/log/lmdb/replica.js'
import { event } from '../../../src/log/contract/events.js'
import type { EventLog, LogDelta, Retention } from '../../../src/log/log.js'
import { testLog } from '../../contract/log.js'
import { poll } from '../../helper/deadline.js'
import { startLeaderThread } from '../../helper/leader-thread.js'

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

await t.test('reads that wait for a transaction of a silent leader run after a reload', async (t) => {
  const totals = { commits: 1 }
  let visible = 1
  let receive: (message: ToReplica) => void = () => undefined
  const socket = {
    receive: (listener: typeof receive) => void (receive = listener),
    send: (message: ToLeader) => {
      if (message.kind === 'join') receive({ kind: 'joined', node: 'leader', commits: visible })
    },
  }
  const caughtUp: number[] = []
  const listener = {
    node: 'replica',
    reload: () => (totals.commits = visible),
    catchUp: async () => caughtUp.push(totals.commits) > 0,
  }
  const replica = await Replica.join(socket as never, { totals } as never, listener as never)
  const read = () => totals.commits
  const next = replica.whenApplied(2, read)
  visible = 2 // the leader is frozen before it reports the transaction
  replica.reloadForReads()
  t.strictSame(await next, { result: 2 })
  const outdated = replica.whenApplied(3, read)
  visible = 4
  replica.reloadForReads()
  t.equal(await outdated, undefined, 'a snapshot that the state has passed is not read')
  replica.reloadForReads()
  t.strictSame(caughtUp, [1, 2, 4], 'without a waiting read there is no reload')
})

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

/** Returns the missing sequences that no trim has reported before a later event. */
function silentlyMissing(deltas: readonly LogDelta[]): number[] {
  const missing: number[] = []
  let head = 0
  let trimmed = 0
  for (const { events, trims } of deltas) {
    for (const { sequence } of events) {
      for (let lost = head + 1; lost < sequence; lost++) if (lost > trimmed) missing.push(lost)
      head = sequence
    }
    for (const { until } of trims) trimmed = Math.max(trimmed, until)
  }
  return missing
}

for (const [name, pause] of [
  ['while a replica catches up', 0],
  ['while a replica catches up so slowly that it reads another snapshot', 1_100],
] as const) {
  await t.test(`events that are trimmed ${name} are delivered or reported as trimmed`, async (t) => {
    const folder = t.testdir({})
    const leader = await startLeaderThread(t, folder)
    const retention = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 }
    const replica = await FileLog.open({ folder, durability: 'commit', retention, shared: true, sameProcess: true })
    t.teardown(() => replica.close())
    const deltas: LogDelta[] = []
    await replica.follow((delta) => {
      deltas.push(delta)
      if (delta.events[0]?.sequence !== 1) return
      leader.run({ kind: 'purge', topic: 'a' }) // the replica has delivered a part of the events
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause)
    })
    leader.run({ kind: 'return with events', topic: 'a', count: 1_700 })
    await poll(
      async () => (deltas.some(({ trims }) => trims.some(({ until }) => until === 1_700)) ? true : undefined),
      () => `the replica does not learn of the purge: head ${replica.view.head}`,
    )
    await replica.append([event('a')])
    t.equal(deltas.at(-1)?.events.at(-1)?.sequence, 1_701)
    t.strictSame(silentlyMissing(deltas), [])
    const delivered = deltas.flatMap(({ events }) => events).length
    t.equal(delivered, pause === 0 ? 1_701 : 501, 'the events of the snapshot are delivered')
    leader.run({ kind: 'close' })
  })
}

await t.test(
  'a write waits once for a frozen leader: while the leader is known to be silent, it is not sent',
  async (t) => {
    const folder = t.testdir({})
    const leader = await startLeaderThread(t, folder)
    const replica = await FileLog.open({
      folder,
      durability: 'commit',
      retention: { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 },
      shared: true,
      sameProcess: true,
      leaderTimeout: 2_000,
    })
    t.teardown(() => replica.close())
    await replica.append([event('a')])
    leader.freeze()
    await t.rejects(replica.append([event('a')]), { code: 'log-unavailable', message: /may have been stored/ })
    await poll(
      async () => replica.view.failure,
      () => 'the frozen leader is no failure',
    )
    await t.rejects(replica.append([event('a')]), { code: 'log-unavailable', message: /Nothing was stored/ })
    await t.rejects(replica.records.put('key', 1), { code: 'log-unavailable', message: /Nothing was stored/ })
    leader.wake()
    await poll(
      async () => (replica.view.failure ? undefined : true),
      () => 'the leader does not wake',
    )
    await replica.append([event('a')])
    t.equal(replica.view.head, 3, 'the leader has got the write from before its silence, and none of the others')
    leader.run({ kind: 'close' })
  },
)
