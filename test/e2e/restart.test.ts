/** A hub that restarts on the same folder continues as before. */
import t from 'tap'
import { history, post, publish, publishBatch, type Published } from '../helper/http.js'
import { difference, due, inLogOrder, sequence, type Logged } from '../helper/oracle.js'
import { startHub, type Hub } from '../helper/process.js'
import { revivingHub } from '../helper/reviving-hub.js'
import { openLive, streamUrl, type EventStream } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

const bearer = anyTopic()
const SELECTIONS = [['orders.1'], ['**'], ['orders.*', 'users.1']]

for (const durability of ['sync', 'commit']) {
  await t.test(`(${durability}) a hub continues after a SIGTERM`, async (t) => {
    const settings = { FANFARE_LOG: `file:${t.testdir({})}`, FANFARE_DURABILITY: durability, FANFARE_DRAIN: '200ms' }
    const log: Logged[] = []
    const fill = async (hub: Hub, name: string): Promise<void> => {
      const events = ['orders.1', 'orders.2', 'users.1', 'orders.1'].map((topic, n) => ({
        topic,
        data: `${name} ${n}`,
      }))
      const published = await publishBatch(hub, events, bearer)
      log.push(...published.map(({ id, topic }, n) => ({ id, topic, data: JSON.stringify(events[n]!.data) })))
    }

    const first = await startHub(t, settings)
    const streams = await Promise.all(
      SELECTIONS.map((topics) => openLive(t, streamUrl(first, topics), { token: bearer })),
    )
    await fill(first, 'before')
    await Promise.all(
      streams.map((stream, n) => stream.until(() => stream.events.length === due(log, SELECTIONS[n]!).length)),
    )
    const once = await publish(first, 'users.2', { data: 1, id: 'once' }, bearer)
    log.push({ ...once, data: '1' })
    t.equal(await first.stop(), 0)
    const cursors = streams.map((stream) => stream.lastId!)
    for (const stream of streams) t.match(stream.all.at(-1), { type: 'fanfare.close', data: '{"reason":"drain"}' })

    const second = await startHub(t, settings)
    t.strictSame(
      await post(`${second.url}/topics/users.2/events`, { data: 1, id: 'once' }, bearer).then(({ status, body }) => [
        status,
        (body as Published).id,
      ]),
      [200, once.id],
      'publisher ids are remembered',
    )
    await fill(second, 'after')
    t.strictSame(
      log.map(({ id }) => sequence(id)),
      log.map((_, n) => n + 1),
      'sequences continue',
    )
    t.equal(new Set(log.map(({ id }) => id.split('-')[0])).size, 1, 'the epoch does not change')

    for (const [n, topics] of SELECTIONS.entries()) {
      const resumed = await openLive(t, streamUrl(second, topics), { token: bearer, lastEventId: cursors[n]! })
      t.strictSame(told(resumed), ['fanfare.open', 'fanfare.live'], `${topics.join(' ')} resumes without a gap`)
      const read = [...streams[n]!.events, ...resumed.events]
      t.equal(difference(read, due(log, topics)), 'none', 'no event is missing or repeated')
      const replayed = await openLive(t, streamUrl(second, topics, { replay: 'all' }), { token: bearer })
      t.equal(difference(replayed.events, due(log, topics)), 'none', 'all events can be replayed')
    }
    const future = await openLive(t, streamUrl(second, ['orders.1']), {
      token: bearer,
      lastEventId: `${once.id.split('-')[0]!}-${log.length + 1}`,
    })
    t.match(JSON.parse(future.all[1]!.data), { reason: 'future' }, 'a cursor beyond the head is a gap')
  })
}

await t.test('trims are known after a restart', async (t) => {
  const settings = { FANFARE_LOG: `file:${t.testdir({})}`, FANFARE_RETAIN_EVENTS: '5', FANFARE_DRAIN: '100ms' }
  const first = await startHub(t, settings)
  const log: Logged[] = []
  for (let n = 0; n < 20; n++)
    log.push({ ...(await publish(first, n % 4 === 0 ? 'quiet' : 'busy', { data: n }, bearer)), data: String(n) })
  t.equal(await first.stop(), 0)
  const hub = await startHub(t, settings)
  const busy = inLogOrder(log).filter(({ topic }) => topic === 'busy')
  const stale = await openLive(t, streamUrl(hub, ['busy']), { token: bearer, lastEventId: busy[0]!.id })
  t.match(JSON.parse(stale.all[1]!.data), { reason: 'expired', oldest: busy.at(-5)!.id })
  t.equal(difference(stale.events, due(busy.slice(-5), ['busy'])), 'none')
  for (const [topic, after] of [
    ['busy', busy.at(-6)!.id],
    ['quiet', log[0]!.id],
  ] as const) {
    t.strictSame(
      told(await openLive(t, streamUrl(hub, [topic]), { token: bearer, lastEventId: after })),
      ['fanfare.open', 'fanfare.live'],
      `no gap of ${topic}`,
    )
  }
  t.equal((await history(hub, 'quiet', 'limit=10', bearer)).body.events.length, 5)
})

await t.test('a lower retention applies after a restart', async (t) => {
  const folder = `file:${t.testdir({})}`
  const first = await startHub(t, { FANFARE_LOG: folder })
  const events = Array.from({ length: 300 }, (_, n) => ({ topic: `t.${n % 3}`, data: n }))
  const published = await publishBatch(first, events, bearer)
  await first.stop()
  const hub = await revivingHub(t, { FANFARE_LOG: folder, FANFARE_RETAIN_EVENTS: '10' })
  const stream = await openLive(t, streamUrl(hub, ['t.0']), { token: bearer, lastEventId: published[0]!.id })
  // Trims run in small steps, so a subscriber may still get events that are about to be trimmed. It gets a gap for the
  // others.
  const read = stream.events.map(({ id }) => id)
  const asked = published.filter(({ topic }, n) => topic === 't.0' && n > 0).map(({ id }) => id)
  t.strictSame(read, asked.slice(-read.length), 'the newest events are retained')
  t.equal(told(stream).includes('fanfare.gap'), read.length < asked.length, `${read.length} of ${asked.length} events`)
})

await t.test('a hub that is killed during its start leaves a usable folder', async (t) => {
  const hub = await revivingHub(t, { FANFARE_LOG: `file:${t.testdir({})}/new` })
  const { id } = await publish(hub.hub, 'a', { data: 1 }, bearer)
  await hub.kill()
  for (const after of [150, 250, 350, 450, 600, 900]) await hub.startAndKill(after)
  await hub.start()
  const stream = await openLive(t, streamUrl(hub, ['a'], { replay: 'all' }), { token: bearer })
  t.strictSame(
    stream.events.map((event) => event.id),
    [id],
  )
})

/** Returns the hub's own events on a stream. */
function told({ all }: EventStream): (string | undefined)[] {
  return all.map(({ type }) => type).filter((type) => type?.startsWith('fanfare.'))
}
