/** The metrics of a hub in this process: who gets them, in which format, and what they count. */
import Fastify from 'fastify'
import t from 'tap'
import { fanfare } from '../../src/app.js'
import { refusals } from '../../src/errors.js'
import { hubOf } from '../../src/plugins/hub.js'
import { poll } from '../helper/deadline.js'
import { metricsOf, valueOf } from '../helper/metrics.js'
import { SECRET, token } from '../helper/token.js'
import { openApp, until } from './open-app.js'
import { dataOf, openStreams } from './streams/open-streams.js'

const PROMETHEUS =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'

await t.test('the metrics need no token, and are text of Prometheus or of OpenMetrics', async (t) => {
  const { app } = await openApp(t)
  for (const [accept = '', type] of [
    [undefined, 'text/plain; version=0.0.4; charset=utf-8'],
    ['*/*', 'text/plain; version=0.0.4; charset=utf-8'],
    ['text/plain;version=0.0.4', 'text/plain; version=0.0.4; charset=utf-8'],
    ['text/html', 'text/plain; version=0.0.4; charset=utf-8'],
    [PROMETHEUS, 'application/openmetrics-text; version=1.0.0; charset=utf-8'],
    ['application/openmetrics-text; version=0.0.1', 'application/openmetrics-text; version=1.0.0; charset=utf-8'],
    ['application/openmetrics-text;q=0.1,text/plain', 'text/plain; version=0.0.4; charset=utf-8'],
    ['application/openmetrics-text;q=0', 'text/plain; version=0.0.4; charset=utf-8'],
  ]) {
    const response = await app.inject({ url: '/metrics', headers: accept === '' ? {} : { accept } })
    t.equal(response.statusCode, 200, accept)
    t.match(response.headers, { 'content-type': type, 'cache-control': 'no-store', vary: 'Accept' }, accept)
    t.equal(response.body.endsWith('# EOF\n'), type?.startsWith('application/'), accept)
    const head = await app.inject({ method: 'HEAD', url: '/metrics', headers: accept === '' ? {} : { accept } })
    t.equal(head.statusCode, 200)
    t.equal(head.headers['content-type'], type)
    t.equal(head.body, '')
  }
})

await t.test('the metrics count streams, events and bytes', async (t) => {
  const { app, subscribe } = await openApp(t)
  const stalled = await subscribe('a', 'b.*')
  const sinks = [await subscribe('a'), await subscribe('a', '**'), stalled]
  const [first] = sinks
  const read = async () => metricsOf((await app.inject({ url: '/metrics' })).body)
  const before = await read()
  t.equal(valueOf(before, 'fanfare_connections', { state: 'live' }), 3)
  t.equal(valueOf(before, 'fanfare_subscriptions'), 5)
  t.equal(valueOf(before, 'fanfare_subscribed_patterns'), 3)
  stalled.stall()
  for (let n = 0; n < 10; n++) {
    await hubOf(app).publish('a', { text: 'é' })
    if (n === 0) await until(() => stalled.isFull)
  }
  await hubOf(app).publish('a', { data: 1, ephemeral: true })
  await hubOf(app).publish('a', { data: 1, id: 'x' })
  await hubOf(app).publish('a', { data: 1, id: 'x' })
  await until(() => first!.data.length === 12)
  const after = await read()
  const figures = (name: string, labels?: Record<string, string>) => valueOf(after, name, labels)
  t.equal(figures('fanfare_connections', { state: 'live' }), 2)
  t.equal(figures('fanfare_connections', { state: 'waiting' }), 1)
  t.equal(figures('fanfare_published_events_total', { outcome: 'stored' }), 11)
  t.equal(figures('fanfare_published_events_total', { outcome: 'ephemeral' }), 1)
  t.equal(figures('fanfare_published_events_total', { outcome: 'duplicate' }), 1)
  t.equal(figures('fanfare_dispatched_events_total'), 12)
  t.equal(figures('fanfare_dispatched_bytes_total'), 10 * 2 + 1 + 1)
  t.ok(figures('fanfare_sent_events_total')! >= 25, 'two streams get all events, the stalled one the first')
  t.ok(figures('fanfare_sent_bytes_total')! > 25 * 10)
  t.ok(figures('fanfare_max_lag_events')! > 0)
  t.equal(figures('fanfare_log_events'), 11)
  t.equal(figures('fanfare_log_appended_events_total'), 11)
  t.equal(figures('fanfare_log_removed_events_total'), 0)
  t.equal(figures('fanfare_log_topics'), 1)
  t.ok(figures('fanfare_log_limit_bytes')! > 1e6)
  t.equal(figures('fanfare_log_writable'), 1)
  t.equal(figures('fanfare_publish_latency_seconds_count'), 2, 'one publish of eight is measured')
  t.equal(figures('fanfare_append_duration_seconds_count'), 2)
  t.ok(figures('fanfare_sweep_duration_seconds_count')! > 0)
  t.ok(figures('fanfare_batch_events_count')! > 0)
  t.equal(figures('fanfare_cluster_nodes'), 1)

  stalled.drain()
  for (const sink of sinks) sink.close()
  await hubOf(app).purge('a')
  const last = await read()
  t.equal(valueOf(last, 'fanfare_connections', { state: 'live' }), 0)
  t.equal(valueOf(last, 'fanfare_connections_opened_total'), 3)
  t.equal(valueOf(last, 'fanfare_connections_closed_total', { reason: 'gone' }), 3)
  t.equal(valueOf(last, 'fanfare_stalls_total', { outcome: 'recovered' }), 1)
  t.equal(valueOf(last, 'fanfare_log_removed_events_total'), 11)
  t.ok(valueOf(last, 'fanfare_sent_events_total')! >= 36, 'the numbers of ended streams stay')
})

