/** Several processes answer as one hub: two applications on one log. */
import t, { type Test } from 'tap'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { DelayedLog } from '../helper/delayed-log.js'
import { LocalCluster, type LocalClusterOptions, type LocalNode } from '../helper/local-cluster.js'
import { share } from '../helper/shared-log.js'
import { openLive, openStream, streamUrl, type EventStream } from '../helper/stream.js'
import { token, type Grants } from '../helper/token.js'
import { isProblem, listen, openApp, until, type OpenApp } from './open-app.js'
import type { AppSettings } from '../../src/app.js'
import { hubOf } from '../../src/plugins/hub.js'
import type { ConnectionsPage } from '../../src/schemas/connection.js'
import type { Node } from '../../src/schemas/node.js'
import type { StatsHistory } from '../../src/schemas/stats.js'
import type { Static } from '../../src/schemas/typebox.js'
import { poll } from '../helper/deadline.js'

const admin = token({ sub: 'root', admin: true, subscribe: ['**'] })

interface Process extends OpenApp {
  url: string
  node: LocalNode
  /** Sends a request with a token, by default an admin's. */
  ask: (method: string, url: string, payload?: object, bearer?: string) => ReturnType<OpenApp['send']>
}

/** Starts two processes. */
async function openTwo(
  t: Test,
  { cluster: options, ...settings }: Omit<AppSettings, 'cluster'> & { cluster?: LocalClusterOptions } = {},
): Promise<[Process, Process]> {
  const log = new MemoryLog({ events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 1e6 })
  t.teardown(() => log.close())
  const cluster = new LocalCluster(options)
  const start = async (): Promise<Process> => {
    const node = cluster.start()
    const app = await openApp(t, { log: share(log), cluster: node, ...settings })
    const ask: Process['ask'] = (method, url, payload, bearer = admin) =>
      app.send({
        method: method as 'GET',
        url,
        headers: { authorization: `Bearer ${bearer}` },
        ...(payload && { payload }),
      })
    return { ...app, url: await listen(app.app), node, ask }
  }
  return [await start(), await start()]
}

function idOf({ headers }: EventStream): string {
  return String(headers['fanfare-connection'])
}

function user(sub: string, grants: Grants = {}): string {
  return token({ sub, subscribe: ['a', 'b'], ...grants })
}

async function nodesAt({ ask }: Pick<Process, 'ask'>): Promise<Node[]> {
  return (await ask('GET', '/nodes')).json<Node[]>()
}

