import t from 'tap'
import { HubError } from '../../src/model/hub-error.js'
import type { ListedTopic } from '../../src/schemas/topic.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { hubOf } from '../../src/plugins/hub.js'
import { share } from '../helper/shared-log.js'
import { token } from '../helper/token.js'
import { isProblem, openApp, type OpenApp } from './open-app.js'

interface Page {
  topics: {
    topic: string
    subscribers: number
    events: number
    bytes: number
    firstId: string | null
    lastId: string | null
  }[]
  more: boolean
  cursor: string | null
}

const admin = `Bearer ${token({ sub: 'root', admin: true })}`
const bearer = (subscribe: string[]) => `Bearer ${token({ sub: 'u1', subscribe, publish: ['**'] })}`

/** Returns the names of a page, after checking its form. */
async function list(
  { send }: OpenApp,
  query: string,
  authorization: string | null = admin,
): Promise<{ names: string[]; more: boolean; cursor: string | null }> {
  const response = await send({ method: 'GET', url: `/topics?${query}`, headers: { authorization } })
  if (response.statusCode !== 200) throw new Error(response.body)
  const { topics, more, cursor } = response.json<Page>()
  return { names: topics.map(({ topic }) => topic), more, cursor }
}

await t.test('the list of topics', async (t) => {
  const open = await openApp(t, { anonymousSubscribe: ['news.*'] })
  const names = ['orders.1', 'orders.2', 'users.u1.inbox', 'users.u2.inbox', 'news.today', '__proto__', 'constructor']
  await hubOf(open.app).publishAll(names.map((topic) => ({ topic, data: topic })))
  const sorted = [...names].sort()

  await t.test('has the statistics of each topic', async (t) => {
    await hubOf(open.app).publishAll([
      { topic: 'orders.1', data: 2 },
      { topic: 'orders.1', data: 3 },
    ])
    const sinks = [await open.subscribe('orders.*'), await open.subscribe('orders.1', '**')]
    const response = await open.send({
      method: 'GET',
      url: '/topics?prefix=orders.1',
      headers: { authorization: admin },
    })
    const hub = hubOf(open.app)
    t.match(response.json(), {
      topics: [{ topic: 'orders.1', subscribers: 2, events: 3, firstId: hub.cursor(1), lastId: hub.cursor(9) }],
      more: false,
      cursor: 'orders.1',
    })
    t.equal(response.json<Page>().topics.length, 1)
    t.ok(response.json<Page>().topics[0]!.bytes > 0)
    for (const sink of sinks) sink.close()
  })

  await t.test('is paged, and continues after its cursor', async (t) => {
    t.strictSame(await list(open, ''), { names: sorted, more: false, cursor: 'users.u2.inbox' })
    t.strictSame(await list(open, 'limit=3'), { names: sorted.slice(0, 3), more: true, cursor: sorted[2] })
    t.strictSame(await list(open, `limit=1000&after=${sorted[2]!}`), {
      names: sorted.slice(3),
      more: false,
      cursor: sorted.at(-1),
    })
    t.strictSame(await list(open, 'prefix=users.'), {
      names: ['users.u1.inbox', 'users.u2.inbox'],
      more: false,
      cursor: 'users.u2.inbox',
    })
    t.strictSame(await list(open, 'prefix=nothing'), { names: [], more: false, cursor: null })
  })

  await t.test('has the topics that the token may subscribe to, and no others', async (t) => {
    t.strictSame((await list(open, '', bearer(['orders.*', 'users.{sub}.**']))).names, [
      'news.today',
      'orders.1',
      'orders.2',
      'users.u1.inbox',
    ])
    t.strictSame((await list(open, '', bearer(['__proto__']))).names, ['__proto__', 'news.today'])
    t.strictSame(
      await list(open, 'limit=1&after=news.today', bearer(['users.u1.inbox'])),
      { names: ['users.u1.inbox'], more: false, cursor: 'users.u1.inbox' },
      'the page does not reveal later topics',
    )
    t.strictSame((await list(open, '', null)).names, ['news.today'], 'without a token')
    const closed = await openApp(t)
    isProblem(
      t,
      await closed.send({ method: 'GET', url: '/topics', headers: { authorization: null } }),
      401,
      'missing-token',
    )
    t.strictSame((await list(closed, '', bearer([]))).names, [], 'a token without grants is accepted')
  })

  await t.test('is searched by a part of the name, and by a pattern', async (t) => {
    t.strictSame((await list(open, 'search=INBOX')).names, ['users.u1.inbox', 'users.u2.inbox'])
    t.strictSame((await list(open, 'search=s.u1')).names, ['users.u1.inbox'])
    t.strictSame((await list(open, 'search=orders.*')).names, ['orders.1', 'orders.2'])
    t.strictSame((await list(open, 'search=*.*.inbox')).names, ['users.u1.inbox', 'users.u2.inbox'])
    t.strictSame((await list(open, 'search=**')).names, sorted)
    t.strictSame(await list(open, 'search=o&prefix=orders&limit=1'), {
      names: ['orders.1'],
      more: true,
      cursor: 'orders.1',
    })
    t.strictSame((await list(open, 'search=o&after=orders.1&prefix=orders')).names, ['orders.2'])
    t.strictSame((await list(open, 'search=nothing')).names, [])
    t.strictSame(
      (await list(open, 'search=inbox', bearer(['users.{sub}.**']))).names,
      ['users.u1.inbox'],
      'topics that the token does not grant stay hidden',
    )
    isProblem(
      t,
      await open.send({ method: 'GET', url: '/topics?search=a.**.b', headers: { authorization: admin } }),
      400,
      'invalid-pattern',
    )
  })

  await t.test('has the latest events of each topic if it is asked for them', async (t) => {
    const { send, app } = open
    const get = async (query: string) =>
      (await send({ method: 'GET', url: `/topics?${query}`, headers: { authorization: admin } })).json<{
        topics: ListedTopic[]
      }>().topics
    const before = Date.now()
    await hubOf(app).publish('orders.2', { data: 'new' })
    for (const { activity } of await get('search=orders&activity=true')) {
      t.equal(activity!.counts.length, 30)
      t.ok(activity!.counts.reduce((sum, count) => sum + count) > 0)
      t.ok(activity!.rate > 0)
      t.match(activity!.lastTime, /^\d{4}-.*Z$/)
    }
    const [topic] = await get('search=orders.2&activity=true')
    t.ok(Date.parse(topic!.activity!.lastTime!) >= before - 5)
    t.equal((await get('search=orders.2&activity=false'))[0]!.activity, undefined)
    t.equal((await get('search=orders.2'))[0]!.activity, undefined)
  })

  await t.test('refuses an invalid query', async (t) => {
    for (const query of [
      'limit=0',
      'limit=1001',
      'limit=x',
      'limit=1&limit=2',
      `prefix=${'x'.repeat(201)}`,
      `after=${'x'.repeat(201)}`,
      'after=a&after=b',
      'search=',
      `search=${'x'.repeat(201)}`,
      'activity=yes',
    ]) {
      isProblem(
        t,
        await open.send({ method: 'GET', url: `/topics?${query}`, headers: { authorization: admin } }),
        400,
        'invalid-request',
        query,
      )
    }
    t.strictSame((await list(open, 'prefix=%00%ff%C3%A4')).names, [], 'any text is a prefix')
  })
})

