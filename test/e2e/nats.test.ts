/** Several hubs on NATS, which act as one. */
import t, { type Test } from 'tap'
import { poll } from '../helper/deadline.js'
import { history, post, publish, request, send } from '../helper/http.js'
import { skipNats, startNats, type NatsServer } from '../helper/nats.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, openStream, streamUrl, type EventStream } from '../helper/stream.js'
import { startTcpProxy } from '../helper/tcp-proxy.js'
import { token } from '../helper/token.js'
import type { Node } from '../../src/schemas/node.js'

const admin = token({ sub: 'admin', subscribe: ['**'], publish: ['**'], presence: ['**'], admin: true })
const authorization = `Bearer ${admin}`

function startHubs(t: Test, server: NatsServer, env: Record<string, string> = {}): Promise<[Hub, Hub]> {
  const settings = { FANFARE_LOG: server.address, FANFARE_NATS_TIMEOUT: '500ms', ...env }
  return Promise.all([startHub(t, settings), startHub(t, settings)])
}

await t.test('two hubs act as one', { skip: skipNats }, async (t) => {
  const server = await startNats(t)
  const [a, b] = await startHubs(t, server)
  const live = await openLive(t, streamUrl(b, ['news']), { token: admin })
  const { id } = await publish(a, 'news', { text: 'one', id: 'x' }, admin)
  t.match(await publish(b, 'news', { text: 'again', id: 'x' }, admin), { id, duplicate: true })
  await publish(b, 'news', { text: 'two' }, admin)
  await publish(a, 'news', { text: 'fleeting', ephemeral: true }, admin)
  await live.until(() => live.events.length === 3)
  t.strictSame(
    live.events.map(({ data }) => data),
    ['one', 'two', 'fleeting'],
  )
  const resumed = await openStream(t, streamUrl(a, ['news']), { token: admin, lastEventId: id })
  await resumed.until(() => resumed.events.length === 1)
  t.match(resumed.events, [{ data: 'two' }])
  t.match((await history(a, 'news', '', admin)).body, (await history(b, 'news', '', admin)).body)
  const present = async () =>
    (
      await request<{ subjects: { connections: number }[] }>(`${a.url}/topics/news/presence`, {
        headers: { authorization },
      })
    ).body.subjects
  await poll(
    async () => ((await present())[0]?.connections === 2 ? true : undefined),
    () => 'presence is not shared',
  )
  const purged = await request(`${b.url}/topics/news/events`, { method: 'DELETE', headers: { authorization } })
  t.equal(purged.status, 200)
  await poll(
    async () => ((await history(a, 'news', '', admin)).body.events.length === 0 ? true : undefined),
    () => 'the purge is not shared',
  )
})

await t.test('a hub acts on the streams of another one', { skip: skipNats }, async (t) => {
  const [a, b] = await startHubs(t, await startNats(t), { FANFARE_PRESENCE_GRACE: '100ms' })
  const ann = token({ sub: 'ann', subscribe: ['a', 'b'] })
  const watch = await openLive(t, streamUrl(a, ['a'], { presence: 'true' }), { token: admin })
  const live = await openLive(t, streamUrl(b, ['a']), { token: ann })
  const has = (stream: EventStream, type: string) => stream.all.some((event) => event.type === type)
  await watch.until(() => watch.all.some(({ type, data }) => type === 'fanfare.join' && data.includes('"ann"')))
  const path = `/connections/${String(live.headers['fanfare-connection'])}`
  t.match((await send(a, 'GET', path, { token: ann })).body, { subject: 'ann', topics: ['a'] })
  t.match((await send(a, 'GET', '/connections?subject=ann', { token: admin })).body, {
    connections: [{ topics: ['a'] }],
  })
  const moved = await send(a, 'PATCH', path, { token: ann, body: { subscribe: ['b'], unsubscribe: ['a'] } })
  t.match(moved, { status: 200, body: { topics: ['b'] } })
  await watch.until(() => has(watch, 'fanfare.leave'))
  t.equal((await send<object[]>(b, 'GET', '/nodes', { token: admin })).body.length, 2)
  t.match((await send(a, 'DELETE', '/connections?subject=ann', { token: admin })).body, { closed: 1 })
  await live.until(() => has(live, 'fanfare.close'))
})

