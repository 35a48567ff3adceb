/** The open streams as an application sees them. */
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import fanfare, { type ConnectionsOptions } from '../../src/index.js'
import { NATIVE_SOCKETS } from '../helper/native-sockets.js'
import { openLive, type EventStream } from '../helper/stream.js'
import { SECRET, token } from '../helper/token.js'
import { listen } from '../routes/open-app.js'

interface Opened {
  app: FastifyInstance
  /** Opens a stream of a subject on one topic. */
  open: (sub: string, topic?: string) => Promise<EventStream>
}

/** An application that embeds the hub and listens. */
async function openApplication(t: Test): Promise<Opened> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fanfare, { prefix: '/rt', log: 'memory', jwtSecret: SECRET, nativeSockets: NATIVE_SOCKETS })
  const url = await listen(app)
  return {
    app,
    open: (sub, topic = 'a') =>
      openLive(t, `${url}/rt/topics/${topic}/events`, { token: token({ sub, subscribe: ['**'] }) }),
  }
}

function idOf(stream: EventStream): string {
  return stream.headers['fanfare-connection'] as string
}

await t.test('streams are listed in pages, and by subject', async (t) => {
  const { app, open } = await openApplication(t)
  const { connections } = app.hub
  t.strictSame(await connections.list(), { connections: [], more: false })
  const ids: string[] = []
  for (const sub of ['u1', 'u2', 'u1']) ids.push(idOf(await open(sub)))
  const sorted = ids.toSorted()
  t.equal(connections.size, 3)

  const list = async (options?: ConnectionsOptions) => {
    const page = await connections.list(options)
    return { ids: page.connections.map(({ id }) => id), more: page.more }
  }
  t.strictSame(await list(), { ids: sorted, more: false })
  t.strictSame(await list({ limit: 2 }), { ids: sorted.slice(0, 2), more: true })
  t.strictSame(await list({ limit: 2, after: sorted[1] }), { ids: sorted.slice(2), more: false })
  t.strictSame(await list({ subject: 'u1' }), { ids: [ids[0]!, ids[2]!].toSorted(), more: false })
  t.strictSame(await list({ subject: 'u3' }), { ids: [], more: false })
  t.strictSame(await list({ after: undefined, limit: undefined, subject: undefined }), { ids: sorted, more: false })
})

await t.test('a stream has the same description as over HTTP', async (t) => {
  const { app, open } = await openApplication(t)
  const stream = await open('u1', 'orders.42')
  await app.hub.publish('orders.42', { data: 1 })
  await stream.count(1)
  const id = idOf(stream)
  const described = app.hub.connections.get(id)
  t.match(described, { id, subject: 'u1', topics: ['orders.42'], expiresAt: null, sent: { events: 1 }, lag: 0 })
  const headers = { authorization: `Bearer ${token({ admin: true })}` }
  t.strictSame((await app.inject({ url: `/rt/connections/${id}`, headers })).json(), described)
  t.strictSame((await app.hub.connections.list()).connections, [described])
  t.equal(app.hub.connections.get('none'), undefined)
})

await t.test('end() ends one stream and no other', async (t) => {
  const { app, open } = await openApplication(t)
  const { connections } = app.hub
  const ended = await open('u1')
  const other = await open('u1')
  t.equal(connections.end('none'), false)
  t.equal(connections.end(idOf(ended)), true)
  t.equal(connections.get(idOf(ended)), undefined)
  t.equal(connections.end(idOf(ended)), false, 'the stream has already ended')
  t.strictSame(await ended.told('close'), { reason: 'revoked' })
  await ended.closed
  t.equal(connections.size, 1)
  await app.hub.publish('a', { data: 1 })
  await other.count(1)
})

await t.test('invalid arguments are refused', async (t) => {
  const { app } = await openApplication(t)
  const { connections } = app.hub
  for (const [options, message] of [
    [null, /null/],
    [['u1'], /object/],
    ['u1', /"u1"/],
    [{ subjects: 'u1' }, /"subjects".*subject/],
    [{ topic: 'a' }, /"topic"/],
    [{ subject: 1 }, /subject .*1/],
    [{ subject: null }, /subject .*null/],
    [{ after: 1 }, /after .*1/],
    [{ limit: 0 }, /limit .*0/],
    [{ limit: 1_001 }, /limit .*1001/],
    [{ limit: 1.5 }, /limit .*1\.5/],
    [{ limit: NaN }, /limit .*NaN/],
    [{ limit: '10' }, /limit .*"10"/],
  ] as const)
    await t.rejects(connections.list(options as ConnectionsOptions), { code: 'invalid-request', message })
  for (const id of [undefined, null, 1, {}] as unknown as string[]) {
    t.throws(() => connections.get(id), { code: 'invalid-request' })
    t.throws(() => connections.end(id), { name: 'HubError', code: 'invalid-request' })
  }
})