await t.test('a stream of another process', async (t) => {
  const [a, b] = await openTwo(t)
  const ann = user('ann')

  await t.test('is described', async (t) => {
    const stream = await openLive(t, streamUrl(b, ['a']), { token: ann })
    t.ok(idOf(stream).startsWith(`${b.node.node}-`), 'its id names its process')
    for (const { ask } of [a, b])
      for (const bearer of [admin, ann])
        t.match((await ask('GET', `/connections/${idOf(stream)}`, undefined, bearer)).json(), {
          id: idOf(stream),
          subject: 'ann',
          topics: ['a'],
        })
  })

  await t.test('is given other topics', async (t) => {
    const stream = await openLive(t, streamUrl(b, ['a']), { token: ann })
    await hubOf(a.app).publish('b', { text: 'before' })
    const change = { subscribe: ['b'], unsubscribe: ['a'], replay: 1 }
    const response = await a.ask('PATCH', `/connections/${idOf(stream)}`, change, ann)
    t.equal(response.statusCode, 200)
    t.strictSame(response.json(), { topics: ['b'] })
    await hubOf(a.app).publish('b', { text: 'after' })
    await stream.until(() => stream.events.length === 2)
    t.strictSame(
      stream.events.map(({ data }) => data),
      ['before', 'after'],
    )
  })

  await t.test('is given another token', async (t) => {
    const stream = await openLive(t, streamUrl(b, ['a', 'b']), { token: ann })
    const narrow = user('ann', { subscribe: ['b'], exp: 4e9 })
    const response = await a.ask('PUT', `/connections/${idOf(stream)}/token`, undefined, narrow)
    t.strictSame(response.json(), { topics: ['b'], expiresAt: new Date(4e12).toISOString() })
    t.match((await b.ask('GET', `/connections/${idOf(stream)}`)).json(), { topics: ['b'] })
  })

  await t.test('is ended', async (t) => {
    const stream = await openLive(t, streamUrl(b, ['a']), { token: ann })
    t.equal((await a.ask('DELETE', `/connections/${idOf(stream)}`, undefined, ann)).statusCode, 204)
    await stream.until(() => stream.all.some(({ type }) => type === 'fanfare.close'))
    isProblem(t, await a.ask('GET', `/connections/${idOf(stream)}`), 404, 'not-found')
  })

  await t.test('gives the same refusals as a stream of the same process', async (t) => {
    const stream = await openLive(t, streamUrl(b, ['a']), { token: ann })
    const path = `/connections/${idOf(stream)}`
    const many = Array.from({ length: 101 }, (_, n) => `t${n}`)
    for (const [method, url, payload, bearer] of [
      ['GET', path, undefined, user('bob')],
      ['GET', path, undefined, token({ subscribe: ['a'] })],
      ['PATCH', path, { subscribe: ['c'] }, ann],
      ['PATCH', path, { subscribe: ['c'] }, admin],
      ['PATCH', path, { subscribe: ['no such pattern'] }, ann],
      ['PATCH', path, { subscribe: ['fanfare.nothing'] }, admin],
      ['PATCH', path, { subscribe: many }, ann],
      ['PATCH', path, { replay: -1 }, ann],
      ['PUT', `${path}/token`, undefined, user('bob')],
      ['PUT', `${path}/token`, undefined, admin],
      ['DELETE', path, undefined, user('bob')],
      ['GET', `${path}x`, undefined, admin],
      ['GET', '/connections/none', undefined, admin],
      ['GET', '/connections/node-9-aaaaaaaaaaaaaaaa', undefined, admin],
    ] as const) {
      const [here, there] = await Promise.all([b, a].map(({ ask }) => ask(method, url, payload, bearer)))
      t.ok(here!.statusCode >= 400, `${method} ${url} ${JSON.stringify(payload)}`)
      const expected = here!.json<{ requestId: string }>()
      const body = there!.json<{ requestId: string }>()
      t.strictSame({ ...body, requestId: expected.requestId }, expected, here!.body)
      t.equal(there!.headers['www-authenticate'], here!.headers['www-authenticate'])
    }
  })
})

await t.test('a stream of a process that has ended is not found', async (t) => {
  const [a, b] = await openTwo(t)
  const stream = await openLive(t, streamUrl(b, ['a']), { token: user('ann') })
  b.node.die()
  isProblem(t, await a.ask('GET', `/connections/${idOf(stream)}`), 404, 'not-found')
  isProblem(t, await a.ask('DELETE', `/connections/${idOf(stream)}`), 404, 'not-found')
  t.strictSame((await a.ask('GET', '/connections')).json(), { connections: [], more: false, cursor: null })
  t.strictSame((await a.ask('DELETE', '/connections?subject=ann')).json(), { closed: 0 })
})

await t.test('a process that does not answer is a temporary refusal', async (t) => {
  const [a, b] = await openTwo(t, { cluster: { timeout: 50 } })
  const stream = await openLive(t, streamUrl(b, ['a']), { token: user('ann') })
  await openLive(t, streamUrl(a, ['a']), { token: user('ann') })
  t.match((await a.ask('GET', '/status')).json(), { clients: 2, nodes: 2 })
  b.node.freeze()
  const path = `/connections/${idOf(stream)}`
  for (const [method, url] of [
    ['GET', path],
    ['DELETE', path],
    ['GET', '/connections'],
    ['DELETE', '/connections?subject=bob'],
  ] as const) {
    const response = await a.ask(method, url)
    t.match(isProblem(t, response, 503, 'unavailable', `${method} ${url}`), { detail: /node-1.* does not answer/ })
    t.ok(Number(response.headers['retry-after']) > 0)
  }
  const status: unknown = (await a.ask('GET', '/status')).json()
  t.match(status, { clients: 2, nodes: 2 }, 'the frozen process counts with its last report')
  t.match((await a.ask('GET', '/topics/a')).json(), { subscribers: 1 })
  b.node.thaw()
  t.match((await a.ask('GET', path)).json(), { subject: 'ann' })
})