await t.test('each hub is listed with what it carries, also one that is frozen', { skip: skipNats }, async (t) => {
  const [a, b] = await startHubs(t, await startNats(t))
  const live = await openLive(t, streamUrl(b, ['news']), { token: admin })
  await publish(a, 'news', { text: 'one' }, admin)
  await live.until(() => live.events.length === 1)
  const name = String(live.headers['fanfare-connection']).slice(0, -17)
  /** Returns the processes, `b` last, when `b` answers or does not. */
  const list = (unreachable: boolean) =>
    poll(
      async () => {
        const nodes = (await send<Node[]>(a, 'GET', '/nodes', { token: admin })).body
        const other = nodes.find(({ node }) => node === name)
        return other?.unreachable === unreachable ? [...nodes.filter((node) => node !== other), other] : undefined
      },
      () => `the other hub is not listed with unreachable: ${String(unreachable)}`,
    )
  const both = await list(false)
  t.match(both, [
    { published: 1, sent: { events: 0 }, connections: 0, lag: 0, unreachable: false },
    { published: 0, sent: { events: 1 }, connections: 1, lag: 0, unreachable: false, node: name },
  ])
  t.notOk(
    both.some((node) => 'leader' in node),
    'no process writes the log alone',
  )
  b.signal('SIGSTOP')
  await publish(a, 'news', { text: 'two' }, admin)
  t.match((await list(true))[1], { node: name, unreachable: true, connections: 1, lag: 1 })
  b.signal('SIGCONT')
  await live.until(() => live.events.length === 2)
  t.match((await list(false))[1], { node: name, unreachable: false, sent: { events: 2 }, lag: 0 })
})

await t.test('a hub whose NATS is away keeps its streams, and refuses publishes', { skip: skipNats }, async (t) => {
  const server = await startNats(t)
  const [a, b] = await startHubs(t, server, { FANFARE_HEARTBEAT: '200ms' })
  const live = await openLive(t, streamUrl(a, ['news']), { token: admin })
  const ready = async () => (await request(`${a.url}/health/ready`)).status
  await publish(b, 'news', { text: 'one' }, admin)
  t.equal(await ready(), 200)
  await server.kill()
  const begun = performance.now()
  const refused = await post(`${a.url}/topics/news/events`, { text: 'lost' }, admin)
  t.match(refused, { status: 503, body: { code: 'log-unavailable' } })
  t.match(refused.headers.get('retry-after'), /^\d+$/)
  t.ok(performance.now() - begun < 5_000)
  await poll(
    async () => ((await ready()) === 503 ? true : undefined),
    () => 'the hub stays ready',
  )
  const { heartbeats } = live
  await live.until(() => live.heartbeats > heartbeats)
  await server.start()
  await poll(
    async () => ((await ready()) === 200 ? true : undefined),
    () => 'the hub does not become ready again',
  )
  await poll(
    async () =>
      (await post(`${b.url}/topics/news/events`, { text: 'two', id: 'y' }, admin)).status < 300 ? true : undefined,
    () => 'the other hub does not recover',
  )
  await live.until(() => live.events.some(({ data }) => data === 'two'))
  t.equal(live.isClosed, false)
})

await t.test('a hub that was cut off from NATS', { skip: skipNats }, async (t) => {
  const server = await startNats(t)
  const proxy = await startTcpProxy(t, server.port)
  const env = { FANFARE_NATS_TIMEOUT: '500ms' }
  const [a, b] = await Promise.all([
    startHub(t, { ...env, FANFARE_LOG: server.address }),
    startHub(t, { ...env, FANFARE_LOG: `nats://127.0.0.1:${proxy.port}` }),
  ])
  const revoked = token({ sub: 'ann', subscribe: ['news'] })
  const expires = Date.now() / 1_000 + 3
  const [annStream, bobStream] = await Promise.all([
    openLive(t, streamUrl(b, ['news']), { token: revoked }),
    openLive(t, streamUrl(b, ['news']), { token: token({ sub: 'bob', subscribe: ['news'], exp: expires }) }),
  ])
  proxy.cut()
  const until = new Date(Date.now() + 600_000).toISOString()
  const revocation = await send(a, 'POST', '/revocations', { token: admin, body: { subject: 'ann', until } })
  t.equal(revocation.status, 201)

  await t.test('has ended the streams of expired tokens meanwhile', async (t) => {
    t.match(await bobStream.told('close'), { reason: 'expired' })
    t.equal(annStream.isClosed, false, 'the hub does not know of the revocation')
  })

  await t.test('ends the streams of tokens that were revoked meanwhile, and refuses the tokens', async (t) => {
    proxy.mend()
    t.match(await annStream.told('close'), { reason: 'revoked' })
    t.equal((await history(b, 'news', '', revoked)).status, 401)
  })
})

await t.test('a hub says why it does not start', { skip: skipNats }, async (t) => {
  await t.rejects(startHub(t, { FANFARE_LOG: 'nats://127.0.0.1:1', FANFARE_NATS_TIMEOUT: '200ms' }), {
    message: /NATS at 127\.0\.0\.1:1 has not accepted the hub/,
  })
})
