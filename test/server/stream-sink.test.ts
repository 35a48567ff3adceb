/** A stream's sink on its own socket, observed at the other end of a real connection. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { SinkWatch } from '../../src/server/sink-watch.js'
import { openSink } from '../../src/server/stream-sink.js'
import { Chunk } from '../../src/wire/chunk.js'
import { within } from '../helper/deadline.js'

/** More bytes than one write to Node's stream takes. */
const LARGE = 48 * 1024

async function connected(t: Test): Promise<{ socket: Socket; peer: Socket }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const peer = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [Socket]
  t.teardown(() => {
    peer.destroy()
    socket.destroy()
    server.close()
  })
  return { socket, peer }
}

/** Resolves with all bytes until the end. */
async function received(peer: Socket): Promise<string> {
  let text = ''
  peer.setEncoding('latin1').on('data', (part: string) => (text += part))
  await within(once(peer, 'end'), () => 'no end')
  return text
}

await t.test("a large write is one direct write if the stream's own buffer is empty", async (t) => {
  const { socket, peer } = await connected(t)
  const all = received(peer)
  socket.write('head;')
  const sink = openSink(socket, {
    isChunked: false,
    isDirect: true,
    slowTimeout: 10_000,
    watch: new SinkWatch(10_000),
    open: new Set(),
  })
  let released = 0
  const large = Chunk.of('x'.repeat(LARGE))
  t.equal(
    sink.write(large, {
      release: () => {
        released++
      },
    }),
    true,
  )
  t.equal(released, 1, 'the bytes can be reused')
  sink.end(Chunk.of(';end'))
  t.equal(await all, `head;${large.toString()};end`)
})

await t.test("bytes that are written while the stream's own buffer is not empty arrive after it", async (t) => {
  const { socket, peer } = await connected(t)
  const all = received(peer)
  socket.cork()
  socket.write('head;')
  const sink = openSink(socket, {
    isChunked: false,
    isDirect: true,
    slowTimeout: 10_000,
    watch: new SinkWatch(10_000),
    open: new Set(),
  })
  const first = Chunk.of('x'.repeat(LARGE))
  const second = Chunk.of('y'.repeat(100))
  sink.write(first)
  sink.write(second)
  socket.uncork()
  await new Promise<void>(
    (resolve) => (sink.listener = { drained: resolve, stalled: () => undefined, closed: () => undefined }),
  )
  const third = Chunk.of('z'.repeat(LARGE))
  t.equal(sink.write(third), true, 'later writes are direct again')
  sink.end(Chunk.of(';end'))
  t.equal(await all, `head;${first.toString()}${second.toString()}${third.toString()};end`)
})
