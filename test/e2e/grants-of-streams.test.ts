/** No stream carries an event of a topic that its token does not grant, or after its token has expired. */
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { poll, within } from '../helper/deadline.js'
import { history, publish, request } from '../helper/http.js'
import { difference, due, inLogOrder, matches, publishConcurrently } from '../helper/oracle.js'
import { startHub } from '../helper/process.js'
import { random } from '../helper/random.js'
import { PATTERNS, PUBLISHERS, TOPICS } from '../helper/selections.js'
import { openLive, openStream, streamUrl } from '../helper/stream.js'
import { token } from '../helper/token.js'

/** The additional time that a busy machine may need to notice the end of a stream, in milliseconds. */
const LAG = 250

await t.test('no stream gets events of topics that its token does not grant', async (t) => {
  const hub = await startHub(t)
  const numbers = random(7)
  const publisher = token({ publish: ['**'] })
  const topics = [...TOPICS, 'users.u1.inbox', 'users.u2.inbox', 'users.u3.inbox', 'users.u1', 'users.u1.inbox.unread']

  const subscribers = await Promise.all(
    Array.from({ length: 120 }, async (_, n) => {
      const sub = `u${1 + (n % 4)}`
      const own = `users.${sub}.inbox`
      const grants = [numbers.pick(TOPICS), numbers.pick(PATTERNS.slice(1)), 'users.{sub}.inbox']
      const asked = n % 2 === 0 ? [grants[0]!, grants[1]!, own] : [own]
      const stream = await openLive(t, streamUrl(hub, asked), { token: token({ sub, subscribe: grants }) })
      return { asked, stream }
    }),
  )
  const log = await publishConcurrently(hub, {
    publishers: PUBLISHERS,
    each: 60,
    topics,
    random: random(8),
    token: publisher,
  })
  const last = await Promise.all(
    topics.map(async (topic) => ({ ...(await publish(hub, topic, { data: 'end' }, publisher)), data: '"end"' })),
  )
  log.push(...inLogOrder(last))
  for (const { asked, stream } of subscribers) {
    const expected = due(log, asked)
    if (expected.length > 0) await stream.until(() => stream.events.at(-1)?.id === expected.at(-1)?.id)
    t.equal(difference(stream.events, expected), 'none', asked.join(' '))
  }

  await t.test('a pattern that no grant covers is refused with its name', async (t) => {
    const bearer = token({ sub: 'u1', subscribe: ['shop1.*.*', 'users.{sub}.inbox', 'open.**'] })
    for (const topic of [
      'shop2.orders.2',
      'users.u2.inbox',
      'users.{sub}.inbox',
      'shop1.**',
      '*.orders.1',
      '**',
      'open',
      'users.*.inbox',
    ]) {
      const headers = { accept: 'text/event-stream', authorization: `Bearer ${bearer}` }
      const answer = await request<{ detail?: string }>(streamUrl(hub, [topic]), { headers })
      if (topic.includes('{')) t.equal(answer.status, 400, `${topic} is not a valid pattern for a stream`)
      else {
        t.equal(answer.status, 403, topic)
        t.ok(answer.body.detail?.includes(topic), `the answer names the pattern: ${answer.body.detail ?? ''}`)
      }
      const one = await request<{ detail?: string }>(streamUrl(hub, ['shop1.orders.1', topic]), { headers })
      t.equal(one.status, topic.includes('{') ? 400 : 403, `${topic} beside a granted topic`)
    }
    for (const topic of ['shop1.orders.1', 'shop1.*.*', 'shop1.orders.*', 'users.u1.inbox', 'open.**', 'open.a.*']) {
      await openLive(t, streamUrl(hub, [topic]), { token: bearer })
      t.pass(`${topic} is covered`)
    }
  })

  await t.test('history has no events of other topics', async (t) => {
    const bearer = token({ subscribe: ['shop1.*.*'] })
    t.equal((await history(hub, 'shop2.orders.2', 'last=10', bearer)).status, 403)
    t.equal((await history(hub, '**', 'last=10', bearer)).status, 403)
    const { status, body } = await history(hub, 'shop1.orders.*', 'last=1000', bearer)
    t.equal(status, 200)
    t.strictSame(
      body.events.map(({ id }) => id),
      log.filter(({ topic }) => matches(['shop1.orders.*'], topic)).map(({ id }) => id),
    )
  })
})

