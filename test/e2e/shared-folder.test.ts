/** Several hubs on one folder: the leader writes, and another hub becomes the leader when it is killed or stopped. */
import { linkSync, readdirSync, rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { poll, within } from '../helper/deadline.js'
import { post, publish, request, send, type History, type Published } from '../helper/http.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, openStream, streamUrl, type EventStream } from '../helper/stream.js'
import { anyTopic, token } from '../helper/token.js'
import type { Node } from '../../src/schemas/node.js'

const bearer = anyTopic()
const admin = token({ sub: 'root', subscribe: ['**'], publish: ['**'], admin: true })

t.setTimeout(240_000)

const leads = (hub: Hub) => hub.logs().some(({ role }) => role === 'leader')

/** Starts hubs on a new folder. The first one is the leader. */
async function startHubs(t: Test, count: number, env: Record<string, string> = {}): Promise<Hub[]> {
  const folder = `${t.testdir({})}/log`
  const hubs: Hub[] = []
  for (let n = 0; n < count; n++) hubs.push(await startHub(t, { FANFARE_LOG: `file:${folder}`, ...env }))
  t.ok(leads(hubs[0]!), 'the first one leads')
  t.notOk(hubs.slice(1).some(leads), 'the others do not')
  return hubs
}

/** Publishes events one after the other until it is stopped. Repeats each event until it is acknowledged. */
class Publisher {
  readonly acknowledged: { id: string; data: string }[] = []
  repeated = 0
  #isStopped = false
  readonly #done: Promise<void>

  /** @param hubs the hubs to publish to; killed ones are skipped */
  constructor(name: string, hubs: readonly Hub[], topic: string) {
    this.#done = this.#run(name, hubs, topic)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await within(this.#done, () => 'a publisher gets no answer')
  }

  async #run(name: string, hubs: readonly Hub[], topic: string): Promise<void> {
    for (let n = 0; !this.#isStopped; n++) {
      const data = `${name}-${n}`
      for (let attempt = 0; ; attempt++) {
        const hub = hubs[(n + attempt) % hubs.length]!
        const answer = await post<Published>(`${hub.url}/topics/${topic}/events`, { data, id: data }, bearer).catch(
          () => undefined,
        )
        if (answer && answer.status < 300) {
          this.acknowledged.push({ id: answer.body.id, data })
          break
        }
        this.repeated++
        await delay(5) // the pace of a client that tries again
      }
    }
  }
}

/** Waits until the hub answers with this status whether it is ready. */
function ready(hub: Hub, status: number): Promise<true> {
  return poll(
    async () => ((await request(`${hub.url}/health/ready`)).status === status ? true : undefined),
    () => `the hub does not answer ${status}`,
  )
}

/** Reads all events of a hub. */
async function readAll(hub: Hub): Promise<{ id: string; data: unknown }[]> {
  const events: { id: string; data: unknown }[] = []
  for (let after: string | undefined, more = true; more;) {
    const { body } = await request<History>(
      streamUrl(hub, ['**'], { limit: '1000', ...(after === undefined ? {} : { after }) }),
      { headers: { authorization: `Bearer ${bearer}`, accept: 'application/json' } },
    )
    events.push(...body.events.map(({ id, data }) => ({ id, data })))
    after = body.cursor
    more = body.more
  }
  return events
}

/** Checks that every acknowledged event is stored once, and that the streams have all events in order. */
async function hasAll(t: Test, hub: Hub, publishers: Publisher[], streams: EventStream[]): Promise<void> {
  const events = await readAll(hub)
  const cursors = new Map(events.map(({ id, data }) => [data, id]))
  t.equal(cursors.size, events.length, 'each event is stored once')
  const acknowledged = publishers.flatMap(({ acknowledged }) => acknowledged)
  t.strictSame(
    acknowledged.filter(({ id, data }) => cursors.get(data) !== id).slice(0, 3),
    [],
    `each of ${acknowledged.length} acknowledged events has the cursor of its answer`,
  )
  const expected = events.map(({ id }) => id)
  for (const stream of streams) {
    await poll(
      async () => (stream.events.length >= expected.length ? true : undefined),
      () => `a stream has ${stream.events.length} of ${expected.length} events`,
    )
    t.strictSame(
      stream.events.map(({ id }) => id),
      expected,
      'a stream of another process has every event, once and in order',
    )
    t.notOk(stream.isClosed, 'the stream stays open')
  }
}

