/** Many topics of one stream, published within one turn of the hub's event loop, arrive in log order. */
import net from 'node:net'
import t, { type Test } from 'tap'
import { decodeChunks } from '../helper/chunks.js'
import { within } from '../helper/deadline.js'
import { publishBatch, type Published } from '../helper/http.js'
import { difference, due, inLogOrder, sequence, type Logged } from '../helper/oracle.js'
import { startHub, type Hub } from '../helper/process.js'
import { random } from '../helper/random.js'
import { openLive, streamUrl, type EventStream } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

const TOPICS = Array.from({ length: 40 }, (_, n) => `${'abcd'[n % 4]!}.${n}`)
const bearer = anyTopic()

interface Subscriber {
  topics: string[]
  stream: EventStream
}

async function openSubscribers(t: Test, hub: Hub): Promise<Subscriber[]> {
  const numbers = random(21)
  const several = Array.from({ length: 30 }, () => [...new Set(Array.from({ length: 20 }, () => numbers.pick(TOPICS)))])
  const asked = [...several, TOPICS, [...TOPICS].reverse(), ['**'], ['b.*'], ['d.*', 'a.*', 'c.4', 'b.1'], ['c.2']]
  return Promise.all(
    asked.map(async (topics) => ({ topics, stream: await openLive(t, streamUrl(hub, topics), { token: bearer }) })),
  )
}

async function check(t: Test, subscribers: Subscriber[], log: Logged[]): Promise<void> {
  for (const { topics, stream } of subscribers) {
    const expected = due(log, topics)
    await stream.count(expected.length)
    t.equal(difference(stream.events, expected), 'none', topics.slice(0, 5).join(' '))
  }
}

await t.test('a batch over many topics arrives in the order of the batch', async (t) => {
  const hub = await startHub(t)
  const subscribers = await openSubscribers(t, hub)
  const numbers = random(22)
  const log: Logged[] = []
  for (let batch = 0; batch < 10; batch++) {
    const events = Array.from({ length: 100 }, (_, n) => ({ topic: numbers.pick(TOPICS), data: { batch, n } }))
    const published = await publishBatch(hub, events, bearer)
    t.strictSame(
      published.map(({ topic }) => topic),
      events.map(({ topic }) => topic),
      'the answer is in the order of the batch',
    )
    log.push(...published.map(({ id, topic }, n) => ({ id, topic, data: JSON.stringify({ batch, n }) })))
  }
  t.strictSame(
    log.map(({ id }) => sequence(id)),
    log.map((_, n) => n + sequence(log[0]!.id)),
    'the sequence numbers are consecutive',
  )
  await check(t, subscribers, log)
})

await t.test('concurrent batches do not mix', async (t) => {
  const hub = await startHub(t)
  const subscribers = await openSubscribers(t, hub)
  const numbers = random(23)
  const batches = Array.from({ length: 12 }, (_, batch) =>
    Array.from({ length: 80 }, (_, n) => ({ topic: numbers.pick(TOPICS), data: { batch, n } })),
  )
  const answers = await Promise.all(batches.map((events) => publishBatch(hub, events, bearer)))
  for (const published of answers) {
    t.strictSame(
      published.map(({ id }) => sequence(id)),
      published.map((_, n) => n + sequence(published[0]!.id)),
      'the sequence numbers of a batch are consecutive',
    )
  }
  const log = answers.flatMap((published, batch) =>
    published.map(({ id, topic }, n) => ({ id, topic, data: JSON.stringify({ batch, n }) })),
  )
  await check(t, subscribers, inLogOrder(log))
})

await t.test('requests pipelined on one socket are stored and arrive in their order', async (t) => {
  const hub = await startHub(t)
  const subscribers = await openSubscribers(t, hub)
  const numbers = random(24)
  // Two concurrent sockets: the events of each are in its order, and all are in log order.
  const published = await Promise.all(
    [0, 1].map((socket) =>
      pipeline(
        hub,
        Array.from({ length: 150 }, (_, n) => ({ topic: numbers.pick(TOPICS), data: { socket, n } })),
      ),
    ),
  )
  for (const own of published) {
    const sequences = own.map(({ id }) => sequence(id))
    t.strictSame(
      sequences,
      [...sequences].sort((a, b) => a - b),
      'in the order of the requests',
    )
  }
  await check(t, subscribers, inLogOrder(published.flat()))
})

