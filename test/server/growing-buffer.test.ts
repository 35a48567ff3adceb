import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { GrowingBuffer } from '../../src/server/growing-buffer.js'
import { readBody } from '../../src/server/body-timeout.js'

await t.test('the pieces are returned in order for any sizes', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 20 }), (pieces) => {
        const bytes = new GrowingBuffer()
        for (const piece of pieces) bytes.append(Buffer.from(piece))
        const all = Buffer.concat(pieces)
        return bytes.length === all.length && bytes.take().equals(all) && bytes.length === 0
      }),
    ),
  )
  t.end()
})

await t.test('taken bytes and appended pieces are not overwritten', (t) => {
  const bytes = new GrowingBuffer()
  const piece = Buffer.from('abc')
  bytes.append(piece.subarray(0, 2))
  bytes.append(Buffer.from('x'))
  t.equal(piece.toString(), 'abc')
  const taken = bytes.take()
  bytes.append(Buffer.from('yyyy'))
  t.equal(taken.toString(), 'abx')
  t.end()
})

await t.test('a body in one-byte pieces takes little more memory than its bytes', (t) => {
  const PIECES = 2_000_000
  const body = new PassThrough()
  const used = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
  const before = used()
  let read: Buffer | undefined
  readBody(body, PIECES, 60_000, (_err, bytes) => (read = bytes))
  for (let n = 0; n < PIECES; n++) body.emit('data', Buffer.from([n]))
  const growth = used() - before
  t.ok(growth < 60 * PIECES, `${(growth / PIECES).toFixed(1)} bytes for each byte`)
  body.emit('end')
  t.equal(read?.length, PIECES)
  t.equal(read?.[257], 1)
  body.destroy()
  t.end()
})