await t.test('admins list the streams of all processes in pages', async (t) => {
  const [a, b] = await openTwo(t)
  const ids: string[] = []
  for (let n = 0; n < 12; n++)
    ids.push(
      idOf(
        await openLive(t, streamUrl(n % 3 === 0 ? a : b, [n % 2 ? 'a' : 'b']), { token: user(n < 5 ? 'ann' : 'bob') }),
      ),
    )
  for (const { ask } of [a, b]) {
    const list = async (query: string) =>
      (await ask('GET', `/connections?${query}`)).json<{
        connections: { id: string }[]
        more: boolean
        cursor: string
      }>()
    const read: string[] = []
    for (let after = '', more = true; more;) {
      const page = await list(`limit=5&after=${after}`)
      t.ok(page.connections.length <= 5)
      read.push(...page.connections.map(({ id }) => id))
      t.equal(page.cursor, read.at(-1))
      ;({ more, cursor: after } = page)
    }
    t.strictSame(read, ids.toSorted())
    t.equal((await list('subject=ann')).connections.length, 5)
    t.equal((await list('topic=a')).connections.length, 6)
    t.equal((await list('topic=a&subject=ann')).connections.length, 2)
  }
  t.strictSame((await a.ask('DELETE', '/connections?subject=ann')).json(), { closed: 5 })
  t.strictSame((await b.ask('GET', '/connections?subject=ann')).json(), { connections: [], more: false, cursor: null })
})

await t.test('admins list the streams of all processes by lag, and find them by id, subject and address', async (t) => {
  const [a, b] = await openTwo(t)
  const stalled = [await a.subscribe('a'), await b.subscribe('**'), await b.subscribe('b')]
  for (const sink of stalled) sink.stall()
  for (const topic of ['a', 'b']) await hubOf(a.app).publish(topic, { data: 0 })
  await until(() => stalled.every(({ isFull }) => isFull))
  for (let n = 0; n < 20; n++) await hubOf(a.app).publish(n < 15 ? 'a' : 'b', { data: n })
  const ann = await openLive(t, streamUrl(a, ['a']), { token: user('ann') })
  for (const { ask } of [a, b]) {
    const list = async (query: string) =>
      (await ask('GET', `/connections?${query}`)).json<Static<typeof ConnectionsPage>>()
    const all = await list('order=lag')
    t.equal(all.connections.length, 4)
    t.ok(all.connections[2]!.lag > 0)
    t.equal(all.connections[3]!.lag, 0)
    t.strictSame(
      all.connections.map(({ lag }) => lag),
      all.connections.map(({ lag }) => lag).sort((one, other) => other - one),
    )
    t.match(all, { more: false, cursor: null })
    const some = await list('order=lag&limit=2')
    t.strictSame(
      some.connections.map(({ id, lag }) => [id, lag]),
      all.connections.slice(0, 2).map(({ id, lag }) => [id, lag]),
    )
    t.match(some, { more: true, cursor: null })
    t.match(await list('search=ANN'), { connections: [{ id: idOf(ann), subject: 'ann', address: '127.0.0.1' }] })
    t.match(await list(`search=${idOf(ann).slice(3)}`), { connections: [{ id: idOf(ann) }], more: false })
    t.equal((await list('search=127.0.0')).connections.length, 4)
    t.equal((await list('search=127.0.0&order=lag&topic=b')).connections.length, 2)
    t.strictSame((await list('search=nothing')).connections, [])
    for (const query of ['order=lag&after=c1', 'order=size', 'search='])
      isProblem(t, await ask('GET', `/connections?${query}`), 400, 'invalid-request', query)
  }
})

await t.test('the history of the statistics is that of all processes', async (t) => {
  const [a, b] = await openTwo(t)
  await a.subscribe('a')
  await b.subscribe('a')
  const history = await poll(
    async () => {
      const body = (await a.ask('GET', '/stats?range=1m')).json<StatsHistory>()
      return body.connections.at(-1) === 2 ? body : undefined
    },
    () => 'the history does not have the streams of both processes',
  )
  t.equal(history.nodes, 2)
  b.node.die()
  t.match((await a.ask('GET', '/stats')).json(), { nodes: undefined })
})