const openAll = (t: Test, hubs: Hub[]) =>
  Promise.all(hubs.map((hub) => openStream(t, streamUrl(hub, ['**'], { replay: 'all' }), { token: bearer })))

await t.test('a leader that is killed is replaced, and nothing is lost or stored twice', async (t) => {
  const hubs = await startHubs(t, 3)
  const [first, ...others] = hubs as [Hub, Hub, Hub]
  const streams = await openAll(t, others)
  const publishers = [0, 1, 2].map((n) => new Publisher(`p${n}`, others, `t.${n}`))
  await poll(
    async () => (publishers.every(({ acknowledged }) => acknowledged.length > 20) ? true : undefined),
    () => 'nothing is published',
  )
  await first.kill()
  const killed = performance.now()
  await post(`${others[0].url}/topics/after/events`, { data: 'after' }, bearer)
  t.comment(`published again ${Math.round(performance.now() - killed)} ms after the kill`)
  t.equal(others.filter(leads).length, 1, 'one of the others leads')
  const before = publishers.map(({ acknowledged }) => acknowledged.length)
  await poll(
    async () => (publishers.every(({ acknowledged }, n) => acknowledged.length > before[n]! + 20) ? true : undefined),
    () => 'publishing does not continue',
  )
  for (const publisher of publishers) await publisher.stop()
  await hasAll(t, others[1], publishers, streams)
})

await t.test('a leader that is stopped by SIGTERM is replaced, and nothing is lost or stored twice', async (t) => {
  const hubs = await startHubs(t, 2)
  const [first, second] = hubs as [Hub, Hub]
  const streams = await openAll(t, [second])
  const publisher = new Publisher('p', [second], 'a')
  await poll(
    async () => (publisher.acknowledged.length > 20 ? true : undefined),
    () => 'nothing is published',
  )
  t.equal(await first.stop(), 0)
  const before = publisher.acknowledged.length
  await poll(
    async () => (publisher.acknowledged.length > before + 20 ? true : undefined),
    () => 'publishing does not continue',
  )
  await publisher.stop()
  t.ok(leads(second))
  await hasAll(t, second, [publisher], streams)
})

await t.test('a leader that is frozen is not replaced: publishing is refused until it wakes', async (t) => {
  const [first, second] = (await startHubs(t, 2, { FANFARE_LEADER_TIMEOUT: '1s' })) as [Hub, Hub]
  const [stream] = (await openAll(t, [second])) as [EventStream]
  const publish = () => post<{ id: string }>(`${second.url}/topics/a/events`, { data: 0 }, bearer)
  t.equal((await publish()).status, 201)
  const inFlight = Array.from({ length: 50 }, publish)
  await Promise.race(inFlight)
  first.signal('SIGSTOP') // probably after a transaction that it has not reported
  const answers = await Promise.all(inFlight)
  const acknowledged = answers.filter(({ status }) => status === 201).map(({ body }) => body.id)
  const refused = await post<{ code: string }>(`${second.url}/topics/a/events`, { data: 1 }, bearer)
  t.equal(refused.status, 503)
  t.equal(refused.body.code, 'log-unavailable')
  t.match(refused.headers.get('retry-after'), /^\d+$/)
  await poll(
    async () => ((await request(`${second.url}/health/ready`)).status === 503 ? true : undefined),
    () => 'the hub is ready without its leader',
  )
  const known = (await readAll(second)).map(({ id }) => id)
  t.strictSame(
    acknowledged.filter((id) => !known.includes(id)),
    [],
    'history is read without the leader',
  )
  const ahead = known[0]!.replace(/\d+$/, '999')
  const resume = () => openStream(t, streamUrl(second, ['a']), { token: bearer, lastEventId: ahead })
  t.match(await (await resume()).told('close'), { reason: 'busy' }, 'a cursor that only the leader may know is no gap')
  t.notOk(stream.isClosed, 'streams stay open')
  t.notOk(leads(second), 'the second hub does not take the folder')
  const nodes = await send<Node[]>(second, 'GET', '/nodes', { token: admin })
  t.match(
    nodes.body.toSorted((a, b) => Number(b.leader) - Number(a.leader)),
    [
      { leader: true, unreachable: true, connections: 0, since: String },
      { leader: false, unreachable: false, connections: 1 },
    ],
    'the leader is listed as unreachable',
  )
  first.signal('SIGCONT')
  await poll(
    async () => ((await post(`${second.url}/topics/a/events`, { data: 2 }, bearer)).status === 201 ? true : undefined),
    () => 'publishing does not continue',
  )
  await poll(
    async () => ((await request(`${second.url}/health/ready`)).status === 200 ? true : undefined),
    () => 'the hub does not become ready',
  )
  t.notOk(leads(second))
  t.match(await (await resume()).told('gap'), { reason: 'future' })
  const events = await readAll(first)
  t.strictSame(await readAll(second), events)
  t.equal(new Set(events.map(({ id }) => id)).size, events.length)
})

