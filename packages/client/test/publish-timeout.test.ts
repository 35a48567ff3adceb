/** The time limits of requests that a hub accepts and does not answer. */
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { clientOf } from './hubs.js'

/** The time limit, in milliseconds. The client's own limit for one request is 15 s. */
const TIMEOUT = 100
/** Less than the client's own limit, in milliseconds. */
const SOON = 10_000

/** Listens like a hub that hangs: it reads requests, and answers none. */
async function hangingHub(t: Test): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.resume()
  })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

await t.test('an event that a hanging hub does not take fails at its own time limit', { timeout: SOON }, async (t) => {
  const hub = clientOf(t, await hangingHub(t))
  await t.rejects(hub.publish('orders.1', { text: 'a' }, { timeout: TIMEOUT }), { code: 'unreachable', status: 0 })
  await t.rejects(hub.publish('orders.1', { text: 'a', ephemeral: true }, { timeout: TIMEOUT }), {
    code: 'unreachable',
  })
})

await t.test(
  'a request that a hanging hub does not answer fails at its own time limit',
  { timeout: SOON },
  async (t) => {
    const hub = clientOf(t, await hangingHub(t))
    await t.rejects(hub.request('GET', 'status', { timeout: TIMEOUT }), { code: 'unreachable' })
  },
)