await t.test('a revocation at one process', async (t) => {
  const [a, b] = await openTwo(t)
  const streams = [
    await openLive(t, streamUrl(a, ['a']), { token: user('ann') }),
    await openLive(t, streamUrl(b, ['a']), { token: user('ann') }),
  ]
  const { ticket } = (await b.ask('POST', '/tickets', undefined, user('ann'))).json<{ ticket: string }>()
  const response = await a.ask('POST', '/revocations', { subject: 'ann', until: '2999-01-01T00:00:00Z' })
  const { id } = response.json<{ id: string }>()
  for (const stream of streams) {
    await stream.until(() => stream.all.some(({ type }) => type === 'fanfare.close'))
    t.strictSame(JSON.parse(stream.all.find(({ type }) => type === 'fanfare.close')!.data), { reason: 'revoked' })
  }
  for (const { ask, url } of [a, b]) {
    isProblem(t, await ask('GET', '/topics/a', undefined, user('ann')), 401, 'revoked-token')
    await t.rejects(openStream(t, `${url}/topics/a/events?ticket=${ticket}`), { message: /: 401 .*revoked-token/s })
    t.match((await ask('GET', '/revocations')).json(), { revocations: [{ id, subject: 'ann' }] })
  }
  t.equal((await b.ask('DELETE', `/revocations/${id}`)).statusCode, 204, 'any process lifts it')
  for (const { ask } of [a, b]) t.equal((await ask('GET', '/topics/a', undefined, user('ann'))).statusCode, 200)
})

await t.test('a ticket of one process opens a stream at another', async (t) => {
  const [a, b] = await openTwo(t)
  const issue = async ({ ask }: Process) =>
    (await ask('POST', '/tickets', undefined, user('ann'))).json<{ ticket: string }>().ticket
  const tickets = await Promise.all([a, b, a, b].map(issue)) // both draw the first key
  tickets.push(await issue(a), await issue(b))
  for (const ticket of tickets)
    for (const { url } of [a, b]) t.equal((await openStream(t, `${url}/topics/a/events?ticket=${ticket}`)).status, 200)
})

await t.test('a session of one process is valid at another', async (t) => {
  const [a, b] = await openTwo(t)
  const response = await a.ask('POST', '/sessions', undefined, user('ann'))
  t.equal(response.statusCode, 204)
  const cookie = String(response.headers['set-cookie']).split(';')[0]!
  const stream = await openLive(t, streamUrl(b, ['a']), { headers: { cookie } })
  t.match((await a.ask('GET', `/connections/${idOf(stream)}`)).json(), { subject: 'ann' })
})

await t.test('named cursors', async (t) => {
  const [a, b] = await openTwo(t, { cluster: { seed: 1 }, maxCursorsPerSubject: 3 })
  const hub = hubOf(a.app)
  const id = (sequence: number) => `${hub.epoch}-${sequence}`
  for (let n = 1; n <= 60; n++) await hub.publish('a', { data: n })

  await t.test('never move backwards, whichever processes are asked', async (t) => {
    for (const subject of ['ann', 'bob', 'cid', 'dan', 'eve']) {
      const put = ({ ask }: Process, sequence: number) =>
        ask('PUT', '/cursors/phone', { id: id(sequence) }, user(subject))
      const order = Array.from({ length: 50 }, (_, n) => ((n * 37) % 50) + 1)
      const responses = await Promise.all(order.map((sequence, n) => put(n % 2 ? a : b, sequence)))
      for (const { statusCode } of responses) t.equal(statusCode, 200)
      for (const { ask } of [a, b])
        t.match((await ask('GET', '/cursors/phone', undefined, user(subject))).json(), { id: id(50) })
    }
  })

  await t.test('are limited over all processes, with the same refusal', async (t) => {
    const responses = await Promise.all(
      Array.from({ length: 8 }, (_, n) => (n % 2 ? a : b).ask('PUT', `/cursors/c${n}`, { id: id(n) }, user('fay'))),
    )
    t.equal(responses.filter(({ statusCode }) => statusCode === 200).length, 3)
    for (const response of responses) if (response.statusCode !== 200) isProblem(t, response, 409, 'too-many-cursors')
  })

  await t.test('continue streams of any process', async (t) => {
    await a.ask('PUT', '/cursors/tv', { id: id(58) }, user('gus'))
    const stream = await openLive(t, streamUrl(b, ['a'], { cursor: 'tv' }), { token: user('gus') })
    await stream.until(() => stream.events.length === 2)
    t.strictSame(
      stream.events.map(({ data }) => data),
      ['59', '60'],
    )
    t.equal((await b.ask('DELETE', '/cursors/tv', undefined, user('gus'))).statusCode, 204)
    isProblem(t, await a.ask('GET', '/cursors/tv', undefined, user('gus')), 404, 'not-found')
  })

  await t.test('are written by another process when one has gone', async (t) => {
    b.node.die()
    for (const subject of ['hal', 'ivy', 'jim', 'kay']) {
      const response = await a.ask('PUT', '/cursors/phone', { id: id(5) }, user(subject))
      t.match(response.json(), { id: id(5) })
    }
  })
})