await t.test('a topic whose events are older than the process has the time of its newest event', async (t) => {
  const log = new MemoryLog({ events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 1e6 })
  t.teardown(() => log.close())
  const before = Date.now()
  for (const topic of ['a', 'b', 'a'])
    await hubOf((await openApp(t, { log: share(log) })).app).publish(topic, { data: 1 })
  const { send } = await openApp(t, { log: share(log) })
  for (let reading = 0; reading < 2; reading++) {
    const response = await send({ method: 'GET', url: '/topics?activity=true', headers: { authorization: admin } })
    const { topics } = response.json<{ topics: ListedTopic[] }>()
    t.equal(topics.length, 2)
    for (const { activity } of topics) {
      t.match(activity, { rate: 0, counts: [0, 0] })
      const time = Date.parse(activity!.lastTime!)
      t.ok(time >= before - 5 && time <= Date.now() + 5)
    }
  }
})

await t.test('a topic', async (t) => {
  const { app, send, subscribe } = await openApp(t, { anonymousSubscribe: ['news.*'] })
  await hubOf(app).publish('orders.1', { data: 1 })
  const get = (topic: string, authorization: string | null = bearer(['orders.*'])) =>
    send({ method: 'GET', url: `/topics/${encodeURIComponent(topic)}`, headers: { authorization } })
  const sink = await subscribe('orders.**')
  t.match((await get('orders.1')).json(), {
    topic: 'orders.1',
    subscribers: 1,
    events: 1,
    firstId: hubOf(app).cursor(1),
    lastId: hubOf(app).cursor(1),
  })
  t.strictSame(
    (await get('orders.2')).json(),
    { topic: 'orders.2', subscribers: 1, events: 0, bytes: 0, firstId: null, lastId: null },
    'a subscriber, but no events',
  )
  sink.close()
  t.strictSame(
    (await get('orders.2')).json(),
    { topic: 'orders.2', subscribers: 0, events: 0, bytes: 0, firstId: null, lastId: null },
    'every topic exists by name',
  )
  t.equal((await get('news.today', null)).statusCode, 200, 'needs no token')
  t.equal((await get('anything', admin)).statusCode, 200, 'an admin may describe every topic')
  isProblem(t, await get('users.1'), 403, 'not-granted')
  isProblem(t, await get('orders.1', null), 401, 'missing-token')
  for (const name of ['orders.*', '**', 'a b', 'a..b', 'x'.repeat(201)])
    isProblem(t, await get(name), 400, 'invalid-topic', name)
  isProblem(t, await get('fanfare.stats', bearer(['**'])), 403, 'not-granted', 'reserved')
  t.equal((await get('fanfare.stats', admin)).statusCode, 200)
})

