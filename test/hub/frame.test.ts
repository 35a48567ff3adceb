/** An event on its way to subscribers. */
import t from 'tap'
import { Frame } from '../../src/hub/frame.js'
import type { NewEvent } from '../../src/model/event.js'
import { Encoder, type Wire } from '../../src/wire/sse.js'
import { parseStream } from './reference-parser.js'

class CountingEncoder extends Encoder {
  encoded = 0

  override event(...args: Parameters<Encoder['event']>) {
    this.encoded++
    return super.event(...args)
  }
}

const EVENT: NewEvent = { topic: 'orders.42', type: 'created', id: undefined, kind: 'json', payload: '{"total":12}' }
const WIRES: Wire[] = (['raw', 'json', 'cloudevents'] as const).flatMap((format) => [
  { format, topicLine: false },
  { format, topicLine: true },
])

await t.test('a frame is encoded at most once for each format, with and without its topic', (t) => {
  const encoder = new CountingEncoder('8f3kq0zt')
  const frame = new Frame(encoder, EVENT, 7, 1, 0)
  t.equal(encoder.encoded, 0, 'not before it is needed')
  const first = WIRES.map((wire) => frame.chunk(wire))
  t.equal(encoder.encoded, WIRES.length)
  for (const [index, wire] of WIRES.entries()) t.equal(frame.chunk(wire), first[index], JSON.stringify(wire))
  t.equal(encoder.encoded, WIRES.length)
  t.equal(new Set(first).size, WIRES.length)
  t.end()
})

await t.test('a stored event has its cursor as id', (t) => {
  const encoder = new Encoder('8f3kq0zt')
  const frame = new Frame(encoder, EVENT, 7, 1, 0)
  const [raw] = parseStream(frame.chunk({ format: 'raw', topicLine: false }).plain)
  t.match(raw, { id: encoder.cursor(7), event: { type: 'created', data: '{"total":12}' } })
  const [cloud] = parseStream(frame.chunk({ format: 'cloudevents', topicLine: false }).plain)
  t.match(JSON.parse(cloud!.event!.data), { id: encoder.cursor(7) })
  t.end()
})

await t.test('an ephemeral event has no id on the stream, so that no client resumes from it', (t) => {
  const frame = new Frame(new Encoder('8f3kq0zt'), EVENT, undefined, 1, 0, 'own')
  const [raw] = parseStream(frame.chunk({ format: 'raw', topicLine: false }).plain)
  t.equal(raw!.id, undefined)
  const [cloud] = parseStream(frame.chunk({ format: 'cloudevents', topicLine: false }).plain)
  t.equal(cloud!.id, undefined)
  t.match(JSON.parse(cloud!.event!.data), { id: 'own' }, 'CloudEvents require an id')
  t.end()
})
