/** Messages of another process, whose version may differ: one of another shape is ignored, and reported once. */
import fc from 'fast-check'
import t from 'tap'
import { HubError } from '../../../src/model/hub-error.js'
import type { ClusterMessage } from '../../../src/cluster/cluster.js'
import { MemoryLog } from '../../../src/log/memory/memory-log.js'
import { LocalCluster } from '../../helper/local-cluster.js'
import { openHubOn } from '../open-hub.js'

const stats = {
  time: '2026-01-01T00:00:00.000Z',
  connections: 1,
  topics: 1,
  events: { in: 1, out: 1 },
  busiest: [{ topic: 'a', rate: 1 }],
  bytes: { in: 1, out: 1 },
  latency: { p50: 1, p99: 1 },
  lagging: 0,
  memory: 1,
  log: { events: 1, bytes: 1 },
  eventLoopDelay: 1,
}
const load = { time: 1, topics: 1, lagging: 0, published: 1, sent: { events: 1, bytes: 1 }, memory: 1, stats }
const report = { node: 'node-1', version: '1.2.3', since: 1, connections: 1, epoch: 'abcdefgh', head: 1, load }
const state = { watchesConnections: true, watchesPresence: true, presenceChanges: 1, report }
const connection = {
  id: 'node-1-0123456789abcdef',
  subject: 'ann',
  topics: ['a'],
  since: '2026-01-01T00:00:00.000Z',
  cursor: 'abcdefgh-1',
  expiresAt: null,
  sent: { events: 1, bytes: 1 },
  lag: 0,
}
const present = { topic: 'a', subject: 'ann', since: 1, info: null }

/** A message of each kind. */
const MESSAGES: readonly ClusterMessage[] = [
  { kind: 'state', state },
  { kind: 'hello', state },
  { kind: 'report', withLoad: true },
  { kind: 'connections', request: { after: '', limit: 10, topic: 'a', subject: 'ann' } },
  { kind: 'count-streams', subject: 'ann', address: '127.0.0.1' },
  { kind: 'end-subject', subject: 'ann' },
  { kind: 'present', topic: 'a' },
  { kind: 'presence-changes', first: 1, changes: [{ ...present, hasJoined: true }] },
  { kind: 'presence-page', from: 0 },
  { kind: 'cursor', method: 'acknowledge', args: [{ subject: 'ann', name: 'phone' }, 1] },
  { kind: 'cursor', method: 'use', args: [{ subject: 'ann', name: 'phone' }, 1, true] },
  { kind: 'cursor', method: 'delete', args: [{ subject: 'ann', name: 'phone' }] },
  { kind: 'allowances-used', used: [['ann', 3]] },
  { kind: 'connection-change', change: { ...connection, change: 'opened' } },
  { kind: 'ephemeral', event: { topic: 'a', kind: 'text', payload: 'x' } },
  { kind: 'subscribers', topics: ['a', 'b'] },
]
/** An answer to each kind of request. */
const ANSWERS: readonly unknown[] = [
  state,
  report,
  { connections: [connection], more: false },
  { ofSubject: 1, fromAddress: 1 },
  3,
  [{ subject: 'ann', connections: 1, since: 1, info: null }],
  { number: 1, subjects: [present], more: false },
  { value: { name: 'phone', id: 'abcdefgh-1', expiresAt: 1 } },
  { error: { code: 'log-unavailable', message: 'away' } },
  [1, 2],
]

/** The paths of all members of a value. */
function pathsOf(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([name, member]) => pathsOf(member, [...path, name]))]
}

/** Returns a copy of a value with another member at a path; `undefined` removes the member. */
function changed(value: unknown, [name, ...rest]: string[], member: unknown): unknown {
  if (name === undefined) return member
  const copy = structuredClone(value) as Record<string, unknown>
  copy[name] = changed(copy[name], rest, member)
  return copy
}

