/** Writes of a replica that are sent again to a new leader, since the earlier one died before its answer arrived. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { event } from '../../../src/log/contract/events.js'
import { FileLog, type FileLogOptions } from '../../../src/log/lmdb/lmdb-log.js'
import { MessageSocket } from '../../../src/log/lmdb/message-socket.js'
import type { WriteRequest, WriteResult } from '../../../src/log/lmdb/messages.js'
import { RETRY_TIME, systemTime } from '../../../src/log/lmdb/replica-writes.js'
import { Selection } from '../../../src/model/selection.js'
import { joinLeader } from '../../helper/bare-replica.js'
import { poll } from '../../helper/deadline.js'
import { readFrom } from '../../helper/log.js'
import { startHub } from '../../helper/process.js'

const RETENTION = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 }
/** More events than a transaction purges. */
const MANY = 2_000

t.setTimeout(120_000)

function makeFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-lock-')) // the path of a socket may have 107 bytes
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

async function open(t: Test, folder: string, options: Partial<FileLogOptions> = {}): Promise<FileLog> {
  const log = await FileLog.open({ folder, durability: 'sync', retention: RETENTION, shared: true, ...options })
  t.teardown(() => log.close())
  return log
}

/** A write that the first leader stores. Others write before the next leader gets it again. */
interface Case {
  name: string
  request: WriteRequest
  result: WriteResult
  /** What other processes write after the first leader has died. */
  meanwhile?: (log: FileLog) => Promise<unknown>
  /** Checks that the write was performed once. */
  check: (t: Test, log: FileLog) => Promise<void>
}

/** Returns the number of events of a topic. */
function numberOf(log: FileLog, topic: string): Promise<number | undefined> {
  return log.topic(topic).then((stats) => stats?.events)
}

/** The records and events that the cases need. */
const BEFORE: WriteRequest[] = [
  { put: ['deleted', 'old', undefined] },
  { put: ['removed', 'old', undefined] },
  { append: [event('purged'), event('purged'), event('conditional')] },
]

const CASES: Case[] = [
  {
    name: 'an append',
    request: { append: [event('single')] },
    result: [4],
    check: async (t, log) => void t.equal(await numberOf(log, 'single'), 1),
  },
  {
    name: 'an append with a condition',
    request: { append: [event('conditional')], expected: { topic: 'conditional', sequence: 3 } },
    result: [5],
    meanwhile: (log) => log.append([event('conditional')], { expected: { topic: 'conditional', sequence: 5 } }),
    check: async (t, log) => void t.equal(await numberOf(log, 'conditional'), 3),
  },
  {
    name: 'a swap that creates a record',
    request: { swap: 'created', value: { by: 'the replica' } },
    result: true,
    check: async (t, log) => void t.strictSame(await log.records.get('created'), { by: 'the replica' }),
  },
  {
    name: 'a swap that deletes a record, which others create again',
    request: { swap: 'removed', expected: 'old' },
    result: true,
    meanwhile: (log) => log.records.put('removed', 'old'),
    check: async (t, log) => void t.equal(await log.records.get('removed'), 'old'),
  },
  {
    name: 'a put, which others replace',
    request: { put: ['replaced', 1, undefined] },
    result: true,
    meanwhile: (log) => log.records.put('replaced', 2),
    check: async (t, log) => void t.equal(await log.records.get('replaced'), 2),
  },
  {
    name: 'a deletion of a record, which others put again',
    request: { delete: 'deleted' },
    result: true,
    meanwhile: (log) => log.records.put('deleted', 'new'),
    check: async (t, log) => void t.equal(await log.records.get('deleted'), 'new'),
  },
  {
    name: 'a purge of a topic, which gets further events',
    request: { purge: 'purged' },
    result: 2,
    meanwhile: (log) => log.append([event('purged')]),
    check: async (t, log) => void t.equal(await numberOf(log, 'purged'), 1),
  },
]

