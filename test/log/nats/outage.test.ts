/** A log on NATS while its server is down. */
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { HubError } from '../../../src/model/hub-error.js'
import { event } from '../../../src/log/contract/events.js'
import { poll } from '../../helper/deadline.js'
import { readFrom } from '../../helper/log.js'
import { skipNats, startNats } from '../../helper/nats.js'
import { EVERYTHING, is, open, payloads } from './open-log.js'

await t.test('without a server', { skip: skipNats }, async (t) => {
  await t.test('an append fails within its time limit, and the view has the failure', async (t) => {
    const server = await startNats(t)
    const log = await open(t, server.options({ timeout: 300 }))
    await log.append([event('a')])
    await server.kill()
    await is(() => log.view.failure !== undefined, 'the view has no failure')
    const begun = performance.now()
    await t.rejects(log.append([event('a')]), { name: 'HubError', code: 'log-unavailable' })
    await t.rejects(log.append([event('a'), event('b')]), { code: 'log-unavailable' })
    await t.rejects(log.records.put('a', 1), { code: 'log-unavailable' })
    await t.rejects(log.purge('a'), { code: 'log-unavailable' })
    await t.rejects(readFrom(log, EVERYTHING, { after: 0, events: 9 }), { code: 'log-unavailable' })
    t.ok(performance.now() - begun < 5_000)
    await server.start()
    await is(() => log.view.failure === undefined, 'the failure does not end')
    t.strictSame(await log.append([event('a')]), [{ sequence: 2, duplicate: false }])
  })

  await t.test('an append waits for a server that comes back in time', async (t) => {
    const server = await startNats(t)
    const log = await open(t, server.options({ timeout: 10_000 }))
    await server.kill()
    const appending = log.append([event('a', { id: 'x' })]) // an event without an id would not be sent again
    await server.start()
    t.strictSame(await appending, [{ sequence: 1, duplicate: false }])
    t.equal(log.view.failure, undefined, 'a short outage is not a failure')
  })

  await t.test('closing does not wait for the server', async (t) => {
    const server = await startNats(t)
    const log = await open(t, server.options({ timeout: 300 }))
    await server.kill()
    await t.resolves(log.close())
  })
})

await t.test('a server that is killed in the middle of publishing loses nothing', { skip: skipNats }, async (t) => {
  const server = await startNats(t)
  const nats = server.options({ timeout: 10_000 })
  const [publisher, other] = [await open(t, nats), await open(t, nats)]
  const told: [number, string][] = []
  await other.follow(({ events }) => void told.push(...events.map((e): [number, string] => [e.sequence, e.payload])))
  const acknowledged = new Map<number, string>()
  let failed = 0
  let isOver = false
  const publish = async (name: string): Promise<void> => {
    for (let n = 0; !isOver; n++) {
      const payload = `${name}-${n}`
      // an id lets the log send the event again
      const size = n % 3 === 0 ? 3 : 1
      const events = Array.from({ length: size }, (_, part) =>
        event('a', { payload: `${payload}.${part}`, id: `${payload}.${part}` }),
      )
      try {
        const appended = await publisher.append(events)
        for (const [part, { sequence }] of appended.entries()) acknowledged.set(sequence, `${payload}.${part}`)
      } catch (err) {
        t.equal((err as HubError).code, 'log-unavailable')
        failed++
      }
    }
  }
  const publishing = ['x', 'y', 'z'].map(publish)
  for (let kills = 0; kills < 3; kills++) {
    const before = acknowledged.size
    await is(() => acknowledged.size > before + 200, 'nothing is published')
    await server.kill()
    await delay(50) // meanwhile appends find no server
    await server.start()
  }
  const before = acknowledged.size
  await is(() => acknowledged.size > before + 200, 'publishing does not continue')
  isOver = true
  await Promise.all(publishing)
  await is(() => (told.at(-1)?.[0] ?? 0) >= Math.max(...acknowledged.keys()), 'the other process lags')
  const delivered = new Map(told)
  t.equal(delivered.size, told.length, 'each event is delivered once')
  t.ok(
    told.every(([sequence], n) => n === 0 || sequence > told[n - 1]![0]),
    'events are delivered in order',
  )
  t.strictSame(
    [...acknowledged].filter(([sequence, payload]) => delivered.get(sequence) !== payload),
    [],
    'every acknowledged event is delivered',
  )
  t.equal(new Set(delivered.values()).size, delivered.size, 'no event is stored twice')
  t.strictSame(await payloads(publisher), [...delivered.values()], 'every delivered event can be read')
  t.comment(`${acknowledged.size} events were acknowledged, ${failed} appends failed`)
})

