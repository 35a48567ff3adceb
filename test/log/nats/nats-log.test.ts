import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Retention, Trim } from '../../../src/log/log.js'
import { NatsLog, type NatsLogOptions } from '../../../src/log/nats/nats-log.js'
import { Selection } from '../../../src/model/selection.js'
import type { NatsOptions } from '../../../src/nats/nats-options.js'
import { event } from '../../../src/log/contract/events.js'
import { testLog } from '../../contract/log.js'
import { poll } from '../../helper/deadline.js'
import { locateTime, readFrom } from '../../helper/log.js'
import { skipNats, startNats, type NatsServer } from '../../helper/nats.js'

const RETENTION: Retention = { events: 1_000, age: 3_600_000, bytes: 1024 ** 3, dedupWindow: 60_000 }

async function open(
  t: Test,
  server: NatsServer,
  retention: Partial<Retention> = {},
  more: Partial<NatsLogOptions> = {},
) {
  const log = await NatsLog.open({
    nats: server.options(),
    replicas: 1,
    ...more,
    retention: { ...RETENTION, ...retention },
  })
  t.teardown(() => log.close())
  return log
}

const is = (condition: () => boolean, what: string) =>
  poll(
    async () => (condition() ? true : undefined),
    () => what,
  )

await t.test('on a NATS server', { skip: skipNats }, async (t) => {
  const server = await startNats(t)
  const opened = new WeakMap<object, NatsOptions>()

  async function openAs(nats: NatsOptions, retention: Retention, now: () => number): Promise<NatsLog> {
    const log = await NatsLog.open({ nats, replicas: 1, retention, now })
    opened.set(log, nats)
    return log
  }

  await testLog(t, 'the log on NATS', {
    open: (retention, now) => openAs(server.options(), retention, now),
    reopen: async (log, retention, now) => {
      await log.close()
      return openAs(opened.get(log)!, retention, now)
    },
    limits: {
      clock: 'JetStream stamps and trims messages by the clock of its server',
      ids: 'JetStream remembers message ids for its window only',
    },
  })
})

// the contract tests these promises with a clock that the test sets, which JetStream does not allow
await t.test('by the clock of the server', { skip: skipNats }, async (t) => {
  const server = await startNats(t)

  await t.test('an event has about the time of its append, and a time finds it', async (t) => {
    const log = await open(t, server)
    const before = Date.now()
    await log.append([event('a')])
    await delay(20) // the times of the events differ by more than the clocks of the server and this process
    const between = Date.now()
    await delay(20)
    await log.append([event('a'), event('b')])
    const { events } = await readFrom(log, new Selection(['*']), { after: 0, events: 9 })
    for (const { time } of events) t.ok(time >= before - 5 && time <= Date.now() + 5)
    t.equal(await locateTime(log, new Selection(['a']), between), 1)
    t.equal(await locateTime(log, new Selection(['a']), before - 1_000), 0)
    t.equal(await locateTime(log, new Selection(['a']), Date.now() + 1_000), 3)
  })

  await t.test('events that are too old are trimmed: followers get a trim, and a read returns a gap', async (t) => {
    const log = await open(t, server, { age: 700 })
    const trims: Trim[] = []
    await log.follow((delta) => void trims.push(...delta.trims))
    await log.append([event('a'), event('b'), event('a')])
    await is(() => log.view.stats().events === 0, 'the events are not trimmed')
    t.strictSame(new Map(trims.map(({ topic, until }) => [topic, until])), new Map(Object.entries({ a: 3, b: 2 })))
    t.equal(log.view.mark, trims.length)
    t.match(await readFrom(log, new Selection(['a']), { after: 2, events: 9 }), { events: [], gap: true })
    t.match(await readFrom(log, new Selection(['a']), { after: 3, events: 9 }), { events: [], gap: false })
    t.strictSame(await log.append([event('a')]), [{ sequence: 4, duplicate: false }])
  })

  await t.test('an id is forgotten after the window', async (t) => {
    const log = await open(t, server, { dedupWindow: 300 })
    t.match(await log.append([event('a', { id: 'x' })]), [{ sequence: 1, duplicate: false }])
    t.match(await log.append([event('a', { id: 'x' }), event('b')]), [{ duplicate: true }, { duplicate: false }])
    await poll(
      async () => ((await log.append([event('a', { id: 'x' })]))[0]!.duplicate ? undefined : true),
      () => 'the id is remembered for too long',
    )
  })
})

await t.test(
  'a stream with other settings is used, and the differences are reported',
  { skip: skipNats },
  async (t) => {
    const server = await startNats(t)
    const nats = server.options()
    const notices: string[] = []
    const onNotice = (message: string) => void notices.push(message)
    await open(t, server, {}, { nats, onNotice })
    await open(t, server, {}, { nats, onNotice })
    t.strictSame(notices, [])
    const log = await open(t, server, { events: 5, age: 60_000 }, { nats, onNotice })
    t.match(notices, [/stream test-1 has other settings.*max_msgs_per_subject is 2000, not 1005; max_age is 3600/])
    await log.append(Array.from({ length: 20 }, () => event('a')))
    t.equal(log.view.stats().events, 5, 'each process retains as many events as its settings say')
  },
)

await t.test('an event that is larger than the server allows is refused', { skip: skipNats }, async (t) => {
  const server = await startNats(t, 'max_payload: 10000')
  const log = await open(t, server)
  const large = event('a', { payload: 'é'.repeat(5_000) })
  await t.rejects(log.append([event('a'), large]), { code: 'event-too-large', index: 1, message: /max_payload/ })
  t.equal(log.view.head, 0)
  await log.append([event('a', { payload: 'é'.repeat(4_800) })])
})

await t.test('a server without JetStream is an error that says what to do', { skip: skipNats }, async (t) => {
  const server = await startNats(t, 'no_auth_user: nobody\naccounts { A { users: [ { user: nobody } ] } }')
  await t.rejects(open(t, server), { name: 'NatsError', message: /JetStream/ })
})
