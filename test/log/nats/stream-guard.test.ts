/** A stream that is deleted, loses its newest events, or is changed by other tools. */
import { cpSync, renameSync, rmSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { NewEvent } from '../../../src/model/event.js'
import { HubError } from '../../../src/model/hub-error.js'
import { Selection } from '../../../src/model/selection.js'
import { event } from '../../../src/log/contract/events.js'
import type { NatsLog } from '../../../src/log/nats/nats-log.js'
import { poll } from '../../helper/deadline.js'
import { readFrom } from '../../helper/log.js'
import { administer, skipNats, startNats } from '../../helper/nats.js'
import { openHubOn } from '../../hub/open-hub.js'
import type { StreamInfo } from '../../../src/log/nats/jetstream.js'
import { epochOf, eventStream } from '../../../src/log/nats/stream-config.js'
import { StreamGuard, type StreamGuardOptions } from '../../../src/log/nats/stream-guard.js'
import { is, open, payloads } from './open-log.js'

await t.test('a stream that is deleted and created again', { skip: skipNats }, async (t) => {
  const server = await startNats(t)

  await t.test('has a new epoch, which followers get in a delta', async (t) => {
    const nats = server.options()
    const notices: string[] = []
    const log = await open(t, nats, { onNotice: (message) => void notices.push(message) })
    await log.append([event('a', { id: 'x' }), event('a')])
    const { epoch, mark } = log.view
    const told: unknown[] = []
    await log.follow(({ events, replaced }) => told.push(replaced ?? events.map(({ sequence }) => sequence)))
    await administer(server, `STREAM.DELETE.${nats.prefix}`)
    await is(() => log.view.epoch !== epoch && log.view.failure === undefined, 'the epoch stays')
    t.match(notices, [/was created again/])
    t.match(log.view, { head: 0 })
    t.ok(log.view.mark > mark)
    t.strictSame(await log.append([event('b', { id: 'x' })]), [{ sequence: 1, duplicate: false }])
    t.strictSame(await payloads(log), ['b'])
    t.match(told, [{ epoch: log.view.epoch, head: 0, mark: Number }, [1]])
  })

  await t.test('stores an event again whose id the previous stream had', async (t) => {
    const nats = server.options()
    const log = await open(t, nats)
    await log.append([event('a', { id: 'x' }), event('a', { id: 'y' })])
    const { epoch } = log.view
    await administer(server, `STREAM.DELETE.${nats.prefix}`)
    t.strictSame(await log.append([event('a', { id: 'y' })]), [{ sequence: 1, duplicate: false }])
    t.not(log.view.epoch, epoch)
    t.strictSame(await log.append([event('a', { id: 'x' }), event('a', { id: 'y' })]), [
      { sequence: 2, duplicate: false },
      { sequence: 1, duplicate: true },
    ])
  })

  await t.test('gives every live subscriber a gap', async (t) => {
    const nats = server.options()
    const log = await open(t, nats)
    const { hub, subscribe } = await openHubOn(t, log)
    await hub.publish('a', { text: 'before' })
    const live = await subscribe(['a'])
    const events = hub.events('a', { from: 'start' })
    t.match(await events.next(), { value: { text: 'before' } })
    const next = events.next()
    const { epoch } = hub
    const lastId = hub.cursor(1)
    await administer(server, `STREAM.DELETE.${nats.prefix}`)
    await is(() => hub.epoch !== epoch && hub.failure === undefined, 'the epoch stays')
    t.match(live.told('close'), [{ reason: 'drain' }], 'the stream ends')
    t.match(await next, { value: { gap: { reason: 'epoch', after: lastId } } })
    const resumed = await subscribe(['a'], { lastEventId: lastId })
    await hub.publish('a', { text: 'after' })
    await is(() => resumed.told('gap').length > 0 && resumed.data.length > 0, 'the stream gets no gap')
    t.match(resumed.told('gap'), [{ reason: 'epoch' }])
    t.strictSame(resumed.data, ['after'])
    t.match(await events.next(), { value: { text: 'after', id: hub.cursor(1) } })
  })
})

/** Appends an event until it is stored, as publishers do: the hub may notice the loss while it is being stored. */
async function appendAgain(log: NatsLog, stored: NewEvent): Promise<void> {
  await poll(
    () => log.append([stored]).catch(ignoreTemporary),
    () => 'the event is not stored',
  )
}

function ignoreTemporary(err: unknown): undefined {
  if (!(err instanceof HubError) || err.code !== 'log-unavailable') throw err
}

await t.test('a stream that loses its newest events gets a new epoch', { skip: skipNats }, async (t) => {
  for (const isPublishing of [false, true]) {
    const server = await startNats(t)
    const nats = server.options()
    const log = await open(t, nats)
    const other = await open(t, nats)
    await log.append([event('a', { payload: 'kept' })])
    await server.kill()
    const copy = `${server.folder}.copy`
    cpSync(server.folder, copy, { recursive: true })
    await server.start()
    const { epoch } = log.view
    for (const payload of ['lost', 'lost too']) await log.append([event('a', { payload, id: payload })])
    await server.kill()
    rmSync(server.folder, { recursive: true })
    renameSync(copy, server.folder) // as after a power failure
    await server.start()
    if (isPublishing) await appendAgain(log, event('a', { payload: 'new', id: 'new' }))
    await is(() => log.view.epoch !== epoch && log.view.epoch === other.view.epoch, 'the epoch stays')
    t.strictSame(await payloads(log), isPublishing ? ['kept', 'new'] : ['kept'])
    t.match(await log.append([event('b')]), [{ sequence: isPublishing ? 3 : 2 }])
    t.equal((await open(t, nats)).view.epoch, log.view.epoch)
  }
})

await t.test('events that other tools delete from the stream are a gap', { skip: skipNats }, async (t) => {
  const server = await startNats(t)
  const nats = server.options()
  const log = await open(t, nats)
  await log.append([event('a'), event('b'), event('a'), event('b'), event('a')])
  await administer(server, `STREAM.PURGE.${nats.prefix}`, { filter: `${nats.prefix}.t.a`, seq: 4 })
  const read = await readFrom(log, new Selection(['a']), { after: 0, events: 9 })
  t.match(read, { events: [{ sequence: 5 }], gap: true })
  t.equal((await readFrom(log, new Selection(['b']), { after: 0, events: 9 })).gap, false)
  const again = await open(t, nats)
  t.equal((await readFrom(again, new Selection(['a']), { after: 0, events: 9 })).gap, true)
  await administer(server, `STREAM.PURGE.${nats.prefix}`)
  await is(() => log.view.stats().events === 0, 'the purge is not noticed')
  t.match(await readFrom(log, new Selection(['b']), { after: 0, events: 9 }), { events: [], gap: true })
})

/** A guard of a stream with the head 2. `leader` is the head that the leader answers, and `stored` what it has. */
async function prepare(t: Test) {
  const config = eventStream('p', { events: 10, age: 1_000, bytes: 1_000, dedupWindow: 1_000 }, 3)
  const state = { leader: 2, stored: 2, isStalled: false, confirmed: 0, begun: 0 }
  const info = (last: number) => ({
    config: { ...config, metadata: { 'fanfare-generation': String(state.begun) } },
    created: 'now',
    state: { messages: 0, bytes: 0, first_seq: 1, last_seq: last },
    cluster: { leader: 'n2' },
  })
  const jetstream = {
    streamInfo: async () => info(state.leader),
    confirmedInfo: async () => {
      state.confirmed++
      if (state.isStalled) throw new Error('timeout')
      return info(state.stored)
    },
    updateStream: async () => {
      state.begun++
    },
  }
  const follower = {
    epoch: '',
    index: { head: 0 },
    begin: async (begun: StreamInfo) => {
      follower.epoch = epochOf(begun)
      follower.index = { head: begun.state.last_seq }
    },
    trimBefore: async () => {},
  }
  const told: (string | undefined)[] = []
  const notices: string[] = []
  const guard = new StreamGuard({
    link: { isUp: true, watch: () => () => undefined },
    jetstream,
    follower,
    config,
    patience: 1,
    onHealth: (failure: Error | undefined) => told.push(failure?.message),
    onNotice: (message: string) => void notices.push(message),
  } as unknown as StreamGuardOptions)
  await guard.start()
  t.teardown(() => guard.stop())
  follower.index = { head: 2 }
  return { guard, state, told, notices }
}

await t.test('a stream that answers and stores nothing is a failure until it carries out a change', async (t) => {
  const { guard, state, told, notices } = await prepare(t)
  state.isStalled = true
  await guard.check()
  t.equal(state.confirmed, 0, 'without a reason no change is tried')
  guard.doubt()
  await guard.check()
  await is(() => guard.failure !== undefined, 'no failure is reported')
  t.match(String(guard.failure), /the stream p answers, but stores nothing: .*restart its leader, the NATS server n2/)
  state.isStalled = false
  await guard.check()
  t.equal(guard.failure, undefined)
  t.match(told, [String, undefined])
  const before = state.confirmed
  await guard.check()
  t.equal(state.confirmed, before, 'the doubt is gone')
  guard.doubt()
  guard.stored(3, 2)
  await guard.check()
  t.equal(state.confirmed, before, 'a stored event is enough')
  t.strictSame(notices, [])
})

await t.test('a leader that lacks the newest events has lost them only if a change confirms it', async (t) => {
  const { guard, state, notices } = await prepare(t)
  state.leader = 1
  for (let checks = 0; checks < 5; checks++) await guard.check()
  t.equal(state.begun, 0, 'the leader lags behind')
  state.isStalled = true
  for (let checks = 0; checks < 5; checks++) await guard.check()
  t.equal(state.begun, 0, 'a leader that stores nothing may lag behind')
  await is(() => guard.failure !== undefined, 'no failure is reported')
  state.isStalled = false
  state.stored = 1
  await guard.check()
  t.equal(state.begun, 1, 'the events are lost')
  t.match(notices, [/has lost its newest events/])
  t.equal(guard.failure, undefined)
})
