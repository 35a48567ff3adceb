import net from 'node:net'
import t, { type Test } from 'tap'
import { token } from '../helper/token.js'
import { listen, openApp } from '../routes/open-app.js'

const everything = { sub: 'ann', subscribe: ['**'], publish: ['**'], presence: ['**'], admin: true }

/** Sends the raw text of a request and returns the head of the answer. */
async function headOf(t: Test, port: number, text: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  t.teardown(() => void socket.destroy())
  socket.on('error', () => undefined)
  socket.write(text)
  let answer = ''
  socket.on('data', (chunk: Buffer) => void (answer += chunk.toString()))
  await new Promise((resolve) => socket.once('close', resolve))
  return answer.split('\r\n\r\n')[0]!.toLowerCase()
}

await t.test('no answer of the hub may be cached', async (t) => {
  const { send } = await openApp(t)
  const authorization = `Bearer ${token(everything)}`
  const json = { accept: 'application/json', authorization }
  await send({ method: 'POST', url: '/topics/a/events', payload: { data: 1 }, headers: json })
  const revocation = await send({
    method: 'POST',
    url: '/revocations',
    payload: { jti: 'x', until: '2999-01-01T00:00:00Z' },
    headers: json,
  })
  const { id } = revocation.json<{ id: string }>()
  for (const [method, url, status, options] of [
    ['GET', '/topics/a/events?last=1', 200, {}],
    ['GET', '/events?topic=a&last=1', 200, {}],
    ['GET', '/topics', 200, {}],
    ['GET', '/topics/a', 200, {}],
    ['GET', '/topics/a/presence', 200, {}],
    ['GET', '/connections', 200, {}],
    ['GET', '/revocations', 200, {}],
    ['DELETE', `/revocations/${id}`, 204, {}],
    ['POST', '/topics/a/events', 201, { payload: { data: 1 } }],
    ['POST', '/topics/a/events', 202, { payload: { data: 1, ephemeral: true } }],
    ['POST', '/events', 201, { payload: { events: [{ topic: 'a', data: 1 }] } }],
    ['POST', '/tickets', 201, {}],
    ['POST', '/sessions', 204, {}],
    ['DELETE', '/sessions', 204, {}],
    ['DELETE', '/topics/a/events', 200, {}],
    ['GET', '/status', 200, {}],
    ['GET', '/health/live', 200, {}],
    ['GET', '/health/ready', 200, {}],
    ['GET', '/errors', 200, {}],
    ['HEAD', '/topics/a', 200, {}],
    ['GET', '/topics/a', 401, { headers: { ...json, authorization: null } }],
    ['GET', '/topics/a..b', 400, {}],
    ['GET', '/connections/x', 404, {}],
    ['GET', '/nothing', 404, {}],
    ['PUT', '/topics/a/events', 405, {}],
    ['GET', '/topics/a/events', 406, { headers: { ...json, accept: 'text/html' } }],
    ['POST', '/topics/a/events', 415, { payload: 'x', headers: { ...json, 'content-type': 'image/png' } }],
    ['POST', '/topics/a/events', 413, { payload: { data: 'x'.repeat(300_000) } }],
    ['GET', '/topics/%zz/events', 400, {}],
    ['GET', `/topics/${'x'.repeat(700)}/events`, 414, {}],
  ] as [method: 'GET', url: string, status: number, options: object][]) {
    const response = await send({ method, url, headers: json, ...options })
    t.equal(
      `${response.statusCode} ${String(response.headers['cache-control'])}`,
      `${status} no-store`,
      `${method} ${url.slice(0, 40)}`,
    )
  }
})

await t.test('the answer to a malformed request may not be cached', async (t) => {
  const { app } = await openApp(t)
  const port = Number(new URL(await listen(app)).port)
  for (const text of ['nonsense\r\n\r\n', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(100_000)}\r\n\r\n`])
    t.match(await headOf(t, port, text), /\r\ncache-control: no-store/)
})

await t.test('a stream has its own Cache-Control', async (t) => {
  const { app, send } = await openApp(t)
  await app.hub.drain(0) // an ended stream
  t.equal((await send({ method: 'GET', url: '/topics/a/events' })).headers['cache-control'], 'no-store, no-transform')
})

await t.test('routes of the application keep their headers', async (t) => {
  const { default: fanfare } = await import('../../src/index.js')
  const { default: Fastify } = await import('fastify')
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fanfare, {
    log: 'memory',
    jwtSecret: 'a secret of at least thirty-two characters',
    prefix: '/hub',
  })
  app.get('/own', async () => ({}))
  t.equal((await app.inject('/own')).headers['cache-control'], undefined)
  t.equal((await app.inject('/hub/status')).headers['cache-control'], 'no-store')
})