await t.test('the metrics sample one publish of eight, also while the statistics measure each one', async (t) => {
  const { app, subscribe } = await openApp(t)
  await subscribe('a')
  await app.inject({ url: '/nodes', headers: { authorization: `Bearer ${token({ admin: true })}` } })
  for (let n = 0; n < 16; n++) await app.hub.publish('a', { data: n })
  const lines = await poll(
    async () => {
      const read = metricsOf((await app.inject({ url: '/metrics' })).body)
      return valueOf(read, 'fanfare_publish_latency_seconds_count') === 2 ? read : undefined
    },
    () => 'two publishes are measured',
  )
  t.equal(valueOf(lines, 'fanfare_append_duration_seconds_count'), 2)
})

await t.test('finite topics count as all others: their appends, their readers and what these are sent', async (t) => {
  const { app, create, append, events, call } = await openStreams(t)
  const read = async () => metricsOf((await app.inject({ url: '/metrics' })).body)
  const producer = { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }
  await create('a', 'text/plain', 'one')
  for (let n = 0; n < 2; n++) await append('a', 'two', producer)
  const run = await app.hub.streams.open('a')
  await run.append('three')
  const stream = await events(t, 'a?offset=-1&live=sse')
  await stream.until(() => dataOf(stream).join('') === 'onetwothree')
  const polled = call('GET', 'a?offset=now&live=long-poll')
  const open = await poll(
    async () => {
      const lines = await read()
      return valueOf(lines, 'fanfare_connections', { state: 'live' }) === 2 ? lines : undefined
    },
    () => 'the event stream and the long poll are live',
  )
  t.equal(valueOf(open, 'fanfare_published_events_total', { outcome: 'stored' }), 3)
  t.equal(valueOf(open, 'fanfare_published_events_total', { outcome: 'duplicate' }), 1)
  t.equal(valueOf(open, 'fanfare_dispatched_events_total'), 3)
  t.equal(valueOf(open, 'fanfare_dispatched_bytes_total'), 11)
  t.ok(valueOf(open, 'fanfare_append_duration_seconds_count')! > 0)
  t.equal(valueOf(open, 'fanfare_subscriptions'), 2)
  t.equal(valueOf(open, 'fanfare_connections_opened_total'), 2)
  t.equal(valueOf(open, 'fanfare_sent_events_total'), 3)
  const bytes = valueOf(open, 'fanfare_sent_bytes_total')!
  t.ok(bytes > 100)

  await append('a', 'four', { 'stream-closed': 'true' })
  await Promise.all([stream.closed, polled])
  t.equal((await call('GET', 'a')).body, 'onetwothreefour')
  const last = await read()
  t.equal(valueOf(last, 'fanfare_published_events_total', { outcome: 'stored' }), 5, 'the end is an event too')
  t.equal(valueOf(last, 'fanfare_sent_events_total'), 3 + 1 + 1 + 4, 'in the stream, by the poll, and by the read')
  t.ok(valueOf(last, 'fanfare_sent_bytes_total')! >= bytes + 'four'.length + 'onetwothreefour'.length)
  t.equal(valueOf(last, 'fanfare_connections', { state: 'live' }), 0)
  t.equal(valueOf(last, 'fanfare_connections_closed_total', { reason: 'ended' }), 1)
  t.equal(valueOf(last, 'fanfare_connections_closed_total', { reason: 'answered' }), 1)
})

