/** Sockets that leave Node's HTTP after the head of a response. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { detach, detachFault, dropRest, emitClose } from '../../src/server/detach.js'
import { settle as turns, until } from '../hub/fake-sink.js'

const GET = 'GET / HTTP/1.1\r\nHost: hub\r\n\r\n'

interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  socket: Socket
}

/** Sends bytes to a server that answers each request with a head only. */
async function exchange(t: Test, sent: string) {
  const exchanges: Exchange[] = []
  const server = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', connection: 'close' }).flushHeaders()
    exchanges.push({ request, response, socket: request.socket })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => {
    client.destroy()
    server.close()
  })
  let received = ''
  client.on('data', (bytes: Buffer) => (received += bytes.toString('latin1')))
  client.write(sent)
  await until(() => exchanges.length > 0 && received.includes('\r\n\r\n'))
  return { ...exchanges[0]!, exchanges, client, received: () => received }
}

await t.test('this version of Node supports detaching', (t) => {
  t.equal(detachFault(), undefined)
  t.end()
})

await t.test('a detached response is finished, and its socket is a plain socket', async (t) => {
  const { request, response, socket, received } = await exchange(t, GET)
  const finished = once(response, 'finish')
  detach(request, response, socket)
  await finished
  t.equal(response.socket, null)
  t.equal(response.writableEnded, true)
  t.equal(socket.destroyed, false)
  socket.write('after the head')
  await until(() => received().includes('after the head'))
})

await t.test('a detached response emits close when its connection closes', async (t) => {
  const { request, response, socket, client } = await exchange(t, GET)
  let closes = 0
  response.on('close', () => closes++)
  const finished = once(response, 'finish')
  detach(request, response, socket)
  await finished
  t.equal(closes, 0)
  socket.on('end', () => socket.destroy()) // Node's HTTP no longer does this, and a sink does
  client.destroy()
  await until(() => closes > 0)
  t.equal(closes, 1)
})

await t.test('a socket is detached when the request has been read to its end', async (t) => {
  const head = 'POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 4\r\n\r\n'
  const { request, response, socket, client } = await exchange(t, head)
  detach(request, response, socket)
  await turns(10)
  t.equal(response.socket, socket, 'not yet')
  const finished = once(response, 'finish')
  client.write('body')
  await finished
  t.equal(response.socket, null)
})

await t.test('later bytes of the peer are dropped', async (t) => {
  const { request, response, socket, client, exchanges } = await exchange(t, GET)
  const finished = once(response, 'finish')
  detach(request, response, socket)
  await finished
  const before = socket.bytesRead
  client.write(GET)
  await until(() => socket.bytesRead >= before + GET.length)
  t.equal(exchanges.length, 1)
  t.equal(socket.destroyed, false)
})

await t.test('a destroyed socket is left alone', async (t) => {
  const { request, response, socket } = await exchange(t, GET)
  response.on('finish', () => t.fail('it emits finish'))
  const closed = once(response, 'close')
  detach(request, response, socket)
  socket.destroy()
  await closed
  await turns(10)
})

await t.test('dropRest drops later bytes, and the response keeps its socket', async (t) => {
  const { request, response, socket, client, exchanges, received } = await exchange(t, GET)
  dropRest(request, socket)
  await turns(10)
  const before = socket.bytesRead
  client.write(GET)
  await until(() => socket.bytesRead >= before + GET.length)
  t.equal(exchanges.length, 1)
  t.equal(response.socket, socket)
  response.end('the end')
  await until(() => received().includes('the end'))
})

await t.test('emitClose emits close once', async (t) => {
  const { response } = await exchange(t, GET)
  let closes = 0
  response.on('close', () => closes++)
  emitClose(response)
  emitClose(response)
  t.equal(closes, 1)
})
