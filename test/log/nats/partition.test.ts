/** A process that is cut off from NATS for a while, beside a process that is not. */
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Retention } from '../../../src/log/log.js'
import { NatsLog } from '../../../src/log/nats/nats-log.js'
import { SPARE_EVENTS } from '../../../src/log/nats/stream-config.js'
import { Selection } from '../../../src/model/selection.js'
import { event } from '../../../src/log/contract/events.js'
import { poll } from '../../helper/deadline.js'
import { readFrom } from '../../helper/log.js'
import { skipNats, startNats, type NatsServer } from '../../helper/nats.js'
import { startTcpProxy } from '../../helper/tcp-proxy.js'
import { openHubOn } from '../../hub/open-hub.js'

const RETENTION: Retention = { events: 10, age: 3_600_000, bytes: 1024 ** 3, dedupWindow: 60_000 }

/** Opens a log on a server, and one whose connections can be cut. */
async function openTwo(t: Test, server: NatsServer) {
  const nats = server.options()
  const proxy = await startTcpProxy(t, server.port)
  const here = await NatsLog.open({ nats, replicas: 1, retention: RETENTION })
  const servers = [`127.0.0.1:${proxy.port}`]
  const there = await NatsLog.open({ nats: { ...nats, servers, timeout: 500 }, replicas: 1, retention: RETENTION })
  for (const log of [here, there]) t.teardown(() => log.close())
  return { here, there, proxy }
}

const is = (condition: () => boolean, what: string) =>
  poll(
    async () => (condition() ? true : undefined),
    () => what,
  )

