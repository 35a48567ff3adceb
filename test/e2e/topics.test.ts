/** Topics over real sockets: listing, describing and purging them. */
import t from 'tap'
import { poll } from '../helper/deadline.js'
import { history, publish, publishBatch, send, type Published } from '../helper/http.js'
import { checkProblem } from '../helper/problem.js'
import { startHub } from '../helper/process.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { token } from '../helper/token.js'

const admin = token({ sub: 'root', admin: true })
const publisher = token({ publish: ['**'] })
const subscriber = token({ sub: 'ann', subscribe: ['**'] })

interface Topic {
  topic: string
  subscribers: number
  events: number
  bytes: number
  firstId: string | null
  lastId: string | null
}

interface Page {
  topics: Topic[]
  more: boolean
  cursor: string | null
}

const names = ['news.today', 'orders.1', 'orders.10', 'orders.2', 'users.ann.inbox', 'users.bob.inbox']

const plain = await startHub(t)

await t.test('the list of topics', async (t) => {
  const hub = await startHub(t, { FANFARE_ANONYMOUS_SUBSCRIBE: 'news.*' })
  const list = (query: string, bearer?: string) => send<Page>(hub, 'GET', `/topics?${query}`, { token: bearer })
  const namesOf = async (query: string, bearer?: string) =>
    (await list(query, bearer)).body.topics.map(({ topic }) => topic)
  const published = await publishBatch(
    hub,
    [...names].reverse().map((topic) => ({ topic, data: topic })),
    publisher,
  )
  const idOf = (topic: string) => published.find((event) => event.topic === topic)!.id

  await t.test('has all topics for an admin, sorted by name, with their statistics', async (t) => {
    const { status, body } = await list('', admin)
    t.equal(status, 200)
    t.strictSame(
      body.topics.map(({ bytes, ...rest }) => ({ ...rest, bytes: bytes > 0 })),
      names.map((topic) => ({
        topic,
        subscribers: 0,
        events: 1,
        firstId: idOf(topic),
        lastId: idOf(topic),
        bytes: true,
      })),
    )
    t.match(body, { more: false, cursor: names.at(-1) })
  })

  await t.test('can be filtered by a prefix', async (t) => {
    t.strictSame(await namesOf('prefix=orders.', admin), ['orders.1', 'orders.10', 'orders.2'])
    t.strictSame(
      await namesOf('prefix=orders.1', admin),
      ['orders.1', 'orders.10'],
      'a prefix need not end at a segment',
    )
    t.strictSame((await list('prefix=nothing', admin)).body, { topics: [], more: false, cursor: null })
  })

  await t.test('comes in pages, each after the cursor of the previous one', async (t) => {
    const seen: string[] = []
    let page: Page = { topics: [], more: true, cursor: null }
    for (let n = 0; page.more && n < 10; n++) {
      page = (await list(`limit=2${page.cursor === null ? '' : `&after=${page.cursor}`}`, admin)).body
      t.ok(page.topics.length === 2)
      seen.push(...page.topics.map(({ topic }) => topic))
    }
    t.strictSame(seen, names)
    t.match(await list('prefix=orders.&limit=1&after=orders.1', admin), {
      body: { topics: [{ topic: 'orders.10' }], more: true, cursor: 'orders.10' },
    })
  })

  await t.test('has only granted topics for other subjects, and does not reveal more', async (t) => {
    t.strictSame(await namesOf('', token({ sub: 'ann', subscribe: ['orders.*', 'users.{sub}.**'] })), [
      'news.today',
      'orders.1',
      'orders.10',
      'orders.2',
      'users.ann.inbox',
    ])
    t.match((await list('limit=1&after=news.today', token({ subscribe: ['orders.1'] }))).body, {
      topics: [{ topic: 'orders.1' }],
      more: false,
    })
    t.strictSame(await namesOf('', publisher), ['news.today'], 'a publish grant is not enough')
    t.strictSame(await namesOf(''), ['news.today'], 'without a token: anonymous topics')
  })

  await t.test('needs a token unless topics are open to all', async (t) => {
    checkProblem(t, await send(plain, 'GET', '/topics'), 401, 'no token')
  })

  await t.test('refuses an invalid query', async (t) => {
    for (const query of ['limit=0', 'limit=1001', 'limit=x', `prefix=${'x'.repeat(201)}`, 'after=a&after=b'])
      t.equal(checkProblem(t, await list(query, admin), 400, query).code, 'invalid-request')
  })
})