await t.test('the leader is killed after it has stored a write, and the next one gets it again', async (t) => {
  const folder = makeFolder(t)
  const hub = await startHub(t, { FANFARE_LOG: `file:${folder}` })
  const first = await joinLeader(t, folder)
  for (const [index, request] of BEFORE.entries()) {
    first.write(index + 1, request)
    await first.answer(index + 1)
  }
  const since = systemTime()
  for (const [index, { name, request, result }] of CASES.entries()) {
    first.write(100 + index, request)
    t.strictSame(await first.answer(100 + index), { kind: 'written', number: 100 + index, result }, name)
  }
  first.write(200, { swap: 'created', expected: 'other', value: 1 })
  t.match(await first.answer(200), { result: false }, 'a refused swap')
  await hub.kill()
  const log = await open(t, folder)
  for (const { meanwhile } of CASES) await meanwhile?.(log)
  const second = await joinLeader(t, folder)
  for (const [index, { name, request, result, check }] of CASES.entries()) {
    await t.test(`${name} is performed once`, async (t) => {
      second.write(100 + index, request, since)
      t.strictSame(await second.answer(100 + index), { kind: 'written', number: 100 + index, result })
      await check(t, log)
    })
  }
  await log.records.put('created', 'other')
  second.write(200, { swap: 'created', expected: 'other', value: 1 }, since)
  t.match(await second.answer(200), { result: true }, 'a refused swap has changed nothing, and is tried again')
})

await t.test('a purge that the leader has done in part continues, and spares later events', async (t) => {
  const folder = makeFolder(t)
  const log = await FileLog.open({ folder, durability: 'sync', retention: RETENTION, shared: true })
  const many = await log.append(Array.from({ length: MANY }, () => event('a')))
  const first = await joinLeader(t, folder)
  const since = systemTime()
  first.write(1, { purge: 'a' })
  await first.find((message) => message.kind === 'change' && message.change.trimmed.length > 0)
  await log.halt() // begins no further transaction, as after a kill
  const left = (await numberOf(log, 'a'))!
  t.ok(left > 0 && left < MANY, `the purge has ${left} events left`)
  await log.close()
  const next = await open(t, folder)
  const later = await next.append([event('a')])
  const second = await joinLeader(t, folder)
  second.write(1, { purge: 'a' }, since)
  t.match(await second.answer(1), { kind: 'written', result: many.length })
  const { events } = await readFrom(next, new Selection(['a']), { after: 0, events: 10 })
  t.strictSame(
    events.map(({ sequence }) => sequence),
    later.map(({ sequence }) => sequence),
  )
})

await t.test('a process that takes over performs its own unanswered writes once', async (t) => {
  const folder = makeFolder(t)
  const leader = await FileLog.open({ folder, durability: 'sync', retention: RETENTION, shared: true })
  const replica = await open(t, folder, { sameProcess: true })
  const deltas: string[] = []
  await replica.follow(({ records, trims }) => {
    deltas.push(...records.map(({ key }) => key), ...trims.map(({ topic }) => `purge of ${topic}`))
  })
  await replica.append([event('a'), event('a')])
  // eslint-disable-next-line @typescript-eslint/unbound-method -- is called with `this`
  const { send } = MessageSocket.prototype
  MessageSocket.prototype.send = function (message: object) {
    if (!('kind' in message && message.kind === 'written')) send.call(this, message) // the answers are lost
  }
  t.teardown(() => (MessageSocket.prototype.send = send))
  const results = Promise.all([
    replica.records.swap('key', undefined, 1),
    replica.purge('a'),
    replica.append([event('b')]),
  ])
  await poll(
    async () => (deltas.length === 2 && replica.view.head === 3 ? true : undefined),
    () => `the writes are not stored: ${deltas.join(', ')}`,
  )
  MessageSocket.prototype.send = send
  await leader.close()
  t.strictSame(await results, [true, 2, [{ sequence: 3, duplicate: false }]])
  t.strictSame(deltas, ['key', 'purge of a'], 'each was performed once')
  t.equal(replica.view.head, 3)
})

await t.test('a write that was sent too long ago is refused: its answer may have been forgotten', async (t) => {
  const folder = makeFolder(t)
  const log = await open(t, folder)
  const replica = await joinLeader(t, folder)
  replica.write(1, { append: [event('a')] }, systemTime() - RETRY_TIME - 1_000)
  t.match(await replica.answer(1), { refusal: { code: 'log-unavailable', message: /publish it again with the same/ } })
  replica.write(2, { delete: 'key' }, systemTime() - RETRY_TIME - 1_000)
  t.match(await replica.answer(2), { refusal: { code: 'log-unavailable', message: /Try it again/ } })
  t.equal(log.view.head, 0)
})
