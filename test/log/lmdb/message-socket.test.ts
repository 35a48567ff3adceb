import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { encodeMessage, MessageSocket } from '../../../src/log/lmdb/message-socket.js'
import { until } from '../../hub/fake-sink.js'

interface Message {
  value: unknown
}

interface Numbered {
  n: number
}

/** The two ends of a connection. */
async function openPair(t: Test): Promise<[Socket, Socket]> {
  const server = createServer({ pauseOnConnect: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const one = connect((server.address() as AddressInfo).port, '127.0.0.1').pause()
  const [other] = (await once(server, 'connection')) as [Socket]
  t.teardown(() => {
    for (const socket of [one, other]) socket.destroy()
    server.close()
  })
  return [one, other]
}

function receiver(socket: Socket) {
  const state = { messages: [] as unknown[], closes: 0 }
  const messages = new MessageSocket<Message, Message>(socket)
  const receive = () =>
    messages.receive(
      ({ value }) => state.messages.push(value),
      () => state.closes++,
    )
  return { state, messages, receive }
}

await t.test('messages arrive whole and in order, however their bytes arrive', async (t) => {
  const values = fc.sample(fc.jsonValue(), { numRuns: 30, seed: 1 }).map((value) => value ?? 'none')
  values.push('x'.repeat(100_000))
  const bytes = Buffer.concat(values.map((value) => encodeMessage({ value })))
  for (const size of [1, 3, 4, 5, 1_000, bytes.length]) {
    const [one, other] = await openPair(t)
    const { state, receive } = receiver(other)
    receive()
    // each piece is an event of its own, as a socket reads it
    for (let at = 0; at < bytes.length; at += size) other.emit('data', bytes.subarray(at, at + size))
    t.strictSame(state.messages, values, `${size} bytes at a time`)
    one.destroy()
  }
})

await t.test(
  'messages sent before the other side receives are not lost, and closing comes after the last',
  async (t) => {
    const [one, other] = await openPair(t)
    const sender = new MessageSocket<Message, Message>(one)
    for (const value of [1, 'two', [3]]) sender.send({ value })
    sender.end()
    sender.send({ value: 'after the end' })
    const { state, messages, receive } = receiver(other)
    receive()
    await until(() => state.closes > 0)
    t.strictSame(state, { messages: [1, 'two', [3]], closes: 1 })
    t.ok(messages.isClosed)
  },
)

await t.test('a socket that has closed already says so once', async (t) => {
  const [one, other] = await openPair(t)
  one.destroy()
  other.destroy()
  await once(other, 'close')
  const { state, messages, receive } = receiver(other)
  receive()
  messages.send({ value: 1 })
  await until(() => state.closes > 0)
  t.strictSame(state, { messages: [], closes: 1 })
})

await t.test('a receiver that closes the socket gets no further message', async (t) => {
  const [one, other] = await openPair(t)
  const got: unknown[] = []
  const messages = new MessageSocket<Message, Message>(other)
  messages.receive(
    ({ value }) => {
      got.push(value)
      messages.destroy()
    },
    () => undefined,
  )
  one.write(Buffer.concat([encodeMessage({ value: 1 }), encodeMessage({ value: 2 })]))
  await once(other, 'close')
  t.strictSame(got, [1])
})

/** Returns the two ends of a connection, and the writes of the first one. */
async function connected(t: Test) {
  const server = createServer().listen(`${t.testdir({})}/socket`)
  await once(server, 'listening')
  const socket = connect(server.address() as string)
  const [other] = (await once(server, 'connection')) as [Socket]
  t.teardown(() => (socket.destroy(), other.destroy(), server.close()))
  const writes: number[] = []
  const write = socket._write.bind(socket)
  const writev = socket._writev!.bind(socket)
  socket._write = (...args) => (writes.push(1), write(...args))
  socket._writev = (chunks, callback) => (writes.push(chunks.length), writev(chunks, callback))
  const received: number[] = []
  const closed = new Promise<void>((resolve) =>
    new MessageSocket<Numbered, Numbered>(other.pause()).receive(({ n }) => received.push(n), resolve),
  )
  return { sender: new MessageSocket<Numbered, Numbered>(socket), writes, received, closed }
}

await t.test('the messages of one turn of the event loop leave in one write, in order', async (t) => {
  const { sender, writes, received, closed } = await connected(t)
  for (let n = 0; n < 5; n++) sender.send({ n })
  t.same(writes, [])
  await new Promise(setImmediate)
  t.same(writes, [5])

  sender.send({ n: 5 })
  sender.send({ n: 6 })
  sender.flush()
  t.same(writes, [5, 2], 'a flush does not wait for the end of the turn')
  sender.send({ n: 7 })
  await new Promise(setImmediate)
  t.same(writes, [5, 2, 1])

  sender.send({ n: 8 })
  t.ok(sender.backlog > 0, 'waiting messages count as unread')
  sender.end()
  await closed
  t.same(received, [0, 1, 2, 3, 4, 5, 6, 7, 8], 'the end sends the waiting messages')
})