await t.test('the statistics of a topic', async (t) => {
  const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '3', FANFARE_ANONYMOUS_SUBSCRIBE: 'news.*' })
  const get = (topic: string, bearer?: string) =>
    send<Topic>(hub, 'GET', `/topics/${encodeURIComponent(topic)}`, { token: bearer })

  await t.test('count the streams of the topic, by name or by pattern', async (t) => {
    t.strictSame(
      (await get('orders.1', subscriber)).body,
      { topic: 'orders.1', subscribers: 0, events: 0, bytes: 0, firstId: null, lastId: null },
      'every topic exists by name',
    )
    const [first] = await Promise.all(
      [['orders.1'], ['orders.*'], ['orders.2'], ['orders.1', '**']].map((topics) =>
        openLive(t, streamUrl(hub, topics), { token: subscriber }),
      ),
    )
    t.equal((await get('orders.1', subscriber)).body.subscribers, 3)
    first!.destroy()
    await poll(
      async () => ((await get('orders.1', subscriber)).body.subscribers === 2 ? true : undefined),
      () => 'the statistics still count the ended stream',
    )
  })

  await t.test('follow publishes and trims', async (t) => {
    const events: Published[] = []
    for (let n = 0; n < 5; n++) events.push(await publish(hub, 'kept', { data: n }, publisher))
    const body = await poll(
      async () => {
        const { body } = await get('kept', subscriber)
        return body.events === 3 ? body : undefined
      },
      () => 'the topic does not have three events',
    )
    t.match(body, { topic: 'kept', events: 3, firstId: events[2]!.id, lastId: events[4]!.id })
    const { bytes } = body
    await publish(hub, 'kept', { text: 'x'.repeat(10_000) }, publisher)
    t.ok((await get('kept', subscriber)).body.bytes >= bytes + 9_000)
  })

  await t.test('are for tokens with a subscribe grant, and for admins', async (t) => {
    t.equal((await get('orders.1', token({ subscribe: ['orders.*'] }))).status, 200)
    t.equal((await get('orders.1', admin)).status, 200)
    t.equal((await get('news.today')).status, 200, 'anonymous topics need no grant')
    t.match(
      checkProblem(
        t,
        await get('orders.1', token({ subscribe: ['users.*'], publish: ['**'] })),
        403,
        'a token with other grants',
      ).detail,
      /"orders\.1"/,
    )
    t.equal(checkProblem(t, await get('orders.1'), 401, 'no token').code, 'missing-token')
    t.equal(checkProblem(t, await get('orders.*', subscriber), 400, 'a pattern').code, 'invalid-topic')
  })
})

await t.test('a purge', async (t) => {
  const hub = plain
  const purge = (topic: string, bearer?: string) =>
    send<{ purged: number }>(hub, 'DELETE', `/topics/${encodeURIComponent(topic)}/events`, { token: bearer })
  const fill = (prefix: string) =>
    publishBatch(
      hub,
      ['a', 'b', 'a'].map((name) => ({ topic: `${prefix}.${name}`, data: name })),
      publisher,
    )

  await t.test('removes all events of a topic and no others', async (t) => {
    const [, other] = await fill('gone')
    t.match(await purge('gone.a', admin), { status: 200, body: { purged: 2 } })
    t.match(await purge('gone.a', admin), { status: 200, body: { purged: 0 } })
    t.match(await send(hub, 'GET', '/topics/gone.a', { token: subscriber }), {
      body: { events: 0, bytes: 0, firstId: null, lastId: null },
    })
    t.strictSame(
      (await history(hub, 'gone.*', 'last=10', subscriber)).body.events.map(({ id }) => id),
      [other!.id],
    )
    t.strictSame(
      (await send<Page>(hub, 'GET', '/topics?prefix=gone.', { token: admin })).body.topics.map(({ topic }) => topic),
      ['gone.b'],
    )
  })

  await t.test('is a gap for a resume before it, and nothing for a live stream', async (t) => {
    const live = await openLive(t, streamUrl(hub, ['told.*']), { token: subscriber })
    const before = live.lastId!
    const events = await fill('told')
    await live.count(3)
    await purge('told.a', admin)
    const resumed = await openLive(t, streamUrl(hub, ['told.*']), { token: subscriber, lastEventId: before })
    t.match(resumed.all.find(({ type }) => type === 'fanfare.gap')?.data, /"reason":"expired"/)
    t.strictSame(
      resumed.events.map(({ id }) => id),
      [events[1]!.id],
    )
    const { id } = await publish(hub, 'told.a', { data: 'after it' }, publisher)
    await live.until(() => live.lastId === id)
    t.notOk(live.all.some(({ type }) => type === 'fanfare.gap'))
  })

  await t.test('is for admins only', async (t) => {
    await fill('safe')
    t.match(
      checkProblem(
        t,
        await purge('safe.a', token({ sub: 'ann', subscribe: ['**'], publish: ['**'] })),
        403,
        'a token without admin',
      ).detail,
      /"admin": true/,
    )
    t.equal(checkProblem(t, await purge('safe.a'), 401, 'no token').code, 'missing-token')
    for (const [topic, code] of [
      ['safe.*', 'invalid-topic'],
      ['fanfare.stats', 'reserved-topic'],
    ] as const)
      t.equal(checkProblem(t, await purge(topic, admin), 400, topic).code, code)
    t.equal((await history(hub, 'safe.a', 'last=10', subscriber)).body.events.length, 2)
  })

  await t.test('is durable once the hub has answered, even if the hub is killed', async (t) => {
    const env = { FANFARE_LOG: `file:${t.testdir()}` }
    const first = await startHub(t, env)
    await publish(first, 'a', { data: 1 }, publisher)
    const kept = await publish(first, 'b', { data: 2 }, publisher)
    t.match(await send(first, 'DELETE', '/topics/a/events', { token: admin }), { status: 200, body: { purged: 1 } })
    await first.kill()
    const second = await startHub(t, env)
    t.strictSame(
      (await history(second, '**', 'last=10', subscriber)).body.events.map(({ id }) => id),
      [kept.id],
    )
  })
})
