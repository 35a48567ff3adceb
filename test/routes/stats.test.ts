import t from 'tap'
import { poll } from '../helper/deadline.js'
import { token } from '../helper/token.js'
import { hubOf } from '../../src/plugins/hub.js'
import type { StatsHistory } from '../../src/schemas/stats.js'
import { isProblem, openApp } from './open-app.js'

const admin = { authorization: `Bearer ${token({ sub: 'root', admin: true })}` }

await t.test('the history of the statistics has a column for each figure', async (t) => {
  const { app, send, subscribe } = await openApp(t)
  await subscribe('a')
  await hubOf(app).publish('a', { text: 'four' })
  const history = await poll(
    async () => {
      const response = await send({ method: 'GET', url: '/stats?range=1m', headers: admin })
      const body = response.json<StatsHistory>()
      return body.events.in.some((rate) => rate !== null && rate > 0) ? body : undefined
    },
    () => 'the event is in no period',
  )
  t.equal(history.interval, 5)
  t.equal(Date.parse(history.from) % 5_000, 0)
  const { connections, topics, events, bytes, memory, log, eventLoopDelay, latency, lagging } = history
  const columns = [connections, topics, events.in, events.out, bytes.in, bytes.out, memory, log.events, log.bytes]
  for (const column of [...columns, eventLoopDelay, latency.p50, latency.p99, lagging])
    t.equal(column.length, connections.length)
  t.equal(connections.at(-1), 1)
  t.equal(topics.at(-1), 1)
  t.equal(log.events.at(-1), 1)
  t.ok(events.out.some((rate) => rate !== null && rate > 0))
  t.equal(history.nodes, undefined)
})

await t.test('only admins read it, and only for ranges up to an hour', async (t) => {
  const { send } = await openApp(t)
  const get = (query: string, headers: Record<string, string | null>) =>
    send({ method: 'GET', url: `/stats${query}`, headers })
  isProblem(t, await get('', { authorization: null }), 401, 'missing-token')
  t.match(isProblem(t, await get('', {}), 403, 'not-granted').detail, /"admin": true/)
  for (const range of ['59s', '61m', '2h', '', 'hour', '-1m'])
    isProblem(t, await get(`?range=${range}`, admin), 400, 'invalid-request', range)
  isProblem(t, await get('?from=1h', admin), 400, 'unknown-parameter')
  for (const range of ['1m', '15m', '1h', '3600s']) t.equal((await get(`?range=${range}`, admin)).statusCode, 200)
})
