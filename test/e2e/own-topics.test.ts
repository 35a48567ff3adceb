/** The hub's own topics, over real sockets. */
import t from 'tap'
import { publish, request } from '../helper/http.js'
import { startHub } from '../helper/process.js'
import { openLive, openStream, streamUrl } from '../helper/stream.js'
import { token } from '../helper/token.js'

const admin = token({ sub: 'root', admin: true })
const ann = token({ sub: 'ann', subscribe: ['**'], publish: ['**'] })

const hub = await startHub(t)

interface Stats {
  connections: number
  events: { in: number; out: number }
  latency: { p50: number; p99: number }
}

await t.test('an admin is told once a second what goes through the hub', async (t) => {
  const stats = await openLive(t, streamUrl(hub, ['fanfare.stats']), { token: admin })
  const reader = await openLive(t, streamUrl(hub, ['orders.*']), { token: ann })
  await stats.next(({ type }) => type === undefined) // the beginning of a second
  for (let n = 0; n < 20; n++) await publish(hub, 'orders.1', { data: n }, ann)
  await reader.count(20)
  const { data, id } = await stats.next(({ data, type }) => type === undefined && (JSON.parse(data) as Stats).events.in > 0)
  const { connections, events, latency } = JSON.parse(data) as Stats
  t.equal(connections, 2)
  t.equal(id, undefined, 'it is not stored')
  t.ok(events.out >= events.in, JSON.stringify(events))
  t.ok(latency.p50 > 0 && latency.p99 < 10_000, JSON.stringify(latency))
  const history = await request<{ events: unknown[] }>(streamUrl(hub, ['fanfare.stats']), { headers: { accept: 'application/json', authorization: `Bearer ${admin}` } })
  t.match(history.body, { events: [] })
})

await t.test('an admin is told of every connection', async (t) => {
  const told = await openLive(t, streamUrl(hub, ['fanfare.connections']), { token: admin })
  const stream = await openLive(t, streamUrl(hub, ['a']), { token: ann })
  const id = String(stream.headers['fanfare-connection'])
  const next = async () => JSON.parse((await told.next(({ data }) => data.includes(id))).data) as unknown
  t.match(await next(), { change: 'opened', id, subject: 'ann', topics: ['a'] })
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${ann}` }
  await request(`${hub.url}/connections/${id}`, { method: 'PATCH', headers, body: JSON.stringify({ subscribe: ['b'] }) })
  t.match(await next(), { change: 'changed', id, topics: ['a', 'b'] })
  const narrower = token({ sub: 'ann', subscribe: ['a', 'b'], exp: 4_000_000_000 })
  await request(`${hub.url}/connections/${id}/token`, { method: 'PUT', headers: { authorization: `Bearer ${narrower}` } })
  t.match(await next(), { change: 'changed', id, topics: ['a', 'b'], expiresAt: '2096-10-02T07:06:40.000Z' })
  await request(`${hub.url}/connections/${id}`, { method: 'DELETE', headers: { authorization: `Bearer ${admin}` } })
  t.match(await next(), { change: 'closed', id, reason: 'revoked' })

  const leaving = await openLive(t, streamUrl(hub, ['a']), { token: ann })
  const gone = String(leaving.headers['fanfare-connection'])
  leaving.destroy()
  t.match(JSON.parse((await told.next(({ data }) => data.includes(gone) && data.includes('closed'))).data), { id: gone, reason: 'gone' })
})

await t.test('they are for admins', async (t) => {
  for (const topic of ['fanfare.stats', 'fanfare.connections', 'fanfare.*']) {
    await t.rejects(openStream(t, streamUrl(hub, [topic]), { token: ann }), /403/, topic)
    await t.rejects(publish(hub, topic, { data: 1 }, admin), /40[03]/, topic)
  }
})