/** Draws any JSON value, or one of the values with a random change. */
const anyOf = (values: readonly unknown[]) =>
  fc.oneof(
    fc.jsonValue(),
    fc
      .constantFrom(...values)
      .chain((value) =>
        fc.tuple(fc.constant(value), fc.constantFrom(...pathsOf(value)), fc.option(fc.jsonValue(), { nil: undefined })),
      )
      .map(([value, path, member]) => changed(value, path, member) ?? null),
  )

/** Resolves when a call has succeeded or was refused. */
async function isAnswered(call: Promise<unknown>): Promise<void> {
  try {
    await call
  } catch (err) {
    if (!(err instanceof HubError)) throw err
  }
}

await t.test('messages and answers of any shape do no harm', async (t) => {
  const log = new MemoryLog({ events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 1e6 })
  const cluster = new LocalCluster()
  const { hub, subscribe } = await openHubOn(t, log, { cluster: cluster.start() })
  const stranger = cluster.start()
  let answers: readonly unknown[] = []
  let answered = 0
  stranger.receive({ broadcast: () => undefined, request: () => answers[answered++ % answers.length] })
  hub.shareAllowances(10)
  await subscribe(['a'], { subject: 'ann', presence: true })
  await subscribe(['fanfare.connections', 'fanfare.stats'])
  await log.append([{ topic: 'a', type: undefined, id: undefined, kind: 'text', payload: 'x' }])

  await fc.assert(
    fc.asyncProperty(
      fc.array(anyOf(MESSAGES), { minLength: 1, maxLength: 5 }),
      fc.array(anyOf(ANSWERS), { minLength: 1, maxLength: 5 }),
      async (messages, values) => {
        answers = values
        for (const message of messages) {
          stranger.broadcast(message as ClusterMessage)
          await stranger.request(hub.messenger.node, message as ClusterMessage).catch(() => undefined)
        }
        await isAnswered(hub.topics.list({ limit: 10 }, () => true))
        await isAnswered(hub.present('a'))
        await isAnswered(hub.neighbours.connections.list({ after: '', limit: 10 }))
        await isAnswered(hub.neighbours.connections.endSubject('nobody'))
        await isAnswered(hub.neighbours.connections.countElsewhere('ann', undefined))
        await isAnswered(hub.neighbours.reports.all(true))
        for (const subject of ['u1', 'u2', 'u3']) await isAnswered(hub.cursors.acknowledge({ subject, name: 'x' }, 1))
        for (const { report } of await hub.neighbours.reports.all(true))
          if (report) t.type(report.connections, 'number')
      },
    ),
    { numRuns: 300 },
  )
  const { topic, subscribers } = await hub.topic('a')
  t.equal(topic, 'a')
  t.type(subscribers, 'number')
})

await t.test('a message of another shape is reported once for each process and kind', async (t) => {
  const log = new MemoryLog({ events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 1e6 })
  const cluster = new LocalCluster()
  const { hub, errors } = await openHubOn(t, log, { cluster: cluster.start() })
  const stranger = cluster.start()
  stranger.receive({ broadcast: () => undefined, request: () => ({ connections: 'many' }) })
  const { report: older, ...rest } = state
  const withoutEpoch = { ...older, epoch: undefined }
  for (let n = 0; n < 3; n++) {
    const message = { kind: 'hello', state: { ...rest, report: withoutEpoch } }
    await t.rejects(stranger.request(hub.messenger.node, message), { code: 'refused' })
    await t.rejects(hub.neighbours.connections.list({ after: '', limit: 10 }), { code: 'unavailable' })
  }
  const kinds = errors.map((err) => /of the kind (.+) with another shape/.exec(String(err))?.[1])
  // the hub may have greeted the other process meanwhile
  t.strictSame(kinds.filter((kind) => kind !== 'answer to hello').sort(), ['answer to connections', 'hello'])
  t.match(await hub.neighbours.reports.all(false), [
    { node: 'node-0' },
    { node: 'node-1', isReachable: false, report: undefined },
  ])
})