await t.test('status, topics and nodes are those of all processes', async (t) => {
  const [a, b] = await openTwo(t)
  t.match((await a.ask('GET', '/status')).json(), { clients: 0, nodes: 2 })
  await openLive(t, streamUrl(a, ['a']), { token: user('ann') })
  await openLive(t, streamUrl(b, ['a']), { token: user('ann') })
  await openLive(t, streamUrl(b, ['b']), { token: user('ann') })
  await hubOf(a.app).publish('a', { data: 1 })
  a.node.leader = b.node.leader = () => b.node.node
  for (const { ask } of [a, b]) {
    t.match((await ask('GET', '/status')).json(), { clients: 3, topics: 1, nodes: 2 })
    t.match((await ask('GET', '/topics')).json(), { topics: [{ topic: 'a', subscribers: 2 }] })
    t.match((await ask('GET', '/topics/b')).json(), { subscribers: 1 })
    const { version } = (await ask('GET', '/status')).json<{ version: string }>()
    const nodes = await nodesAt({ ask })
    for (const { since, time, memory, sent, eventLoopDelay } of nodes) {
      t.ok(Math.abs(Date.parse(since!) - Date.now()) < 60_000)
      t.ok(Math.abs(Date.parse(time!) - Date.now()) < 10_000)
      t.ok(memory! > 1e6)
      t.ok(sent!.bytes > 100)
      t.ok(eventLoopDelay === null || eventLoopDelay >= 0)
    }
    const same = { version, lag: 0, lagging: 0, unreachable: false }
    t.match(nodes, [
      { ...same, node: 'node-0', connections: 1, topics: 1, published: 1, sent: { events: 1 }, leader: false },
      { ...same, node: 'node-1', connections: 2, topics: 2, published: 0, sent: { events: 1 }, leader: true },
    ])
  }
  isProblem(t, await a.ask('GET', '/nodes', undefined, user('ann')), 403, 'not-granted')
  isProblem(t, await a.send({ url: '/nodes', headers: { authorization: null } }), 401, 'missing-token')
})

await t.test('the process of a hub without others is listed', async (t) => {
  const { send } = await openApp(t)
  const nodes = (await send({ url: '/nodes', headers: { authorization: `Bearer ${admin}` } })).json<object[]>()
  t.equal(nodes.length, 1)
  t.match(nodes[0], { connections: 0, topics: 0, published: 0, sent: { events: 0, bytes: 0 }, lag: 0 })
  t.notOk('leader' in nodes[0]!, 'no process of a memory log leads')
})

await t.test('what a process carries is counted since its start', async (t) => {
  const [a, b] = await openTwo(t)
  const bearer = user('ann')
  const live = await openLive(t, streamUrl(b, ['a', 'b']), { token: bearer })
  const other = await openLive(t, streamUrl(b, ['a']), { token: bearer })
  const any = await openLive(t, streamUrl(b, ['*']), { token: admin })
  const hub = hubOf(a.app)
  await hub.publish('a', { data: 1, id: 'x' })
  await hub.publish('a', { data: 1, id: 'x' })
  await hub.publish('a', { data: 1, ephemeral: true })
  await hub.publishAll([
    { topic: 'b', data: 1 },
    { topic: 'b', data: 1, id: 'y' },
    { topic: 'b', data: 1, ephemeral: true },
  ])
  await hub.publishAll([{ topic: 'b', data: 1, id: 'y' }])
  await Promise.all([
    live.until(() => live.events.length === 5),
    other.until(() => other.events.length === 2),
    any.until(() => any.events.length === 5),
  ])
  other.destroy()
  await until(() => hubOf(b.app).connections.size === 2)
  const [first, second] = await nodesAt(a)
  t.match(first, { published: 5, sent: { events: 0 }, connections: 0, topics: 0 })
  t.match(second, { published: 0, sent: { events: 12 }, connections: 2, topics: 3 }, 'the ended stream counts')
  any.destroy()
  await until(() => hubOf(b.app).connections.size === 1)
  t.match((await nodesAt(a))[1], { sent: { events: 12 }, connections: 1, topics: 2 })
})

