/** A hub whose log is replaced by another one, or loses events before the hub gets them. */
import t, { type Test } from 'tap'
import { FollowedView } from '../../src/log/followed-view.js'
import { NO_EVENTS, NO_RECORDS, NO_TRIMS, type ApplyDelta, type EventLog } from '../../src/log/log.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { share } from '../helper/shared-log.js'
import { until } from './fake-sink.js'
import { openHubOn } from './open-hub.js'

const RETENTION = { events: 100, age: 1e12, bytes: 1e9, dedupWindow: 1e6 }

/** Opens a hub on a log that the test can replace. */
async function start(t: Test) {
  const logs = [new MemoryLog(RETENTION), new MemoryLog(RETENTION)] as const
  t.teardown(() => Promise.all(logs.map((log) => log.close())))
  let current: EventLog = logs[0]
  let tell: ApplyDelta = () => undefined
  const log: EventLog = {
    ...share(logs[0]),
    get view() {
      return current.view
    },
    append: (events) => current.append(events),
    scan: (selection, span, visit) => current.scan(selection, span, visit),
    locate: (selection, beginning) => current.locate(selection, beginning),
    follow: async (apply) => {
      tell = apply
      return logs[0].follow(apply)
    },
  }
  const replace = async (): Promise<void> => {
    current = logs[1]
    const { epoch, head, mark } = current.view
    tell({ events: NO_EVENTS, trims: NO_TRIMS, records: NO_RECORDS, replaced: { epoch, head, mark } })
    await logs[1].follow(tell)
  }
  return { ...(await openHubOn(t, log)), logs, replace, tell: () => tell }
}

await t.test('streams end, and their subscribers resume with a gap', async (t) => {
  const { hub, subscribe, replace } = await start(t)
  for (let n = 1; n <= 3; n++) await hub.publish('a', { text: `old ${n}` })
  const live = await subscribe(['a'])
  const [before, lastId] = [hub.epoch, hub.cursor(3)]
  await replace()
  t.not(hub.epoch, before)
  t.equal(hub.head, 0)
  t.match(live.told('close'), [{ reason: 'drain' }])
  const resumed = await subscribe(['a'], { lastEventId: lastId })
  t.match(await hub.publish('a', { text: 'new' }), { id: `${hub.epoch}-1` })
  await until(() => resumed.data.length === 1)
  t.match(resumed.told('gap'), [{ reason: 'epoch', after: lastId }])
  t.strictSame(resumed.data, ['new'])
})

await t.test('an iterator continues after a gap', async (t) => {
  const { hub, replace } = await start(t)
  for (let n = 1; n <= 3; n++) await hub.publish('a', { text: `old ${n}` })
  const lastId = hub.cursor(3)
  const waiting = hub.events('a')
  const next = waiting.next()
  const reading = hub.events('a', { from: 'start' })
  t.match(await reading.next(), { value: { text: 'old 1' } })
  const firstId = hub.cursor(1)
  await replace()
  t.match(await next, { value: { gap: { reason: 'epoch', after: lastId, oldest: null } } })
  t.match(await reading.next(), { value: { gap: { reason: 'epoch', after: firstId } } })
  await hub.publish('a', { text: 'new' })
  for (const events of [waiting, reading]) t.match(await events.next(), { value: { text: 'new', id: hub.cursor(1) } })
})

await t.test('a named cursor of the previous log is not ahead of the new log', async (t) => {
  const { hub, replace } = await start(t)
  for (let n = 1; n <= 3; n++) await hub.publish('a', { text: `old ${n}` })
  const cursor = { subject: 'ann', name: 'inbox' }
  await hub.cursors.acknowledge(cursor, 3)
  await replace()
  await hub.publish('a', { text: 'new' })
  await hub.cursors.acknowledge(cursor, 1)
  t.match(await hub.cursors.get(cursor), { id: hub.cursor(1) })
})

await t.test('streams end if events are trimmed before the hub has got them', async (t) => {
  const { hub, subscribe, tell } = await start(t)
  await hub.publish('a', { text: 'one' })
  const live = await subscribe(['a'])
  const trims = [{ topic: undefined, until: 5 }]
  tell()({ events: NO_EVENTS, trims: [{ topic: 'a', until: 1 }], records: NO_RECORDS })
  t.equal(live.told('close').length, 0, 'a trim of events that the hub has does not end a stream')
  tell()({ events: NO_EVENTS, trims, records: NO_RECORDS })
  t.match(live.told('close'), [{ reason: 'drain' }])
})

await t.test('a view that follows the deltas begins again', async (t) => {
  const [before, after] = [new MemoryLog(RETENTION), new MemoryLog(RETENTION)]
  t.teardown(() => Promise.all([before.close(), after.close()]))
  const event = { topic: 'a', type: undefined, id: undefined, kind: 'text', payload: '' } as const
  const view = new FollowedView({ epoch: 'x', failure: () => undefined, stats: () => before.view.stats() }, before.view)
  await before.follow((delta) => view.apply(delta))
  await before.append([event, event])
  await before.purge('a')
  t.match(view, { head: 2, mark: 1 })
  view.apply({ events: [], trims: [], records: [], replaced: { epoch: 'y', head: 1, mark: 7 } })
  t.match(view, { head: 1, mark: 7, newestTrimmed: 1 })
  t.strictSame(view.trimmedOf('a'), { trimmed: 1, trimmedAt: 7 })
})