await t.test('a stream that is pipelined between other requests is not mixed with their answers', async (t) => {
  const hub = await startHub(t)
  const body = '{"data":1}'
  const head = `host: fanfare\r\nauthorization: Bearer ${bearer}\r\n`
  const post = (topic: string): string =>
    `POST /topics/${topic}/events HTTP/1.1\r\n${head}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  const socket = net.connect(hub.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  let text = ''
  const read = (what: string): Promise<void> =>
    within(
      new Promise((resolve) => {
        const look = (): void => {
          if (!text.includes(what)) return
          socket.off('data', look)
          resolve()
        }
        socket.on('data', look)
        look()
      }),
      () => `${what} in ${text}`,
    )
  socket.setEncoding('utf8').on('data', (part: string) => (text += part))
  socket.write(`${post('a.1')}GET /topics/a.2/events HTTP/1.1\r\n${head}\r\n${post('a.1')}`)
  await read('event: fanfare.open\n')
  const { id } = (await publishBatch(hub, [{ topic: 'a.2', data: 'there' }], bearer))[0]!
  await read(`id: ${id}\ndata: "there"\n\n`)
  const [before, stream] = text.split(/(?=HTTP\/1\.1 200 OK\r\n)/)
  t.match(before, /^HTTP\/1\.1 201 Created\r\n/, 'the request before the stream is answered')
  t.equal(
    text.match(/HTTP\/1\.1/g)?.length,
    2,
    'the request after the stream is not answered, since the stream never ends',
  )
  const { parts } = decodeChunks(Buffer.from(stream!.slice(stream!.indexOf('\r\n\r\n') + 4)))
  t.match(parts[0], /^retry: \d+\nid: [^\n]+\nevent: fanfare\.open\n/, 'the first block follows the head directly')
})

await t.test('ephemeral events reach live streams, but not resumed ones', async (t) => {
  const hub = await startHub(t)
  const stream = await openLive(t, streamUrl(hub, ['a.*', 'b.*']), { token: bearer })
  const start = stream.lastId!
  const events = Array.from({ length: 60 }, (_, n) => ({ topic: TOPICS[n % 2]!, data: n, ephemeral: n % 3 === 0 }))
  const published = await publishBatch(hub, events, bearer)
  t.strictSame(
    published.map(({ id }) => (id as string | null) === null),
    events.map(({ ephemeral }) => ephemeral),
    'ephemeral events have no cursor',
  )
  await stream.count(events.length)
  const stored = due(
    published.flatMap(({ id, topic }, n) => (n % 3 === 0 ? [] : [{ id, topic, data: String(n) }])),
    ['a.*', 'b.*'],
  )
  t.equal(
    difference(
      stream.events.filter(({ id }) => id !== undefined),
      stored,
    ),
    'none',
  )
  t.strictSame(
    stream.events.filter(({ id }) => id === undefined).map(({ data }) => Number(data)),
    events.flatMap(({ data, ephemeral }) => (ephemeral ? [data] : [])),
    'each once, in the order of the publishes',
  )
  const again = await openLive(t, streamUrl(hub, ['a.*', 'b.*']), { token: bearer, lastEventId: start })
  t.equal(difference(again.events, stored), 'none')
})

await t.test('topics with the names of object members are ordinary topics', async (t) => {
  const hub = await startHub(t)
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
  const topics = [...names, ...names.map((name) => `a.${name}`), ...names.map((name) => `${name}.b`)]
  const subscribers = await Promise.all(
    [...topics.map((topic) => [topic]), topics, ['**'], ['*.constructor']].map(async (asked) => ({
      topics: asked,
      stream: await openLive(t, streamUrl(hub, asked), { token: bearer }),
    })),
  )
  const published = await publishBatch(
    hub,
    topics.map((topic, n) => ({ topic, data: n })),
    bearer,
  )
  await check(
    t,
    subscribers,
    published.map(({ id, topic }, n) => ({ id, topic, data: String(n) })),
  )
})

/**
 * Sends publish requests in one write on one socket, without waiting for an answer (RFC 9112, 9.3.2), and reads all
 * answers.
 */
async function pipeline(hub: Hub, events: { topic: string; data: unknown }[]): Promise<Logged[]> {
  const requests = events.map(({ topic, data }, n) => {
    const body = JSON.stringify({ data })
    const close = n === events.length - 1 ? 'connection: close\r\n' : ''
    return `POST /topics/${topic}/events HTTP/1.1\r\nhost: fanfare\r\n${close}authorization: Bearer ${bearer}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  })
  const socket = net.connect(hub.port, '127.0.0.1')
  socket.write(requests.join(''))
  let text = ''
  socket.setEncoding('utf8').on('data', (part: string) => (text += part))
  await within(
    new Promise<void>((resolve, reject) => void socket.once('end', resolve).once('error', reject)),
    () => `answers to pipelined requests: ${text.slice(-500)}`,
  )
  const bodies = text.split(/HTTP\/1\.1 201 Created\r\n/).slice(1)
  if (bodies.length !== events.length)
    throw new Error(`${bodies.length} of ${events.length} answers: ${text.slice(-500)}`)
  return bodies.map((answer, n) => {
    const { id, topic } = JSON.parse(/\{.*\}/.exec(answer.slice(answer.indexOf('\r\n\r\n')))![0]) as Published
    return { id, topic, data: JSON.stringify(events[n]!.data) }
  })
}
