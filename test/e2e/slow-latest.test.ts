/** A stalled subscriber with `slow=latest` gets a gap, and then only the newest event of each topic. */
import t from 'tap'
import { publish, request } from '../helper/http.js'
import { poll } from '../helper/deadline.js'
import { checkProblem } from '../helper/problem.js'
import { startHub } from '../helper/process.js'
import { openLive, openStream, streamUrl, type StreamEvent } from '../helper/stream.js'
import { anyTopic, token } from '../helper/token.js'

const bearer = anyTopic()
const admin = token({ admin: true })
const LARGE = 'x'.repeat(60_000)
/** More events of a topic than the sockets of both ends can buffer. */
const MANY = 300

const keep = (event: StreamEvent): StreamEvent => ({ ...event, data: event.data.slice(0, 20).replace(/x+$/, '') })

for (const log of ['memory', 'file']) {
  await t.test(
    `${log} log: after a stall the stream gets the newest event of each topic, and then new events`,
    async (t) => {
      // a stream without slow=latest is ended after a stall of 200 ms
      const hub = await startHub(t, {
        FANFARE_LOG: log === 'memory' ? 'memory' : `file:${t.testdir({})}`,
        FANFARE_RETAIN_EVENTS: '100000',
        FANFARE_SLOW_TIMEOUT: '200ms',
      })
      const stream = await openStream(t, streamUrl(hub, ['dash.*', 'single'], { slow: 'latest' }), {
        token: bearer,
        keep,
      })
      const other = await openLive(t, streamUrl(hub, ['dash.*'], { slow: 'resume' }), { token: bearer, keep })
      await stream.told('open')
      await publish(hub, 'single', { text: 'before' }, bearer)
      await stream.count(1)
      stream.pause()
      other.pause()
      const newest = new Map<string, string>()
      for (let n = 0; n < MANY; n++) {
        const topic = `dash.${n % 3}`
        newest.set(topic, (await publish(hub, topic, { text: `${n} ${LARGE}` }, bearer)).id)
      }
      const clients = async () => (await request<{ clients: number }>(`${hub.url}/status`)).body.clients
      await poll(
        async () => ((await clients()) === 1 ? true : undefined),
        () => 'a stream without slow=latest is ended',
      )

      stream.resume()
      const gap = (await stream.told('gap')) as { reason: string; after: string; oldest: string }
      t.equal(gap.reason, 'skipped')
      await stream.until(() => [...newest.values()].every((id) => stream.events.some((event) => event.id === id)))
      const ids = stream.events.map(({ id }) => Number(id!.split('-')[1]))
      t.strictSame(
        ids,
        ids.toSorted((a, b) => a - b),
        'in order',
      )
      t.equal(new Set(ids).size, ids.length, 'each once')
      const at = stream.all.findIndex(({ type }) => type === 'fanfare.gap')
      const afterGap = stream.all.slice(at + 1)
      t.strictSame(
        afterGap.map(({ id }) => id),
        [...newest.values()],
        'after the gap the newest event of each topic follows, and nothing else',
      )
      t.equal(gap.oldest, afterGap[0]!.id)
      t.equal(
        gap.after,
        stream.all.slice(0, at).findLast(({ type }) => !type?.startsWith('fanfare.'))!.id,
        'the gap names the last received event',
      )
      t.ok(stream.events.length < MANY, `${stream.events.length} of ${MANY + 1}`)
      t.equal(stream.all.filter(({ type }) => type === 'fanfare.gap').length, 1)

      for (const data of [1, 2, 3]) await publish(hub, 'single', { data }, bearer)
      await stream.until(() => stream.events.at(-1)?.data === '3')
      t.strictSame(
        stream.events.slice(-3).map(({ data }) => data),
        ['1', '2', '3'],
        'a stream that keeps up gets every event',
      )
      t.equal((await request(`${hub.url}/health/ready`)).status, 200)
    },
  )
}

await t.test('a requested replay is sent completely, even if it is larger than the socket buffers', async (t) => {
  const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '100000' })
  for (let n = 0; n < MANY; n++) await publish(hub, 'past', { text: `${n} ${LARGE}` }, bearer)
  const stream = await openStream(t, streamUrl(hub, ['past'], { slow: 'latest', replay: 'all' }), {
    token: bearer,
    keep,
  })
  await publish(hub, 'past', { text: 'end' }, bearer)
  await stream.told('live')
  await stream.until(() => stream.events.at(-1)?.data === 'end')
  t.equal(stream.events.length, MANY + 1)
})

await t.test('an unknown policy is refused', async (t) => {
  const hub = await startHub(t)
  const headers = { authorization: `Bearer ${bearer}`, accept: 'text/event-stream' }
  t.equal(
    checkProblem(t, await request(streamUrl(hub, ['a'], { slow: 'drop' }), { headers }), 400, 'drop').code,
    'invalid-request',
  )
})

await t.test('a subscriber that stalls during its replay gets the newest events too', async (t) => {
  const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '100000' })
  for (let n = 0; n < MANY; n++) await publish(hub, 'past', { text: `${n} ${LARGE}` }, bearer)
  const stream = await openStream(t, streamUrl(hub, ['past'], { slow: 'latest', replay: 'all' }), {
    token: bearer,
    keep,
  })
  stream.pause()
  const connection = `${hub.url}/connections/${String(stream.headers['fanfare-connection'])}`
  let sent = { bytes: -1, since: 0 }
  await poll(
    async () => {
      const { bytes } = (
        await request<{ sent: { bytes: number } }>(connection, { headers: { authorization: `Bearer ${admin}` } })
      ).body.sent
      if (bytes !== sent.bytes) sent = { bytes, since: performance.now() }
      return performance.now() - sent.since > 1_500 ? true : undefined // long enough to count as stalled
    },
    () => 'the hub does not stop sending',
  )
  stream.resume()
  await stream.told('live')
  t.equal(stream.events.at(-1)!.data, `${MANY - 1} `)
  t.ok(stream.events.length < MANY, `${stream.events.length} of ${MANY}`)
  t.match(
    stream.all.filter(({ type }) => type === 'fanfare.gap').map(({ data }) => JSON.parse(data) as unknown),
    [{ reason: 'skipped' }],
  )
})

for (const nativeSockets of ['auto', 'off']) {
  await t.test(
    `a subscriber that reads at full speed misses nothing of a burst (sockets: ${nativeSockets})`,
    async (t) => {
      const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '100000', FANFARE_NATIVE_SOCKETS: nativeSockets })
      const stream = await openStream(t, streamUrl(hub, ['burst'], { slow: 'latest' }), { token: bearer })
      await stream.told('open')
      const lines = Array.from({ length: 2_000 }, (_, data) => `${JSON.stringify({ topic: 'burst', data })}\n`)
      const answer = await fetch(`${hub.url}/events`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/x-ndjson' },
        body: lines.join(''),
      })
      t.equal(answer.status, 200)
      await stream.until(() => stream.events.at(-1)?.data === '1999')
      t.equal(stream.events.length, 2_000)
      t.equal(stream.all.filter(({ type }) => type === 'fanfare.gap').length, 0)
    },
  )
}
