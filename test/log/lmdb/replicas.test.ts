/** The leader's side of its connections to replicas, with replicas that speak the messages themselves. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { event } from '../../../src/log/contract/events.js'
import { FileLog } from '../../../src/log/lmdb/lmdb-log.js'
import { MessageSocket } from '../../../src/log/lmdb/message-socket.js'
import { VERSION, type ToLeader, type ToReplica, type WriteRequest } from '../../../src/log/lmdb/messages.js'
import { systemTime } from '../../../src/log/lmdb/replicas.js'
import { poll } from '../../helper/deadline.js'

const RETENTION = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 }
/** The node of the connections in these tests. */
const NODE = 'a'
/** Appends that keep the leader busy: each is as large as a transaction takes. */
const GROUPS = 40
const GROUP = 1_000

/** A connection of a replica that has joined. */
interface Connection {
  write(number: number, request: WriteRequest, since?: number): void
  /** Returns the answer to a write. */
  answer(number: number): Promise<ToReplica>
  /** Ends the connection at the replica's side. */
  destroy(): void
  readonly isClosed: boolean
}

async function openLeader(t: Test): Promise<{ log: FileLog; folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-lock-')) // the path of a socket may have 107 bytes
  t.teardown(() => rmSync(folder, { recursive: true }))
  const log = await FileLog.open({ folder, durability: 'sync', retention: RETENTION, shared: true })
  t.teardown(() => log.close())
  return { log, folder }
}

async function joinLeader(t: Test, folder: string): Promise<Connection> {
  const name = readdirSync(folder).find((file) => file.endsWith('.sock'))!
  const socket = new MessageSocket<ToLeader, ToReplica>(connect(join(folder, name)).pause())
  t.teardown(() => socket.destroy())
  const received: ToReplica[] = []
  socket.receive(
    (message) => received.push(message),
    () => undefined,
  )
  const find = (accepts: (message: ToReplica) => boolean) =>
    poll(
      async () => received.find(accepts),
      () => `the leader does not answer: ${received.map(({ kind }) => kind).join(', ')}`,
    )
  socket.send({ kind: 'join', node: NODE, pid: process.pid, version: VERSION })
  await find(({ kind }) => kind === 'joined')
  return {
    write: (number, request, since) =>
      socket.send({ kind: 'write', number, done: number - 1, request, ...(since !== undefined && { since }) }),
    answer: (number) =>
      find((message) => (message.kind === 'written' || message.kind === 'refused') && message.number === number),
    destroy: () => socket.destroy(),
    get isClosed() {
      return socket.isClosed
    },
  }
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