await t.test('the event loop is measured while processes are listed', async (t) => {
  const [a] = await openTwo(t)
  t.strictSame(
    (await nodesAt(a)).map(({ eventLoopDelay }) => eventLoopDelay),
    [null, null],
  )
  let nodes: Node[] = []
  while (nodes.length === 0 || nodes.some(({ eventLoopDelay }) => eventLoopDelay === null)) {
    await new Promise((resolve) => setTimeout(resolve, 50)) // it is measured once a second
    nodes = await nodesAt(a)
  }
  for (const { eventLoopDelay } of nodes) t.ok(eventLoopDelay! >= 0)
})

await t.test('a process that does not answer is listed as unreachable, with its last figures', async (t) => {
  const [a, b] = await openTwo(t)
  await openLive(t, streamUrl(b, ['a']), { token: user('ann') })
  await hubOf(a.app).publish('a', { data: 1 })
  const [, before] = await nodesAt(a)
  b.node.freeze()
  for (let n = 0; n < 3; n++) await hubOf(a.app).publish('a', { data: 1 })
  const start = performance.now()
  const [first, second] = await nodesAt(a)
  t.ok(performance.now() - start < 3_000, 'it is not waited for')
  t.match(first, { unreachable: false, lag: 0, published: 4 })
  t.strictSame(second, { ...before!, unreachable: true, lag: 3 })
  t.match((await a.ask('GET', '/status')).json(), { clients: 1, nodes: 2 })
  b.node.thaw()
  t.match((await nodesAt(a))[1], { unreachable: false, lag: 0, sent: { events: 4 } })
  b.node.die()
  t.match(await nodesAt(a), [{ node: 'node-0' }], 'a process that has ended is not listed')
})

await t.test('a process that has never answered a list is listed with what it has told', async (t) => {
  const [a, b] = await openTwo(t)
  await openLive(t, streamUrl(b, ['a']), { token: user('ann') })
  await until(() => hubOf(b.app).connections.size === 1)
  b.node.freeze()
  const { version } = (await a.ask('GET', '/status')).json<{ version: string }>()
  const [, second] = await nodesAt(a)
  t.match(second, { version, since: /Z$/, lag: 0, unreachable: true, topics: null, memory: null, time: null })
})

await t.test('a process that has told nothing is listed by its name', async (t) => {
  const cluster = new LocalCluster({ timeout: 50 })
  const log = new MemoryLog({ events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 1e6 })
  const app = await openApp(t, { log, cluster: cluster.start() })
  cluster.start().freeze()
  const nodes = (await app.send({ url: '/nodes', headers: { authorization: `Bearer ${admin}` } })).json<Node[]>()
  t.match(nodes[0], { node: 'node-0', unreachable: false })
  const unknown = Object.entries(nodes[1]!).filter(([, value]) => value !== null)
  t.strictSame(Object.fromEntries(unknown), { node: 'node-1', unreachable: true })
})

await t.test('a system topic reports the streams of all processes', async (t) => {
  const [a, b] = await openTwo(t)
  const ids: string[] = []
  const observer = await openLive(t, streamUrl(a, ['fanfare.connections']), { token: admin })
  const told = () =>
    observer.events
      .map(({ data }) => JSON.parse(data) as { change: string; id: string; reason?: string })
      .filter(({ id }) => ids.includes(id))
      .map(({ change, reason }) => `${change} ${reason ?? ''}`)
  await until(() => a.node.nodes().length === 2)
  const stream = await openLive(t, streamUrl(b, ['a']), { token: user('ann') })
  ids.push(idOf(stream))
  await b.ask('PATCH', `/connections/${idOf(stream)}`, { subscribe: ['b'] })
  await b.ask('DELETE', `/connections/${idOf(stream)}`)
  await observer.until(() => told().length === 3)
  t.strictSame(told(), ['opened ', 'changed ', 'closed revoked'])
})

