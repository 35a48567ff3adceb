/** The schemas of blocks and of the hub's own events describe what streams really have. */
import t, { type Test } from 'tap'
import type { PresenceChange } from '../../src/hub/presence.js'
import type { Stats } from '../../src/hub/stats-event.js'
import type { ConnectionChange } from '../../src/hub/stream-info.js'
import {
  CloseBlock,
  Closing,
  CloudEvent,
  EventBlock,
  Gap,
  GapBlock,
  HeartbeatBlock,
  LiveBlock,
  OpenBlock,
  Opened,
  StreamBlock,
  StreamEvent,
} from '../../src/schemas/block.js'
import { ConnectionEvent, PresenceEvent, StatsEvent } from '../../src/schemas/system-event.js'
import { Compile, Type, type Static, type TSchema } from '../../src/schemas/typebox.js'
import { token } from '../helper/token.js'
import { listen, openApp } from '../routes/open-app.js'

/** The types of the hub and the types of the schemas are the same. */
type Same<A, B> = [A, B] extends [B, A] ? true : false
const same: [
  Same<Required<Stats>, Required<Static<typeof StatsEvent>>>,
  Same<PresenceChange, Static<typeof PresenceEvent>>,
  Same<keyof ConnectionChange, keyof Static<typeof ConnectionEvent>>,
] = [true, true, true]
t.strictSame(same, [true, true, true], 'checked by the compiler')

interface Fields {
  event?: string
  data?: string
  retry?: number
}

/** Opens a stream. Returns its blocks as objects of fields, as they arrive, until the stream ends. */
async function* read(t: Test, url: string): AsyncGenerator<Fields> {
  const abort = new AbortController()
  t.teardown(() => abort.abort())
  const admin = token({ subscribe: ['**'], presence: ['**'], admin: true, sub: 'u1' })
  const { body } = await fetch(url, { headers: { authorization: `Bearer ${admin}` }, signal: abort.signal })
  let rest = ''
  const decoder = new TextDecoder()
  for await (const piece of body as unknown as AsyncIterable<Uint8Array>) {
    const texts = (rest + decoder.decode(piece, { stream: true })).split('\n\n')
    rest = texts.pop()!
    for (const text of texts) {
      const fields: Record<string, unknown> = {}
      for (const line of text.split('\n')) {
        const [, name = '', value = ''] = /^(\w+): (.*)$/.exec(line)!
        fields[name] = name === 'retry' ? Number(value) : value
      }
      yield fields
    }
  }
}

function fits(t: Test, schema: TSchema, value: unknown, what: string): void {
  t.strictSame(Compile(schema).Errors(value), [], `${what}: ${JSON.stringify(value)}`)
}

/** The schemas of the hub's own blocks, and of their data. */
const BLOCKS: Record<string, [block: TSchema, data: TSchema]> = {
  'fanfare.open': [OpenBlock, Opened],
  'fanfare.gap': [GapBlock, Gap],
  'fanfare.live': [LiveBlock, Type.Object({})],
  'fanfare.heartbeat': [HeartbeatBlock, Type.Object({})],
  'fanfare.close': [CloseBlock, Closing],
  'fanfare.join': [EventBlock, PresenceEvent],
}

await t.test('each block of a stream fits its schema', async (t) => {
  const { app } = await openApp(t, { heartbeat: 200 })
  const origin = await listen(app)
  const seen = new Set<string>()
  await app.hub.publish('a', { data: { total: 12 }, type: 'created', attributes: { traceparent: 'x' } })
  const url = `${origin}/events?topic=a&topic=b&presence=true&lastEventId=aaaaaaaa-3`
  for await (const block of read(t, url)) {
    const name = block.event ?? 'message'
    seen.add(name)
    fits(t, StreamBlock, block, name)
    const [schema, data] = BLOCKS[name] ?? [EventBlock]
    fits(t, schema, block, name)
    if (data) fits(t, data, JSON.parse(block.data!), name)
    if (name === 'fanfare.live') await app.hub.publish('b', { text: 'hello', ephemeral: true })
    if (name === 'fanfare.heartbeat') void app.close()
  }
  const expected = ['open', 'gap', 'join', 'live', 'heartbeat', 'close'].map((name) => `fanfare.${name}`)
  t.strictSame([...seen].sort(), ['created', 'message', ...expected].sort())
})

await t.test('the events of other formats fit their schemas', async (t) => {
  const { app } = await openApp(t)
  const origin = await listen(app)
  await app.hub.publish('a', { data: 1, type: 'created', attributes: { traceparent: 'x' } })
  await app.hub.publish('a', { bytes: 'AAAA' })
  for (const [format, schema] of [
    ['json', StreamEvent],
    ['cloudevents', CloudEvent],
  ] as const) {
    let count = 0
    for await (const { event, data } of read(t, `${origin}/topics/a/events?replay=all&format=${format}`)) {
      if (event === 'fanfare.live') await app.hub.publish('a', { text: 'hello', ephemeral: true })
      if (event?.startsWith('fanfare.')) continue
      fits(t, schema, JSON.parse(data!), format)
      if (++count === 3) break
    }
  }
})

await t.test('the events of the system topics fit their schemas', async (t) => {
  const { app } = await openApp(t)
  const origin = await listen(app)
  const wanted = new Set(['stats', 'connections'])
  for await (const { event, data } of read(
    t,
    `${origin}/events?topic=fanfare.stats&topic=fanfare.connections&format=json`,
  )) {
    if (event?.startsWith('fanfare.')) {
      if (event === 'fanfare.live') void read(t, `${origin}/topics/a/events`).next()
      continue
    }
    const { topic, data: told } = JSON.parse(data!) as Static<typeof StreamEvent>
    fits(t, topic === 'fanfare.stats' ? StatsEvent : ConnectionEvent, told, topic)
    wanted.delete(topic.slice('fanfare.'.length))
    if (wanted.size === 0) break
  }
  t.equal(wanted.size, 0)
})
