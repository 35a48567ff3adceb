import fc from 'fast-check'
import t from 'tap'
import { completeLength, joinMessages, messagesOf } from '../../../src/routes/streams/messages.js'

const bodies = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes))
const texts = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).map((text) => Buffer.from(text))

await t.test('bytes are read as they were sent, in messages of limited size', async () => {
  const types = fc.constantFrom('application/octet-stream', 'text/plain', 'text/plain; charset=latin1')
  fc.assert(
    fc.property(bodies, types, fc.integer({ min: 4, max: 50 }), (body, type, maxSize) => {
      const messages = messagesOf(body, type, maxSize)
      const sizes = messages.map((message) => joinMessages([message], type).length)
      return joinMessages(messages, type).equals(body) && sizes.every((size) => size > 0 && size <= maxSize)
    }),
  )
})

await t.test('a text is split between characters', async () => {
  fc.assert(
    fc.property(texts, fc.integer({ min: 4, max: 20 }), (body, maxSize) =>
      messagesOf(body, 'text/plain', maxSize).every(({ kind }) => kind === 'text'),
    ),
  )
})

await t.test('the complete part of a text ends with a character', async () => {
  fc.assert(
    fc.property(texts, fc.nat(), (text, cut) => {
      const part = text.subarray(0, cut % (text.length + 1))
      const complete = part.subarray(0, completeLength(part))
      return Buffer.from(complete.toString()).equals(complete) && part.length - complete.length < 4
    }),
  )
})

await t.test('an array of JSON is flattened by one level', async (t) => {
  const payloads = (body: string) => messagesOf(Buffer.from(body), 'application/json', 100).map((m) => m.payload)
  t.strictSame(payloads('{"a": 1}'), ['{"a":1}'])
  t.strictSame(payloads(' [ {"a":1}, [2, 3], "x", null ] '), ['{"a":1}', '[2,3]', '"x"', 'null'])
  t.strictSame(payloads('[[[1]]]'), ['[[1]]'])
  t.strictSame(payloads('[]'), [])
  t.strictSame(payloads('\ufeff1'), ['1'])
})

await t.test('bad JSON is refused', async (t) => {
  const read = (body: string | Buffer) => messagesOf(Buffer.from(body), 'application/json', 10)
  t.throws(() => read('{'), { code: 'invalid-json' })
  t.throws(() => read(Buffer.from([0x22, 0xff, 0x22])), { code: 'invalid-encoding' })
  t.throws(() => read('[1,"0123456789"]'), { code: 'event-too-large' })
  const values = (count: number) => messagesOf(Buffer.from(`[0${',0'.repeat(count - 1)}]`), 'application/json', 10)
  t.equal(values(10_000).length, 10_000)
  t.throws(() => values(10_001), { code: 'body-too-large', message: /10001 values/ })
  t.throws(() => messagesOf(Buffer.from('['.repeat(700) + ']'.repeat(700)), 'application/json', 9_999), {
    code: 'invalid-event',
  })
})
