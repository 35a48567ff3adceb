import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { acceptFirst } from '../../src/server/accept-burst.js'

const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'

/** A server with `acceptFirst`, which records how many connections were accepted before each request. */
async function serve(
  t: Test,
): Promise<{ server: Server; port: number; seen: { connections: number; requests: number[] } }> {
  const seen = { connections: 0, requests: [] as number[] }
  const server = createServer((_request, response) => {
    seen.requests.push(seen.connections)
    response.end('here')
  })
  acceptFirst(server)
  server.on('connection', () => seen.connections++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { server, port: (server.address() as AddressInfo).port, seen }
}

function open(t: Test, port: number, headers = ''): Socket {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  socket.write(REQUEST.replace('\r\n\r\n', `\r\n${headers}\r\n`))
  return socket
}

void t.test('all connections of a burst are accepted before the first answer', async (t) => {
  const { port, seen } = await serve(t)
  const sockets = Array.from({ length: 200 }, () => open(t, port))
  await Promise.all(sockets.map((socket) => once(socket, 'data')))
  t.equal(seen.requests.length, 200, 'every request is answered')
  t.equal(seen.requests[0], 200, 'the first request is handled after all 200 are accepted')
})

void t.test('a single connection is answered, and its next request too', async (t) => {
  const { port } = await serve(t)
  const socket = open(t, port)
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1.1 200 OK\r\n[^]*here$/)
  socket.write(REQUEST)
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1.1 200 OK\r\n[^]*here$/)
})

void t.test('a steady flow of connections does not delay the first answer forever', async (t) => {
  const { server, port, seen } = await serve(t)
  let answered = false
  server.on('connection', () => {
    if (!answered) setImmediate(() => open(t, port)) // opens one more in every turn
  })
  const sockets = [open(t, port), open(t, port)]
  await Promise.all(sockets.map((socket) => once(socket, 'data')))
  answered = true
  t.ok(seen.requests[0]! > 2, 'later connections were accepted meanwhile')
})

void t.test('a closing server answers every connection that it accepted', async (t) => {
  const { server, port, seen } = await serve(t)
  const sockets = [
    open(t, port, 'Connection: close\r\n'),
    open(t, port, 'Connection: close\r\n'),
    open(t, port, 'Connection: close\r\n'),
  ]
  const answers = sockets.map(
    (socket) =>
      new Promise<string>((resolve) => {
        let text = ''
        socket.on('data', (bytes) => (text += String(bytes)))
        socket.once('close', () => resolve(text))
      }),
  )
  await once(server, 'connection')
  server.close()
  await once(server, 'close')
  const answered = (await Promise.all(answers)).filter((text) => text.startsWith('HTTP/1.1 200 '))
  t.equal(answered.length, seen.connections)
  t.ok(seen.connections > 0)
})
