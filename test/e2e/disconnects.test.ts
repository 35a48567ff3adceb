/** Subscribers that disconnect at any moment, gracefully or not, do not affect others and leave nothing behind. */
import http from 'node:http'
import net from 'node:net'
import t from 'tap'
import { within, poll } from '../helper/deadline.js'
import { publish, request } from '../helper/http.js'
import { difference, due, publishConcurrently } from '../helper/oracle.js'
import { startHub, type Hub } from '../helper/process.js'
import { random } from '../helper/random.js'
import { openLive, openStream, streamUrl } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

const TOPICS = ['a.1', 'a.2', 'b.1', 'b.2']
const bearer = anyTopic()

/** Waits until the hub has a number of open streams. */
async function clients(hub: Hub, expected: number): Promise<void> {
  let last: unknown
  await poll(
    async () => {
      last = (await request<{ clients: number }>(`${hub.url}/status`)).body.clients
      return last === expected ? true : undefined
    },
    () => `the hub counts ${String(last)} clients, ${expected} are connected`,
  )
}

await t.test('subscribers that disconnect during a sweep do not affect others', async (t) => {
  const hub = await startHub(t)
  const numbers = random(11)
  const subscribers = await Promise.all(
    Array.from({ length: 400 }, async (_, n) => {
      const topics = [['**'], ['a.*', 'b.1'], ['a.1']][n % 3]!
      const leaves = n % 2 === 0
      const stream = await openLive(t, streamUrl(hub, topics), {
        token: bearer,
        ...(leaves
          ? { limit: 1 + numbers.below(60), leave: numbers.below(2) === 0 ? ('reset' as const) : ('close' as const) }
          : {}),
      })
      return { topics, leaves, stream }
    }),
  )
  await clients(hub, subscribers.length)

  const log = await publishConcurrently(hub, {
    publishers: 8,
    each: 40,
    topics: TOPICS,
    random: numbers,
    token: bearer,
  })
  for (const topic of TOPICS) {
    log.push({ ...(await publish(hub, topic, { data: 'end' }, bearer)), data: '"end"' })
  }

  for (const { topics, leaves, stream } of subscribers) {
    const expected = due(log, topics)
    if (leaves) {
      await within(stream.closed, () => `still there: ${stream.describe()}`)
      t.equal(
        difference(stream.events, expected.slice(0, stream.events.length)),
        'none',
        'the events before the disconnect',
      )
    } else {
      await stream.until(() => stream.lastId === expected.at(-1)!.id)
      t.equal(difference(stream.events, expected), 'none', topics.join(' '))
    }
  }
  const stayed = subscribers.filter(({ leaves }) => !leaves)
  await clients(hub, stayed.length)
  for (const { stream } of stayed) stream.destroy()
  await clients(hub, 0)
  t.notOk(
    hub.logs().some(({ level }) => Number(level) >= 50),
    'a disconnect is not logged as an error',
  )
})

await t.test('stalled subscribers that disconnect leave nothing behind', async (t) => {
  const hub = await startHub(t)
  const streams = await Promise.all(
    Array.from({ length: 50 }, () => openLive(t, streamUrl(hub, ['a.*']), { token: bearer })),
  )
  for (const stream of streams) stream.pause()
  const text = 'x'.repeat(200_000)
  for (let n = 0; n < 60; n++) await publish(hub, 'a.1', { text }, bearer)
  for (const [n, stream] of streams.entries()) {
    if (n % 2 === 0) stream.destroy()
    else stream.reset()
  }
  await clients(hub, 0)
  t.equal((await publish(hub, 'a.1', { data: 1 }, bearer)).subscribers, 0)
})

await t.test('subscribers that connect and disconnect at once are no longer counted', async (t) => {
  const hub = await startHub(t)
  const stays = await openLive(t, streamUrl(hub, ['**']), { token: bearer })
  await Promise.all(
    Array.from({ length: 300 }, async (_, n) => {
      await openStream(t, streamUrl(hub, ['a.*']), { token: bearer, limit: 0, leave: n % 2 === 0 ? 'reset' : 'close' })
      await publish(hub, 'a.1', { data: n }, bearer)
    }),
  )
  await clients(hub, 1)
  await stays.count(300)
  t.equal(new Set(stays.events.map(({ data }) => data)).size, 300)
})

await t.test(
  'a subscriber beyond the limit is told to reconnect, and is accepted once another stream has ended',
  async (t) => {
    const hub = await startHub(t, { FANFARE_MAX_CONNECTIONS: '3' })
    const url = streamUrl(hub, ['a.1'])
    const [first] = await Promise.all([0, 1, 2].map(() => openLive(t, url, { token: bearer })))
    for (let n = 0; n < 3; n++) {
      const refused = await openStream(t, url, { token: bearer })
      await within(refused.closed, () => refused.describe())
      t.strictSame(
        refused.all.map(({ type, data }) => ({ type, data })),
        [{ type: 'fanfare.close', data: `{"reason":"busy","retry":${refused.retries[0]}}` }],
      )
      t.ok(refused.retries[0]! >= 5_000 && refused.retries[0]! <= 15_000, `${refused.retries[0] ?? '-'} ms`)
    }
    first!.destroy()
    await clients(hub, 2)
    await openLive(t, url, { token: bearer })
  },
)

await t.test('a subscriber that closes its side of the connection counts as disconnected', async (t) => {
  const hub = await startHub(t)
  const socket = net.connect({ port: hub.port, host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => socket.destroy())
  socket.write(`GET /topics/a.1/events HTTP/1.1\r\nhost: fanfare\r\nauthorization: Bearer ${bearer}\r\n\r\n`)
  socket.resume()
  await clients(hub, 1)
  socket.end()
  await clients(hub, 0)
})

await t.test('a publisher that disconnects during an upload has published the complete lines', async (t) => {
  const hub = await startHub(t)
  const stream = await openLive(t, streamUrl(hub, ['a.*']), { token: bearer })
  const sending = http.request(`${hub.url}/events`, {
    method: 'POST',
    agent: false,
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/x-ndjson' },
  })
  sending.on('error', () => undefined) // the client itself disconnects
  sending.write('{"topic":"a.1","data":1}\n{"topic":"a.1","data":2}\n{"topic":"a.1","data":3')
  await stream.count(2)
  sending.destroy()
  const { id } = await publish(hub, 'a.1', { data: 'after' }, bearer)
  await stream.until(() => stream.lastId === id)
  t.strictSame(
    stream.events.map(({ data }) => data),
    ['1', '2', '"after"'],
  )
})