await t.test(
  'a hub beside a frozen leader stops gracefully, and refuses the requests that wait for the leader',
  async (t) => {
    const [first, second] = (await startHubs(t, 2, { FANFARE_DRAIN: '100ms', FANFARE_LEADER_TIMEOUT: '60s' })) as [
      Hub,
      Hub,
    ]
    const stream = await openLive(t, streamUrl(second, ['a']), { token: bearer })
    const { id } = await publish(second, 'a', { data: 0 }, bearer)
    await stream.next()
    first.signal('SIGSTOP')
    const waiting = [
      post<{ code: string }>(`${second.url}/topics/a/events`, { data: 1 }, bearer),
      send<{ code: string }>(second, 'PUT', '/cursors/phone', { token: admin, body: { id } }),
      send<{ code: string }>(second, 'GET', '/connections', { token: admin }),
    ]
    await send(second, 'GET', '/nodes', { token: admin }) // takes half a second: the requests have arrived meanwhile
    t.equal(await second.stop(), 0)
    t.notMatch(second.output(), /not stopped within/)
    t.match(await stream.told('close'), { reason: 'drain' })
    for (const { status } of await Promise.all(waiting)) t.equal(status, 503)
  },
)

await t.test('a replica that was frozen until events were trimmed reports a gap', async (t) => {
  const [first, second] = (await startHubs(t, 2, {
    FANFARE_RETAIN_BYTES: '8MiB',
    FANFARE_DURABILITY: 'commit',
  })) as [Hub, Hub]
  const stream = await openLive(t, streamUrl(second, ['a']), { token: bearer })
  const { id } = await publish(first, 'a', { data: 0 }, bearer)
  t.equal((await stream.next()).id, id)
  second.signal('SIGSTOP')
  // more than the leader sends to a process that does not read: it then disconnects the process
  const text = 'x'.repeat(250_000)
  for (let n = 0; n < 320; n++) await publish(first, 'a', { text }, bearer)
  second.signal('SIGCONT')
  const { type, data } = await stream.next()
  t.strictSame([type, data], ['fanfare.close', '{"reason":"drain"}'], 'the stream gets none of the later events')
  const resumed = await openStream(t, streamUrl(second, ['a']), { token: bearer, lastEventId: id })
  t.match(await resumed.next(), { type: 'fanfare.open' })
  t.match(await resumed.next(), { type: 'fanfare.gap', data: /"reason":"expired"/ })
})

await t.test('a hub whose files another hub takes through hard links waits until that hub stops', async (t) => {
  const folder = t.testdir({ linked: {} })
  const first = await startHub(t, { FANFARE_LOG: `file:${folder}/log` })
  await publish(first, 'a', { data: 0 }, bearer)
  for (const name of ['data.mdb', 'lock.mdb']) linkSync(`${folder}/log/${name}`, `${folder}/linked/${name}`)
  const second = await startHub(t, { FANFARE_LOG: `file:${folder}/linked` })
  t.ok(leads(second), 'the second hub finds no socket of the first one')
  const refuse = async () => {
    const refused = await post<{ code: string; detail: string }>(`${first.url}/topics/a/events`, { data: 1 }, bearer)
    t.equal(refused.status, 503)
    t.equal(refused.body.code, 'log-unavailable')
    t.match(refused.body.detail, /another process has taken the files of the log/)
  }
  await refuse()
  t.equal((await readAll(second)).length, 1, 'there are never two writers')
  await publish(second, 'a', { data: 1 }, bearer)
  await ready(first, 503)
  await delay(1_000) // longer than two checks of the owner
  await refuse()
  const history = streamUrl(first, ['a'])
  t.equal(
    (await request(history, { headers: { authorization: `Bearer ${bearer}`, accept: 'application/json' } })).status,
    503,
  )
  await publish(second, 'a', { data: 2 }, bearer)
  t.equal(await second.stop(), 0)
  await ready(first, 200)
  await publish(first, 'a', { data: 3 }, bearer)
  t.equal((await readAll(first)).length, 4)
})