await t.test('cut off from NATS', { skip: skipNats }, async (t) => {
  const server = await startNats(t, '')

  await t.test('a process gets all missed changes, in order', async (t) => {
    const { here, there, proxy } = await openTwo(t, server)
    const told: number[] = []
    const records: string[] = []
    await there.follow((delta) => {
      told.push(...delta.events.map(({ sequence }) => sequence))
      records.push(...delta.records.map(({ key, value }) => `${key}=${String(value)}`))
    })
    await here.append([event('a')])
    await Promise.all(['kept', 'changed', 'deleted', 'again'].map((key) => here.records.put(key, 1)))
    await is(() => told.length === 1 && records.length === 4, 'nothing is delivered')
    proxy.cut()
    await is(() => there.view.failure !== undefined, 'the failure is not noticed')
    for (let n = 0; n < 200; n++) await here.append([event(`t.${n}`), event('b')])
    await here.purge('a')
    await here.records.put('changed', 2)
    await here.records.delete('deleted')
    await here.records.delete('again')
    await here.records.put('again', 3)
    await here.records.put('new', 4)
    records.length = 0
    proxy.mend()
    await is(() => told.length === 401 && records.length >= 4, 'something is missing')
    t.strictSame(
      told,
      Array.from({ length: 401 }, (_, n) => n + 1),
    )
    t.strictSame(records.sort(), ['again=3', 'changed=2', 'deleted=undefined', 'new=4'])
    t.strictSame(await there.records.list(''), await here.records.list(''))
    t.equal(await there.topic('a'), undefined, 'the process has the purge')
    t.equal((await readFrom(there, new Selection(['a']), { after: 0, events: 9 })).gap, true)
    t.strictSame(await there.append([event('a')]), [{ sequence: 402, duplicate: false }])
  })

  await t.test('a process whose connection breaks in the middle of batches gets each batch whole', async (t) => {
    const { here, there, proxy } = await openTwo(t, server)
    const sizes: number[] = []
    const told: number[] = []
    await there.follow(({ events }) => {
      sizes.push(events.length)
      told.push(...events.map(({ sequence }) => sequence))
    })
    const payload = 'x'.repeat(2_000)
    const state = { isOver: false }
    const appending = (async () => {
      while (!state.isOver) await here.append(Array.from({ length: 300 }, (_, n) => event(`t.${n}`, { payload })))
    })()
    for (let cuts = 1; cuts <= 8; cuts++) {
      await is(() => sizes.length > 3 * cuts, 'nothing is delivered')
      proxy.cut()
      await delay(20) // appends meet a connection that is cut
      proxy.mend()
    }
    state.isOver = true
    await appending
    await is(() => told.length === here.view.head, 'something is missing')
    t.strictSame(
      told,
      Array.from({ length: here.view.head }, (_, n) => n + 1),
    )
    t.strictSame(
      sizes.filter((size) => size !== 300),
      [],
    )
  })

  await t.test('a process that missed a purge reports no gap of other topics', async (t) => {
    const { here, there, proxy } = await openTwo(t, server)
    await here.append([event('b')])
    await is(() => there.view.head === 1, 'nothing is delivered')
    proxy.cut()
    await is(() => there.view.failure !== undefined, 'the failure is not noticed')
    await here.append([event('a'), event('b'), event('a')])
    await here.purge('a')
    await here.append([event('b')])
    proxy.mend()
    await is(() => there.view.head === 5, 'something is missing')
    t.match(await readFrom(there, new Selection(['b']), { after: 1, events: 9 }), {
      events: [{ sequence: 3 }, { sequence: 5 }],
      gap: false,
    })
    t.equal((await readFrom(there, new Selection(['a']), { after: 1, events: 9 })).gap, true)
  })

  await t.test('live streams get a gap for events that are trimmed meanwhile', async (t) => {
    const { here, there, proxy } = await openTwo(t, server)
    const { hub, subscribe } = await openHubOn(t, there)
    await here.append([event('a', { payload: 'before' }), event('quiet')])
    await is(() => there.view.head === 2, 'nothing is delivered')
    const live = await subscribe(['a'])
    await hub.publish('a', { text: 'live' })
    await is(() => live.data.length === 1, 'the event is not delivered')
    const lastId = hub.cursor(3)
    proxy.cut()
    await is(() => hub.failure !== undefined, 'the failure is not noticed')
    const many = RETENTION.events + SPARE_EVENTS + 500
    for (let n = 0; n < many; n += 500) await here.append(Array.from({ length: 500 }, () => event('a')))
    proxy.mend()
    await is(() => there.view.head === here.view.head, 'the events are not delivered')
    t.match(live.told('close'), [{ reason: 'drain' }], 'the stream ends')
    const resumed = await subscribe(['a'], { lastEventId: lastId })
    await is(() => resumed.told('gap').length > 0, 'the stream gets no gap')
    t.match(resumed.told('gap'), [{ reason: 'expired', after: lastId }])
    for (const log of [here, there])
      t.equal((await readFrom(log, new Selection(['quiet']), { after: 2, events: 9 })).events.length, 0)
  })

  await t.test('a cursor that a process does not know yet is no gap', async (t) => {
    const { here, there, proxy } = await openTwo(t, server)
    const { hub, subscribe } = await openHubOn(t, there)
    await here.append([event('a')])
    await there.catchUp()
    t.equal(there.view.head, 1)
    proxy.cut()
    await here.append([event('a'), event('a')])
    await t.rejects(there.catchUp(), { code: 'log-unavailable' })
    await t.rejects(subscribe(['a'], { lastEventId: hub.cursor(3) }), { code: 'log-unavailable' })
    proxy.mend()
    await is(() => there.view.failure === undefined, 'the connection is not mended')
    const resumed = await subscribe(['a'], { lastEventId: hub.cursor(3) })
    await is(() => resumed.told('live').length > 0, 'the stream does not become live')
    t.equal(resumed.told('gap').length, 0)
    const ahead = await subscribe(['a'], { lastEventId: hub.cursor(4) })
    await is(() => ahead.told('gap').length > 0, 'the stream gets no gap')
    t.match(ahead.told('gap'), [{ reason: 'future' }])
  })

  await t.test('a record expires in every process', async (t) => {
    const { here, there } = await openTwo(t, server)
    const told: unknown[] = []
    await there.records.watch('', ({ key, value }) => told.push([key, value]))
    await here.records.put('short', 1, { ttl: 300 })
    await here.records.put('long', 2, { ttl: 60_000 })
    await is(() => told.length === 3, 'the record does not expire')
    t.strictSame(told, [
      ['short', 1],
      ['long', 2],
      ['short', undefined],
    ])
    t.strictSame(await here.records.list(''), [{ key: 'long', value: 2 }])
  })
})