await t.test('two processes on one stream', { skip: skipNats }, async (t) => {
  const server = await startNats(t)

  await t.test('see the events, records, purges and ids of each other', async (t) => {
    const nats = server.options()
    const [a, b] = [await open(t, nats), await open(t, nats)]
    t.equal(a.view.epoch, b.view.epoch)
    const told: (number | string | undefined)[] = []
    await b.follow(({ events, trims, records }) => {
      told.push(...events.map(({ sequence }) => sequence))
      told.push(...trims.map(({ topic, until }) => `${topic} until ${until}`))
      told.push(...records.map(({ key, value }) => `${key}=${JSON.stringify(value)}`))
    })
    await a.append([event('a', { id: 'x' }), event('b'), event('a')])
    await is(() => told.length === 3, 'the events are not delivered')
    t.strictSame(await b.append([event('b'), event('a', { id: 'x' })]), [
      { sequence: 4, duplicate: false },
      { sequence: 1, duplicate: true },
    ])
    await a.records.put('key', 1)
    t.equal(await b.records.get('key'), 1)
    await is(() => told.includes('key=1'), 'the record is not delivered')
    t.equal(await a.purge('a'), 2)
    await is(() => told.some((entry) => entry === 'a until 3'), 'the purge is not delivered')
    t.strictSame(await payloads(b), ['b', 'b'])
    t.strictSame((await b.topics({ limit: 9 })).topics, (await a.topics({ limit: 9 })).topics)
  })

  await t.test('store an id once, published by either process, alone or in a batch', async (t) => {
    const nats = server.options()
    const [a, b] = [await open(t, nats), await open(t, nats)]
    const batch = (n: number) => Array.from({ length: 5 }, (_, part) => event('a', { id: `${n + part}` }))
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) => [a.append(batch(n)), b.append([event('a', { id: `${n}` })])]).flat(),
    )
    t.equal(answers.flat().filter(({ duplicate }) => !duplicate).length, 64)
    await poll(
      async () => ((await payloads(b)).length === 64 ? true : undefined),
      () => 'an event is missing',
    )
    const ids = (await readFrom(a, EVERYTHING, { after: 0, events: 1e6 })).events.map(({ id, sequence }) => [
      id,
      sequence,
    ])
    const bySequence = new Map(ids as [string, number][])
    for (const [n, appended] of answers.entries()) {
      const first = Math.floor(n / 2)
      for (const [part, { sequence }] of appended.entries()) t.equal(sequence, bySequence.get(`${first + part}`))
    }
  })

  await t.test('recognise ids that only JetStream knows', async (t) => {
    const nats = server.options()
    const a = await open(t, nats)
    await a.append([event('a', { id: 'x' }), event('b', { id: 'x' })])
    await a.purge('a')
    const b = await open(t, nats) // this log has not seen the purged event
    t.strictSame(await b.append([event('a', { id: 'x' }), event('c'), event('a', { id: 'y' })]), [
      { sequence: 1, duplicate: true },
      { sequence: 3, duplicate: false },
      { sequence: 4, duplicate: false },
    ])
    t.strictSame(await b.append([event('a', { id: 'x' })]), [{ sequence: 1, duplicate: true }])
    const c = await open(t, nats)
    const many = Array.from({ length: 1_500 }, (_, n) => event('c', { id: `${n}` }))
    const appended = await c.append([...many, event('a', { id: 'x' }), event('c', { id: '0' })])
    t.strictSame(
      appended.map(({ sequence }) => sequence),
      [...many.map((_, n) => 5 + n), 1, 5],
    )
    t.strictSame(
      appended.flatMap(({ duplicate }, n) => (duplicate ? [n] : [])),
      [1_500, 1_501],
    )
  })
})
