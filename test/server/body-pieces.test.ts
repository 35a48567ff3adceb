/** Bodies as they arrive at a real server, in pieces. */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { BodyPieces } from '../../src/server/body-pieces.js'
import { poll, within } from '../helper/deadline.js'

/** Opens a request with a chunked body, which the test writes to the returned socket. */
async function openBody(t: Test): Promise<{ body: IncomingMessage; socket: Socket }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined)
  t.teardown(() => {
    socket.destroy()
    server.closeAllConnections()
    server.close()
  })
  socket.write('POST / HTTP/1.1\r\nhost: hub\r\ntransfer-encoding: chunked\r\n\r\n')
  const [body] = (await once(server, 'request')) as [IncomingMessage]
  return { body, socket }
}

async function readAll(pieces: BodyPieces): Promise<Buffer[]> {
  const read: Buffer[] = []
  for (let piece = await pieces.next(); piece; piece = await pieces.next()) read.push(piece)
  return read
}

await t.test('one-byte chunks of one packet become few pieces', async (t) => {
  const { body, socket } = await openBody(t)
  const text = 'abcdefghij'.repeat(1_000)
  socket.write(
    `${text
      .split('')
      .map((byte) => `1\r\n${byte}\r\n`)
      .join('')}0\r\n\r\n`,
  )
  const read = await within(readAll(new BodyPieces(body)), () => 'the body does not end')
  t.equal(Buffer.concat(read).toString(), text)
  t.ok(read.length < 50, `${read.length} pieces of 10,000 chunks`)
})

await t.test('an incomplete body is refused after the received bytes have been read', async (t) => {
  const { body, socket } = await openBody(t)
  const pieces = new BodyPieces(body)
  socket.write('3\r\nabc\r\n')
  t.equal((await pieces.next())?.toString(), 'abc')
  const next = pieces.next()
  socket.destroy()
  await t.rejects(
    within(next, () => 'the body does not end'),
    { code: 'invalid-request' },
  )
})

await t.test('a body is not read faster than its pieces are taken', async (t) => {
  const { body, socket } = await openBody(t)
  const pieces = new BodyPieces(body)
  const chunk = `${(16 * 1024).toString(16)}\r\n${'x'.repeat(16 * 1024)}\r\n`
  socket.write(chunk)
  await pieces.next()
  let hasRoom = true
  for (let n = 0; n < 4_000 && hasRoom; n++) hasRoom = socket.write(chunk)
  await poll(
    async () => (body.isPaused() ? true : undefined),
    () => 'the body is not paused',
  )
  t.ok((await pieces.next())!.length < 256 * 1024)
})

await t.test('the bytes are the same for any chunks and any reading speed', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 40 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 10 }),
      async (chunks, turns) => {
        const body = new PassThrough()
        const pieces = new BodyPieces(body)
        const reading = readAll(pieces)
        for (const [index, chunk] of chunks.entries()) {
          body.write(chunk)
          if (turns[index % turns.length]) await new Promise((resolve) => setImmediate(resolve))
        }
        body.end()
        return Buffer.concat(await reading).equals(Buffer.concat(chunks))
      },
    ),
  )
  t.pass()
})
