import { createParser } from 'eventsource-parser'
import fc from 'fast-check'
import t from 'tap'
import type { FiniteTopic, Message, MessagePage } from '../../../src/hub/finite/finite-topic.js'
import { encodePage, wholeCharacters } from '../../../src/routes/streams/event-blocks.js'
import { bytesMessage } from '../../../src/hub/finite/bytes-message.js'
import { joinMessages } from '../../../src/routes/streams/messages.js'

interface Read {
  event: string | undefined
  id: string | undefined
  data: string
}

/** Parses the blocks of a page as a client does. */
function read(page: MessagePage, cursor = 7): Read[] {
  const events: Read[] = []
  const parser = createParser({ onEvent: ({ event, id, data }) => void events.push({ event, id, data }) })
  parser.feed(encodePage(page, cursor).toString())
  return events
}

function pageOf(contentType: string, messages: Message[], state: Partial<FiniteTopic> = {}): MessagePage {
  const topic = { topic: 'a', contentType, status: 'open', ...state } as FiniteTopic
  const stored = messages.map((message, index) => ({ ...message, sequence: 10 + index, time: 0 }))
  return { topic, messages: stored, next: 9 + messages.length, isUpToDate: true }
}

await t.test('a text is read as it was sent, except that each line end becomes LF', async () => {
  const texts = fc.array(fc.string({ unit: fc.constantFrom('a', ' ', '\n', '\r', 'é', ':', '\u2028'), minLength: 1 }), {
    minLength: 1,
  })
  fc.assert(
    fc.property(texts, (parts) => {
      const messages = parts.map((part) => bytesMessage(Buffer.from(part), 'text/plain'))
      const [data] = read(pageOf('text/plain', messages))
      return data?.event === 'data' && data.data === parts.join('').replace(/\r\n|\r/g, '\n')
    }),
  )
})

await t.test('no payload adds an event or a field', async () => {
  const lines = fc.array(fc.constantFrom('event: control', 'data: x', 'id: 9', '', '\r', '\n', '\r\n\r\n'))
  fc.assert(
    fc.property(lines, (parts) => {
      const text = parts.join('\n') || 'x'
      const events = read(pageOf('text/plain', [{ kind: 'text', payload: text }]))
      return events.map(({ event, id }) => `${event} ${id ?? ''}`).join() === 'data ,control 0000000000000010'
    }),
  )
})

await t.test('JSON is an array, and other bytes are base64', async (t) => {
  const json: Message[] = [
    { kind: 'json', payload: '{"a":1}' },
    { kind: 'json', payload: '2' },
  ]
  t.equal(read(pageOf('application/json', json))[0]?.data, '[{"a":1},2]')
  const bytes = [Buffer.from([0, 255]), Buffer.from([1])].map((part) => bytesMessage(part, 'image/png'))
  t.equal(read(pageOf('image/png', bytes))[0]?.data, Buffer.from([0, 255, 1]).toString('base64'))
})

await t.test('the control event tells the offset, the cursor and the end', async (t) => {
  const control = (page: MessagePage) => JSON.parse(read(page).at(-1)!.data) as unknown
  const page = pageOf('text/plain', [{ kind: 'text', payload: 'x' }])
  t.strictSame(control(page), { streamNextOffset: '0000000000000010', streamCursor: '7', upToDate: true })
  t.strictSame(control({ ...page, isUpToDate: false }), { streamNextOffset: '0000000000000010', streamCursor: '7' })
  const ended = pageOf('text/plain', [], { status: 'cancelled' })
  t.strictSame(control(ended), {
    streamNextOffset: '0000000000000009',
    streamClosed: true,
    upToDate: true,
    fanfareStatus: 'cancelled',
  })
  t.equal(read(ended).length, 1, 'without messages there is no data event')
})

await t.test('characters that are cut between messages are sent whole', async () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(text, fc.array(fc.nat()), (text, cuts) => {
      const bytes = Buffer.from(text)
      const ends = [...new Set([...cuts.map((cut) => cut % bytes.length), bytes.length])].sort((a, b) => a - b)
      const parts = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end)).filter(({ length }) => length)
      const messages = parts.map((part) => bytesMessage(part, 'text/plain'))
      // a subscriber at the tail reads after each append
      let sent = ''
      let after = 9
      for (let count = 1; count <= messages.length; count++) {
        const { messages: all, ...page } = pageOf('text/plain', messages.slice(0, count))
        const whole = wholeCharacters({ ...page, messages: all.filter(({ sequence }) => sequence > after) })
        if (whole.messages.length > 0) sent += joinMessages(whole.messages, 'text/plain').toString()
        after = whole.next
      }
      return sent === text
    }),
  )
})

await t.test('bytes that are not UTF-8 do not hold a text up', async (t) => {
  const broken = [bytesMessage(Buffer.from([0xe2, 0x82]), 'text/plain')]
  t.equal(wholeCharacters(pageOf('text/plain', broken)).messages.length, 0, 'the rest may follow')
  t.equal(wholeCharacters(pageOf('text/plain', broken, { status: 'done' })).messages.length, 1, 'nothing follows')
  const more = [...broken, bytesMessage(Buffer.from([0xff]), 'text/plain')]
  t.equal(wholeCharacters(pageOf('text/plain', more)).messages.length, 2, 'no byte completes it')
  const firsts = Array.from({ length: 5 }, () => bytesMessage(Buffer.from([0xc3]), 'text/plain'))
  t.match(
    wholeCharacters(pageOf('text/plain', firsts)),
    { messages: { length: 4 }, next: 13 },
    'only the last may go on',
  )
})