await t.test('the processes of a leader that was frozen and has lost the folder find the new leader', async (t) => {
  const folder = `${t.testdir({})}/log`
  const env = { FANFARE_LOG: `file:${folder}`, FANFARE_LEADER_TIMEOUT: '60s' }
  const deposed = await startHub(t, env)
  const replica = await startHub(t, env)
  const streams = await Promise.all(
    [deposed, replica].map((hub) => openLive(t, streamUrl(hub, ['a']), { token: bearer })),
  )
  const next = (index: number) => streams[index]!.next().then(({ data }) => data)
  await publish(replica, 'a', { data: 0 }, bearer)
  t.strictSame(await Promise.all([next(0), next(1)]), ['0', '0'])
  deposed.signal('SIGSTOP')
  rmSync(`${folder}/${readdirSync(folder).find((name) => name.endsWith('.sock'))!}`)
  const leader = await startHub(t, env)
  t.ok(leads(leader), 'a hub without a way to the frozen leader takes the folder')
  await publish(leader, 'a', { data: 1 }, bearer)
  t.equal(await within(next(1), () => 'the replica stays with the frozen leader', 3_000), '1')
  await publish(replica, 'a', { data: 2 }, bearer)
  t.equal(await next(1), '2')
  deposed.signal('SIGCONT')
  t.equal(await within(next(0), () => 'the deposed leader does not find the new one', 3_000), '1')
  t.equal(await next(0), '2')
  await ready(deposed, 200)
  await publish(deposed, 'a', { data: 3 }, bearer)
  t.strictSame(await Promise.all([next(0), next(1)]), ['3', '3'])
  for (const hub of [deposed, replica, leader]) {
    const nodes = await send<Node[]>(hub, 'GET', '/nodes', { token: admin })
    t.strictSame(nodes.body.map(({ leader }) => leader).sort(), [false, false, true])
    t.strictSame(
      (await readAll(hub)).map(({ data }) => data),
      [0, 1, 2, 3],
    )
  }
  t.equal(await leader.stop(), 0)
  await publish(deposed, 'a', { data: 4 }, bearer)
  t.strictSame(await Promise.all([next(0), next(1)]), ['4', '4'], 'both live on after the next change of the leader')
})

await t.test('a hub that starts beside a frozen leader reports the leader', async (t) => {
  const folder = `${t.testdir({})}/log`
  const first = await startHub(t, { FANFARE_LOG: `file:${folder}` })
  first.signal('SIGSTOP')
  await t.rejects(startHub(t, { FANFARE_LOG: `file:${folder}` }), /in use by another process \(it does not answer\)/)
  first.signal('SIGCONT')
  await startHub(t, { FANFARE_LOG: `file:${folder}` })
})

await t.test('a client may use any process', async (t) => {
  const [first, second] = (await startHubs(t, 2)) as [Hub, Hub]
  const stream = await openLive(t, streamUrl(first, ['a']), { token: bearer })
  const { body } = await post<Published>(`${second.url}/topics/a/events`, { data: 1 }, bearer)
  const event = await stream.next()
  t.equal(event.id, body.id)
  t.equal((await post(`${second.url}/topics/a/events`, { data: 2, ephemeral: true }, bearer)).status, 202)
  t.equal((await stream.next()).data, '2')
  const listed = await send<{ connections: { id: string }[] }>(second, 'GET', '/connections', { token: admin })
  t.equal(listed.body.connections.length, 1)
  const nodes = await send<{ leader: boolean; connections: number }[]>(second, 'GET', '/nodes', { token: admin })
  t.strictSame(nodes.body.map(({ leader }) => leader).sort(), [false, true])
  const ended = await send(second, 'DELETE', `/connections/${listed.body.connections[0]!.id}`, { token: admin })
  t.equal(ended.status, 204)
  await within(stream.closed, () => 'the stream is still open')
})