await t.test('a purge', async (t) => {
  await t.test('removes the events of a topic and returns their number', async (t) => {
    const { app, send, subscribe } = await openApp(t)
    await hubOf(app).publishAll([
      { topic: 'a', data: 1 },
      { topic: 'b', data: 2 },
      { topic: 'a', data: 3 },
    ])
    const live = await subscribe('a')
    const purge = (topic: string) =>
      send({ method: 'DELETE', url: `/topics/${encodeURIComponent(topic)}/events`, headers: { authorization: admin } })
    const response = await purge('a')
    t.equal(response.statusCode, 200)
    t.strictSame(response.json(), { purged: 2 })
    t.strictSame((await purge('a')).json(), { purged: 0 })
    t.strictSame((await purge('never')).json(), { purged: 0 })
    const history = async (query: string) =>
      (await send({ method: 'GET', url: `/topics/**/events?${query}`, headers: { accept: 'application/json' } })).json<{
        events: { id: string }[]
        gap: unknown
      }>()
    t.match(await history(`after=${hubOf(app).cursor(0)}`), {
      events: [{ id: hubOf(app).cursor(2) }],
      gap: { reason: 'expired', oldest: hubOf(app).cursor(2) },
    })
    t.match(
      await history(`after=${hubOf(app).cursor(3)}`),
      { events: [], gap: null },
      'a cursor after the purged events gets no gap',
    )
    t.strictSame(live.told('gap'), [], 'a live stream gets no gap')
    for (const bad of ['a.*', 'a b']) isProblem(t, await purge(bad), 400, 'invalid-topic', bad)
    isProblem(t, await purge('fanfare.stats'), 400, 'reserved-topic')
  })

  await t.test('is for admins only', async (t) => {
    const { app, send } = await openApp(t)
    await hubOf(app).publish('a', { data: 1 })
    const purge = (authorization: string | null) =>
      send({ method: 'DELETE', url: '/topics/a/events', headers: { authorization } })
    t.match(isProblem(t, await purge(bearer(['**'])), 403, 'not-granted').detail, /"admin": true/)
    isProblem(t, await purge(null), 401, 'missing-token')
    t.equal(hubOf(app).stats().events, 1)
  })

  await t.test('is refused temporarily while the log is unavailable', async (t) => {
    const { app, send } = await openApp(t)
    t.intercept(hubOf(app), 'purge', {
      value: () => Promise.reject(new HubError('log-unavailable', 'The disk is full.')),
    })
    const response = await send({ method: 'DELETE', url: '/topics/a/events', headers: { authorization: admin } })
    isProblem(t, response, 503, 'log-unavailable')
    t.match(response.headers['retry-after'], /^\d+$/)
  })
})
