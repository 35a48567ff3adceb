/** Direct writes to sockets, observed at the other end of real connections. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { writerTo, type DirectWriter } from '../../src/server/direct-writer.js'
import { bareNode } from '../helper/bare-node.js'
import { within } from '../helper/deadline.js'

interface Pair {
  socket: Socket
  writer: DirectWriter
  peer: Socket
}

async function listening(t: Test): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { server, port: (server.address() as AddressInfo).port }
}

function writerOf(socket: Socket): DirectWriter {
  const writer = writerTo(socket)
  if (!writer) throw new Error(`Node ${process.version} has different internals`)
  return writer
}

async function connected(t: Test): Promise<Pair> {
  const { server, port } = await listening(t)
  const peer = connect(port, '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [Socket]
  peer.on('error', () => undefined)
  socket.on('error', () => undefined)
  t.teardown(() => {
    peer.destroy()
    socket.destroy()
  })
  return { socket, writer: writerOf(socket), peer }
}

/** Resolves with the digest of a number of bytes, or of all bytes until the end. */
function digestOf(peer: Socket): Promise<string> {
  const hash = createHash('sha256')
  peer.on('data', (chunk: Buffer) => void hash.update(chunk)).resume()
  return within(
    once(peer, 'end').then(() => hash.digest('hex')),
    () => 'no end',
  )
}

await t.test('a write that the kernel accepts completely is finished at once', async (t) => {
  const { writer, peer, socket } = await connected(t)
  const whole = digestOf(peer)
  const hash = createHash('sha256')
  for (let n = 0; n < 100; n++) {
    const bytes = Buffer.from(`block ${n}\n`)
    hash.update(bytes)
    t.equal(writer.write(bytes), true)
    t.equal(writer.waiting, 0)
  }
  socket.end()
  t.equal(await whole, hash.digest('hex'))
})

await t.test('the lender is released when all its bytes have been copied, and not before', async (t) => {
  const { writer, peer, socket } = await connected(t)
  const whole = digestOf(peer)
  peer.pause()
  let lent = 0
  let released = 0
  const lender = {
    release: () => {
      released++
    },
  }
  const hash = createHash('sha256')
  const write = (bytes: Buffer) => {
    hash.update(bytes)
    lent++
    return writer.write(bytes, lender)
  }
  let hasRoom = true
  while (hasRoom) {
    t.equal(released, lent)
    hasRoom = write(Buffer.alloc(256 * 1024, lent))
  }
  t.equal(released, lent - 1, 'the bytes of the last write wait')
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(released, lent - 1)
  const drained = new Promise<number>((resolve) => (writer.onDrain = () => resolve(released)))
  peer.resume()
  t.equal(await within(drained, () => 'no drain'), lent, 'the lender is released before onDrain')
  socket.end()
  t.equal(await whole, hash.digest('hex'))
})

await t.test('the lender is not released when the connection breaks', async (t) => {
  const { writer, peer, socket } = await connected(t)
  peer.pause()
  let released = 0
  let lent = 0
  do lent++
  while (
    writer.write(Buffer.alloc(256 * 1024), {
      release: () => {
        released++
      },
    })
  )
  const closed = new Promise((resolve) => socket.once('close', resolve))
  peer.resetAndDestroy()
  await within(closed, () => 'not closed')
  t.equal(released, lent - 1)
})

await t.test('bytes that the kernel does not accept arrive later, complete and in order, before onDrain', async (t) => {
  const { writer, peer, socket } = await connected(t)
  peer.pause()
  const hash = createHash('sha256')
  let drains = 0
  let stalls = 0
  const drained = () =>
    within(
      new Promise<void>((resolve) => {
        const before = drains
        writer.onDrain = () => {
          drains++
          if (drains > before) resolve()
        }
      }),
      () => 'no drain',
    )

  for (let n = 0; n < 200; n++) {
    const bytes = Buffer.alloc(256 * 1024, n)
    hash.update(bytes)
    if (writer.write(bytes)) continue
    stalls++
    t.ok(writer.waiting > 0)
    const told = drained()
    if (stalls === 1) void digestOf(peer).then((digest) => peer.emit('digest', digest))
    await told
    t.equal(writer.waiting, 0)
  }
  t.ok(stalls > 0, `${stalls} stalls`)
  t.equal(drains, stalls, 'one drain for each stall')

  const last = Buffer.from('the last')
  hash.update(last)
  const whole = once(peer, 'digest')
  socket.end(last)
  t.equal((await within(whole, () => 'no end'))[0], hash.digest('hex'))
})

await t.test('a write that libuv finishes at its second try is not reported too early', async (t) => {
  const { server, port } = await listening(t)
  const [program, args] = bareNode([
    '-e',
    `let length = 0
    require('net').connect(${port}, '127.0.0.1').on('data', (chunk) => length += chunk.length).on('end', () => console.log(length))`,
  ])
  const peer = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => peer.kill('SIGKILL'))
  const told = once(peer.stdout.setEncoding('utf8'), 'data')
  const [socket] = (await once(server, 'connection')) as [Socket]
  const writer = writerOf(socket)
  let length = 0
  for (let waits = 0; waits < 1_000;) {
    const bytes = Buffer.alloc(100_000 + (length % 200_000))
    length += bytes.length
    if (writer.write(bytes)) continue
    waits++
    await within(new Promise<void>((resolve) => (writer.onDrain = resolve)), () => 'no drain')
  }
  socket.end()
  t.strictSame(await within(told, () => 'no end'), [`${length}\n`])
})

await t.test('waiting bytes arrive before later writes of the stream', async (t) => {
  const { writer, peer, socket } = await connected(t)
  peer.pause()
  const hash = createHash('sha256')
  let isFull = false
  while (!isFull) {
    const bytes = Buffer.alloc(256 * 1024, 1)
    hash.update(bytes)
    isFull = !writer.write(bytes)
  }
  const last = Buffer.from('the last')
  hash.update(last)
  socket.end(last)
  t.equal(await digestOf(peer), hash.digest('hex'))
})

await t.test('a vanished peer closes the socket without onDrain', async (t) => {
  const { writer, peer, socket } = await connected(t)
  writer.onDrain = () => t.fail('drained')
  peer.pause()
  while (writer.write(Buffer.alloc(256 * 1024)));
  const closed = new Promise((resolve) => socket.once('close', resolve)) // an error comes first
  peer.resetAndDestroy()
  await within(closed, () => 'not closed')
  t.equal(writer.write(Buffer.from('x')), false)
})

await t.test('a destroyed socket accepts no write', async (t) => {
  const { writer, socket } = await connected(t)
  socket.destroy()
  t.equal(writer.write(Buffer.from('x')), false)
  await within(once(socket, 'close'), () => 'not closed')
  t.equal(writer.write(Buffer.from('x')), false)
})

await t.test('a socket with unexpected internals has no direct writer', (t) => {
  for (const other of [{}, { _handle: null }, { _handle: {} }]) t.equal(writerTo(other as unknown as Socket), undefined)
  t.equal(writerTo({ _handle: { writeBuffer: () => 0 } } as unknown as Socket), undefined)
  t.end()
})