await t.test('a stream ends within a second of its token’s expiry', async (t) => {
  const hub = await startHub(t)
  const publisher = token({ publish: ['**'] })
  const expiring = (n: number, exp: number): string => token({ subscribe: ['**'], publish: ['**'], exp, sub: `u${n}` })
  const now = Date.now()
  const expiries = Array.from({ length: 60 }, (_, n) => Math.ceil(now / 1000) + 1 + (n % 3))
  const streams = await Promise.all(
    expiries.map(async (exp, n) => ({
      exp,
      stream: await openLive(t, streamUrl(hub, ['news']), { token: expiring(n, exp) }),
    })),
  )
  const forever = await openLive(t, streamUrl(hub, ['news']), { token: token({ subscribe: ['**'] }) })

  const stopped = new AbortController()
  const publishing = (async () => {
    for (let n = 0; !stopped.signal.aborted; n++) {
      await publish(hub, 'news', { data: n }, publisher)
      await delay(20) // the rate of publishing
    }
  })()
  for (const { exp, stream } of streams) {
    const closed = performance.timeOrigin + (await within(stream.closed, () => stream.describe()))
    t.ok(closed >= exp * 1000 - 50, 'not before the expiry')
    t.ok(closed <= exp * 1000 + 1000 + LAG, `${Math.round(closed - exp * 1000)} ms after the expiry`)
    t.equal(stream.all.at(-1)?.type, 'fanfare.close')
    t.strictSame(JSON.parse(stream.all.at(-1)!.data), { reason: 'expired' })
  }
  stopped.abort()
  await publishing
  const { id } = await publish(hub, 'news', { data: 'last' }, publisher)
  await forever.until(() => forever.lastId === id)
  t.notOk(forever.isClosed, 'a stream of a token without expiry stays open')

  const headers = { authorization: `Bearer ${expiring(0, expiries[0]!)}`, 'content-type': 'application/json' }
  const resumed = await request(streamUrl(hub, ['news']), {
    headers: { ...headers, 'last-event-id': streams[0]!.stream.lastId! },
  })
  t.equal(resumed.status, 401, 'an expired token cannot resume')
  t.equal(
    (await request(streamUrl(hub, ['news']), { method: 'POST', headers, body: '{"data":1}' })).status,
    401,
    'an expired token cannot publish',
  )
})

await t.test('a stream never outlives the exp of its token, even within the tolerance for clocks', async (t) => {
  const TOLERANCE = 5
  const hub = await startHub(t, { FANFARE_CLOCK_TOLERANCE: `${TOLERANCE}s` })
  const exp = Math.ceil(Date.now() / 1_000) + 1
  const bearer = token({ sub: 'ann', subscribe: ['**'], exp })
  const endOf = async (stream: Awaited<ReturnType<typeof openLive>>, due: number, what: string): Promise<void> => {
    const closed = performance.timeOrigin + (await within(stream.closed, () => stream.describe()))
    t.ok(
      closed >= due * 1_000 - 50 && closed <= due * 1_000 + 1_000 + LAG,
      `${what}: ${Math.round(closed - due * 1_000)} ms after it`,
    )
    t.strictSame(JSON.parse(stream.all.at(-1)!.data), { reason: 'expired' })
  }
  await endOf(
    await openLive(t, streamUrl(hub, ['news']), { token: bearer }),
    exp,
    'a stream that was open ends at the exp',
  )
  const later = await openStream(t, streamUrl(hub, ['news']), { token: bearer })
  await within(later.closed, () => later.describe())
  t.strictSame(
    later.all.map(({ type }) => type),
    ['fanfare.open', 'fanfare.close'],
    'a later stream ends at once',
  )
  await poll(
    async () => (Date.now() >= (exp + TOLERANCE) * 1_000 ? true : undefined),
    () => 'the tolerance does not end',
  )
  t.equal((await request(streamUrl(hub, ['news']), { headers: { authorization: `Bearer ${bearer}` } })).status, 401)
})