await t.test('a page of history counts as deliveries', async (t) => {
  const { app, send } = await openApp(t)
  for (let n = 0; n < 3; n++) await app.hub.publish('a', { data: n })
  const page = await send({ url: '/topics/a/events', headers: { accept: 'application/json' } })
  const lines = metricsOf((await app.inject({ url: '/metrics' })).body)
  t.equal(valueOf(lines, 'fanfare_sent_events_total'), 3)
  t.equal(valueOf(lines, 'fanfare_sent_bytes_total'), page.rawPayload.length)
})

await t.test('refusals are counted by code, gaps by reason', async (t) => {
  const { app, send } = await openApp(t)
  await app.inject({ method: 'POST', url: '/topics/a/events', payload: { data: 1 } })
  await send({ method: 'POST', url: '/topics/a/events', payload: { data: 1, text: 'b' } })
  await send({ method: 'POST', url: '/topics/a/events', payload: {} })
  await send({ url: '/nothing' })
  await send({ url: '/topics/%ff/events' })
  const values = metricsOf((await app.inject({ url: '/metrics' })).body)
  for (const [code, count] of [
    ['missing-token', 1],
    ['not-found', 1],
    ['draining', 0],
  ] as const)
    t.equal(valueOf(values, 'fanfare_refusals_total', { code }), count, code)
  const all = values.filter(({ name }) => name === 'fanfare_refusals_total')
  t.equal(all.length, Object.keys(refusals).length, 'every code has a number from the start')
  t.equal(
    all.reduce((sum, { value }) => sum + value, 0),
    5,
  )
  t.strictSame(
    values.filter(({ name }) => name === 'fanfare_gaps_total').map(({ labels }) => labels['reason']),
    ['expired', 'epoch', 'future', 'invalid', 'skipped'],
  )
})

await t.test('no metric has a topic or a subject as a label, and the number of lines has a limit', async (t) => {
  const { app, subscribe } = await openApp(t)
  // Node's own metrics get a line for each kind of garbage collection and of handle
  const lines = async () =>
    (await app.inject({ url: '/metrics' })).body.split('\n').filter((line) => !line.startsWith('nodejs_')).length
  await subscribe('first')
  await hubOf(app).publish('first', { data: 1 })
  const before = await lines()
  for (let n = 0; n < 50; n++) {
    await subscribe(`topic.${n}`)
    await hubOf(app).publish(`topic.${n}`, { data: n })
  }
  t.equal(await lines(), before)
  t.notMatch((await app.inject({ url: '/metrics' })).body, /topic\.\d|first/)
})

await t.test('the metrics can be turned off', async (t) => {
  const { app } = await openApp(t, { metrics: false })
  t.equal((await app.inject({ url: '/metrics' })).statusCode, 404)
})

await t.test('an embedded hub serves its metrics below its prefix, or hands them to the application', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/metrics', async () => `own 1\n${await app.hub.metrics()}`)
  await app.register(fanfare, { log: 'memory', jwtSecret: SECRET })
  const own = (await app.inject({ url: '/metrics' })).body
  t.match(own, /^own 1$/m)
  t.match(own, /^fanfare_log_events 0$/m)
  t.notMatch(own, /^(process|nodejs)_/m, 'the application may have these already')

  const other = Fastify()
  t.teardown(() => other.close())
  await other.register(fanfare, { log: 'memory', jwtSecret: SECRET, prefix: '/realtime' })
  t.match((await other.inject({ url: '/realtime/metrics' })).body, /^fanfare_log_events 0$/m)
  t.equal((await other.inject({ url: '/metrics' })).statusCode, 404)
})