await t.test('the statistics are those of all processes', async (t) => {
  const [a, b] = await openTwo(t)
  const observer = await openLive(t, streamUrl(a, ['fanfare.stats']), { token: admin })
  const streams = await Promise.all([a, b, b].map((hub) => openLive(t, streamUrl(hub, ['a']), { token: user('ann') })))
  const timer = setInterval(() => void hubOf(b.app).publish('a', { text: 'x' }), 10)
  t.teardown(() => clearInterval(timer))
  interface Figures {
    nodes: number
    connections: number
    memory: number
    events: { in: number; out: number }
  }
  const figures = () => observer.events.map(({ data }) => JSON.parse(data) as Figures)
  await observer.until(() => figures().length === 3)
  const last = figures()[2]!
  t.match(last, { nodes: 2, connections: streams.length + 1 })
  t.ok(last.memory > 1.5 * process.memoryUsage.rss(), 'the memory is the sum of both')
  t.ok(last.events.out > 2.2 * last.events.in, `each event goes to three streams: ${JSON.stringify(last.events)}`)
  t.ok(last.events.in < 130, 'an event is counted once')
})

await t.test('a process waits for events that a client has read at another', async (t) => {
  const memory = new MemoryLog({ events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 1e6 })
  const cluster = new LocalCluster()
  const first = await openApp(t, { log: share(memory), cluster: cluster.start() })
  const late = await DelayedLog.open(share(memory), 7)
  const second = await openApp(t, { log: late, cluster: cluster.start() })
  const url = await listen(second.app)
  for (let n = 1; n <= 20; n++) {
    const { id } = await hubOf(first.app).publish('a', { data: n })
    const page = await second.send({ url: `/topics/a/events?after=${id!}`, headers: { accept: 'application/json' } })
    t.match(page.json(), { events: [], gap: null })
    const next = await hubOf(first.app).publish('a', { data: n })
    const bearer = user('ann')
    const stream = await openStream(t, streamUrl({ url }, ['a'], { lastEventId: next.id! }), { token: bearer })
    await stream.told('live')
    t.notOk(stream.all.some(({ type }) => type === 'fanfare.gap'))
    const { id: from } = await hubOf(first.app).publish('a', { data: n })
    const reader = second.app.hub.events('a', { from: from! })
    await hubOf(first.app).publish('a', { data: `after ${from!}` })
    t.match(await reader.next(), { value: { data: `after ${from!}` } })
    await reader.return!()
    const last = await hubOf(first.app).publish('a', { data: n })
    const headers = { authorization: `Bearer ${bearer}` }
    const put = await second.send({ method: 'PUT', url: '/cursors/c', payload: { id: last.id }, headers })
    t.equal(put.statusCode, 200, put.body)
  }
})

await t.test('the streams of a subject are counted together', async (t) => {
  const [a, b] = await openTwo(t, { maxConnectionsPerSubject: 2, maxConnectionsPerAddress: 5 })
  const refusal = async (process: Process, bearer: string) => {
    const stream = await openStream(t, streamUrl(process, ['a']), { token: bearer })
    await stream.until(() => stream.all.some(({ type }) => type === 'fanfare.close'))
    return (JSON.parse(stream.all[0]!.data) as { reason: string }).reason
  }
  await openLive(t, streamUrl(a, ['a']), { token: user('ann') })
  const second = await openLive(t, streamUrl(b, ['a']), { token: user('ann') })
  t.equal(await refusal(a, user('ann')), 'busy')
  t.equal(await refusal(b, user('ann')), 'busy')
  second.destroy()
  await until(() => hubOf(b.app).connections.size === 0)
  await openLive(t, streamUrl(a, ['a']), { token: user('ann') })
  await openLive(t, streamUrl(b, ['a']), { token: user('bob') })
  await openLive(t, streamUrl(b, ['a']), { token: user('bob') })
  await openLive(t, streamUrl(a, ['a']), { token: user('eve') })
  t.equal(await refusal(b, user('dan')), 'busy', 'so are those of an address')
})

await t.test('the publish requests of a subject are counted together', async (t) => {
  const rate = 50
  const [a, b] = await openTwo(t, { publishRate: rate })
  const eve = token({ sub: 'eve', publish: ['**'] })
  const publish = async (process: Process) =>
    (await process.ask('POST', '/topics/a/events', { data: 1 }, eve)).statusCode === 201
  const began = performance.now()
  const accepted = [0, 0]
  // three seconds, in which each process alone would accept 200
  while (performance.now() - began < 3_000) {
    const results = await Promise.all([publish(a), publish(b)])
    results.forEach((isAccepted, n) => isAccepted && accepted[n]!++)
  }
  const total = accepted[0]! + accepted[1]!
  t.ok(total >= 3 * rate && total < 5.5 * rate, `${total} requests were accepted within three seconds`)
})
