import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { MessageSocket } from '../../../src/log/lmdb/message-socket.js'

interface Message {
  n: number
}

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
    new MessageSocket<Message, Message>(other.pause()).receive(({ n }) => received.push(n), resolve),
  )
  return { sender: new MessageSocket<Message, Message>(socket), writes, received, closed }
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
