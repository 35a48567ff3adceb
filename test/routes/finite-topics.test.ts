/** Finite topics at the routes of ordinary topics. */
import t from 'tap'
import { poll } from '../helper/deadline.js'
import { token } from '../helper/token.js'
import { isProblem, openApp } from './open-app.js'
import { hubOf } from '../../src/plugins/hub.js'

const EVENT_STREAM = { accept: 'text/event-stream' }

await t.test('a reconnect behind the end is answered with 204', async (t) => {
  const { app, send } = await openApp(t)
  const { finite } = hubOf(app)
  await finite.create('a', { contentType: 'text/plain' }, { messages: [{ kind: 'text', payload: 'x' }], end: 'done' })
  const url = '/topics/a/events'
  const whole = await send({ url: `${url}?from=start`, headers: EVENT_STREAM })
  t.equal(whole.statusCode, 200)
  const end = hubOf(app).cursor(2)
  t.match(whole.body, `id: ${end}\nevent: fanfare.end\ndata: {"status":"done"}\n\n`)
  t.ok(whole.body.endsWith('data: {"status":"done"}\n\n'))
  const behind = await send({ url, headers: { ...EVENT_STREAM, 'last-event-id': end } })
  t.match(behind, { statusCode: 204, body: '', headers: { 'cache-control': 'no-store' } })
  t.equal((await send({ url: `${url}?lastEventId=${end}`, headers: EVENT_STREAM })).statusCode, 204)
  const before = await send({ url, headers: { ...EVENT_STREAM, 'last-event-id': hubOf(app).cursor(1) } })
  t.match(before, { statusCode: 200, body: /fanfare\.end/ })
  const two = await send({ method: 'HEAD', url: `/events?topic=a&topic=b&lastEventId=${end}`, headers: EVENT_STREAM })
  t.equal(two.statusCode, 200)
})

await t.test('a reconnect behind the end of a topic that was removed is answered with 204', async (t) => {
  const { app, send } = await openApp(t)
  const { finite } = hubOf(app)
  await finite.create('a', { contentType: 'text/plain' }, { messages: [{ kind: 'text', payload: 'x' }] })
  await finite.delete('a')
  const end = hubOf(app).cursor(2)
  const behind = await send({ url: '/topics/a/events', headers: { ...EVENT_STREAM, 'last-event-id': end } })
  t.equal(behind.statusCode, 204)
  const first = await send({ method: 'HEAD', url: '/topics/a/events?from=start', headers: EVENT_STREAM })
  t.equal(first.statusCode, 200, 'a subscriber that has not read the end gets a stream')
  const later = await send({ method: 'HEAD', url: '/topics/a/events', headers: EVENT_STREAM })
  t.equal(later.statusCode, 200, 'a new subscriber waits for the next topic of this name')
  await finite.create('a', { contentType: 'text/plain' })
  const again = await send({
    method: 'HEAD',
    url: '/topics/a/events',
    headers: { ...EVENT_STREAM, 'last-event-id': end },
  })
  t.equal(again.statusCode, 200, 'the topic was created again')
})

await t.test('a reconnect behind the end of a topic that is being removed is answered with 204', async (t) => {
  const { app, send } = await openApp(t)
  const { finite, records } = hubOf(app)
  const swap = records.swap.bind(records)
  let isRemoving = false
  records.swap = async (key, before, after) => {
    if (!(after as { deleted?: true } | undefined)?.deleted) return swap(key, before, after)
    isRemoving = true
    return new Promise(() => undefined) // it lasts until the test is over
  }
  await finite.create('a', { contentType: 'text/plain', ttl: 50 }, { messages: [{ kind: 'text', payload: 'x' }] })
  await poll(
    async () => isRemoving || undefined,
    () => 'the topic did not expire',
  )
  t.ok(finite.has('a'))
  const headers = { ...EVENT_STREAM, 'last-event-id': hubOf(app).cursor(2) }
  t.equal((await send({ url: '/topics/a/events', headers })).statusCode, 204)
})

await t.test('history includes the end', async (t) => {
  const { app, send } = await openApp(t)
  const { finite } = hubOf(app)
  await finite.create('a', { contentType: 'text/plain' })
  await finite.append('a', {
    messages: [{ kind: 'text', payload: 'é' }],
    producer: { id: 'secret', epoch: 0, seq: 0 },
    end: 'error',
  })
  const history = await send({ url: '/topics/a/events', headers: { accept: 'application/json' } })
  t.match(history.json(), { events: [{ text: 'é' }, { type: 'fanfare.end', data: { status: 'error' } }] })
  t.notMatch(history.body, /secret|attributes/)
})

await t.test('publishing to a finite topic and purging it are refused', async (t) => {
  const { app, send } = await openApp(t)
  await hubOf(app).finite.create('a.b', { contentType: 'text/plain' })
  const one = await send({ method: 'POST', url: '/topics/a.b/events', payload: { data: 1 } })
  t.match(isProblem(t, one, 409, 'finite-topic').detail, /\/streams\/a\/b/)
  const ephemeral = { data: 1, ephemeral: true }
  isProblem(t, await send({ method: 'POST', url: '/topics/a.b/events', payload: ephemeral }), 409, 'finite-topic')
  const mixed = await send({
    method: 'POST',
    url: '/events',
    payload: {
      events: [
        { topic: 'b', data: 1 },
        { topic: 'a.b', ...ephemeral },
      ],
    },
  })
  t.match(isProblem(t, mixed, 409, 'finite-topic').errors, [{ path: '/events/1' }])
  const events = [
    { topic: 'b', data: 1 },
    { topic: 'a.b', data: 1 },
  ]
  const batch = await send({ method: 'POST', url: '/events', payload: { events } })
  t.match(isProblem(t, batch, 409, 'finite-topic').errors, [{ path: '/events/1' }])
  const lines = await send({
    method: 'POST',
    url: '/events',
    headers: { 'content-type': 'application/x-ndjson' },
    payload: events.map((event) => `${JSON.stringify(event)}\n`).join(''),
  })
  isProblem(t, lines, 409, 'finite-topic')
  isProblem(
    t,
    await send({
      method: 'DELETE',
      url: '/topics/a.b/events',
      headers: { authorization: `Bearer ${token({ admin: true })}` },
    }),
    409,
    'finite-topic',
  )
})
