/** A hub of several workers on one port: they answer as one, and a worker that dies is replaced. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand, startCommand } from '../helper/command.js'
import { poll, within } from '../helper/deadline.js'
import { post, publish, send, type Published } from '../helper/http.js'
import { startHub, type Hub, type LogLine } from '../helper/process.js'
import { openLive, openStream, streamUrl, type EventStream } from '../helper/stream.js'
import { anyTopic, token } from '../helper/token.js'

const bearer = anyTopic()
const admin = token({ sub: 'root', subscribe: ['**'], publish: ['**'], admin: true })

t.setTimeout(240_000)

interface NodeFigures {
  leader: boolean
  connections: number
}

/** Starts a hub with three workers on a new folder. */
function startWorkers(t: Test, env: Record<string, string> = {}): Promise<Hub> {
  return startHub(t, {
    FANFARE_LOG: `file:${t.testdir({})}/log`,
    FANFARE_WORKERS: '3',
    FANFARE_DRAIN: '500ms',
    ...env,
  })
}

/** The log lines of workers that listen, in their order. */
const listeningLines = (hub: Hub): LogLine[] =>
  hub.logs().filter(({ msg }) => typeof msg === 'string' && msg.startsWith('worker ') && msg.includes(' listens on '))

/** The log lines of workers that have died. */
const endLines = (hub: Hub): LogLine[] => hub.logs().filter(({ workerPid }) => workerPid !== undefined)

/** Returns the process ids of the workers from the log. A later worker with the same number replaces an earlier one. */
async function pidsOf(hub: Hub, lines = 3): Promise<Map<number, number>> {
  const found = await poll(
    async () => (listeningLines(hub).length >= lines ? listeningLines(hub) : undefined),
    () => `no ${lines} workers listen:\n${hub.output()}`,
  )
  return new Map(found.map(({ worker, pid }) => [worker as number, pid as number]))
}

/** Returns the process id of the worker that writes the log. */
async function leaderOf(hub: Hub): Promise<number> {
  const { pid } = await poll(
    async () => hub.logs().findLast(({ role }) => role === 'leader'),
    () => `no worker leads:\n${hub.output()}`,
  )
  return pid as number
}

const nodesOf = async (hub: Hub) => (await send<NodeFigures[]>(hub, 'GET', '/nodes', { token: admin })).body

/** Waits until processes have ended. */
function haveEnded(pids: Iterable<number>, output: () => string): Promise<true> {
  const waiting = [...pids]
  return poll(
    async () => (waiting.some((pid) => existsSync(`/proc/${pid}`)) ? undefined : true),
    () => `a worker still runs:\n${output()}`,
  )
}

/** Opens streams until each worker has some. */
async function openOnAll(t: Test, hub: Hub): Promise<EventStream[]> {
  const streams: EventStream[] = []
  for (let n = 0; n < 6; n++) streams.push(await openLive(t, streamUrl(hub, ['a']), { token: bearer }))
  const counts = (await nodesOf(hub)).map(({ connections }) => connections)
  t.strictSame(counts.toSorted(), [2, 2, 2], 'the connections are dealt out in turn')
  return streams
}

/** Publishes until the hub answers with success: a connection to a worker that dies ends without an answer. */
function publishAgain(hub: Hub, event: object): Promise<Published> {
  return poll(
    async () => {
      const answer = await post<Published>(`${hub.url}/topics/a/events`, event, bearer).catch(() => undefined)
      return answer && answer.status < 300 ? answer.body : undefined
    },
    () => `nothing can be published:\n${hub.output()}`,
  )
}

await t.test('the workers answer as one hub', async (t) => {
  const hub = await startWorkers(t)
  const pids = await pidsOf(hub)
  t.strictSame([...pids.keys()].toSorted(), [1, 2, 3])
  for (const [number, pid] of pids)
    t.ok(
      hub.logs().some(({ msg }) => msg === `worker ${number} listens on ${hub.url} (pid ${pid})`),
      `worker ${number} has a line`,
    )
  t.equal(hub.logs().filter(({ msg }) => msg === `listening on ${hub.url} with 3 workers`).length, 1)
  t.notOk([...pids.values()].includes(hub.pid), 'the primary is not a worker')
  const opened = readdirSync(`/proc/${hub.pid}/fd`).length
  const streams = await openOnAll(t, hub)
  t.equal(readdirSync(`/proc/${hub.pid}/fd`).length, opened, 'the primary holds no streams')
  t.notMatch(readFileSync(`/proc/${hub.pid}/maps`, 'utf8'), /data\.mdb/, 'the primary does not open the log')
  const ids: string[] = []
  for (let n = 0; n < 9; n++) ids.push((await publish(hub, 'a', { data: n }, bearer)).id)
  for (const stream of streams) {
    await stream.count(9)
    t.strictSame(
      stream.events.map(({ id }) => id),
      ids,
    )
  }
  t.equal((await runCommand(t, ['health'], { env: { PORT: String(hub.port) } })).code, 0)
})

await t.test('a burst of connections is answered', async (t) => {
  const hub = await startWorkers(t)
  await Promise.all(
    Array.from({ length: 300 }, () => openStream(t, streamUrl(hub, ['a'], { replay: 'all' }), { token: bearer })),
  )
  const counts = (await nodesOf(hub)).map(({ connections }) => connections)
  t.equal(
    counts.reduce((sum, count) => sum + count, 0),
    300,
  )
  t.ok(Math.min(...counts) > 30, `each worker has some: ${counts.join(', ')}`)
})

await t.test('a worker that is killed is replaced, and its clients resume', async (t) => {
  const hub = await startWorkers(t)
  const before = await pidsOf(hub)
  const leader = await leaderOf(hub)
  const streams = await openOnAll(t, hub)
  const first = await publish(hub, 'a', { data: 'before' }, bearer)
  await Promise.all(streams.map((stream) => stream.count(1)))

  for (const [name, pid] of [
    ['a replica', [...before.values()].find((pid) => pid !== leader)!],
    ['the leader', leader],
  ] as const) {
    const open = streams.filter(({ isClosed }) => !isClosed)
    const lines = listeningLines(hub).length
    process.kill(pid, 'SIGKILL')
    const lost = await poll(
      async () => {
        const closed = open.filter(({ isClosed }) => isClosed)
        return closed.length >= 2 ? closed : undefined
      },
      () => 'the streams of the worker stay open',
    )
    t.equal(lost.length, 2, `${name}: only its own streams end`)
    const { id } = await publishAgain(hub, { data: name })
    for (const stream of lost) {
      const again = await openStream(t, streamUrl(hub, ['a']), { token: bearer, lastEventId: stream.lastId! })
      await again.count(1)
      t.equal(again.events[0]!.id, id, `${name}: a client resumes at another worker`)
      again.destroy()
    }
    for (const stream of streams.filter(({ isClosed }) => !isClosed)) {
      await stream.count(open.length === 6 ? 2 : 3)
      t.equal(stream.lastId, id, `${name}: the other streams stay open`)
    }
    const after = await pidsOf(hub, lines + 1)
    t.notOk([...after.values()].includes(pid), `${name} is replaced`)
    t.match(
      endLines(hub).findLast(({ workerPid }) => workerPid === pid),
      {
        signal: 'SIGKILL',
        code: null,
        // at once if the worker was not young, as on a busy machine
        msg: /^worker \d \(pid \d+\) has ended \(SIGKILL\): another starts in (?:0|100) ms$/,
      },
    )
  }
  t.not(first.id, streams.find(({ isClosed }) => !isClosed)!.lastId)
  await poll(
    async () => ((await nodesOf(hub)).length === 3 ? true : undefined),
    () => 'there are not three processes',
  )
  t.equal((await nodesOf(hub)).filter((node) => node.leader).length, 1)
  t.equal(await hub.stop(), 0)
})

await t.test('a connection that a dying worker was given ends, and does not hang', async (t) => {
  const hub = await startWorkers(t)
  const pid = (await pidsOf(hub)).get(3)!
  process.kill(pid, 'SIGSTOP')
  const waiting = new Set<Socket>()
  let answered = 0
  for (let n = 0; n < 12; n++) {
    const socket = connect({ port: hub.port, host: '127.0.0.1' })
    t.teardown(() => socket.destroy())
    waiting.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', () => answered++)
    socket.on('close', () => waiting.delete(socket))
    socket.write('GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  }
  await poll(
    async () => (waiting.size === 1 ? true : undefined),
    () => `${waiting.size} connections wait`,
  )
  t.equal(answered, 11, 'the other workers answer')
  process.kill(pid, 'SIGKILL')
  await poll(
    async () => (waiting.size === 0 ? true : undefined),
    () => 'the connection of the frozen worker hangs',
  )
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  await t.test(`${signal} drains all workers`, async (t) => {
    const hub = await startWorkers(t)
    const pids = await pidsOf(hub)
    const streams = await openOnAll(t, hub)
    hub.signal(signal)
    if (signal === 'SIGINT') for (const pid of pids.values()) process.kill(pid, signal) // as a terminal does
    t.match(await within(hub.exited, () => hub.output()), { code: 0, signal: null })
    for (const stream of streams) {
      await within(stream.closed, () => 'a stream stays open')
      t.ok(
        stream.all.some(({ type }) => type === 'fanfare.close'),
        'each stream gets the reason',
      )
    }
    t.notOk([...pids.values()].some((pid) => existsSync(`/proc/${pid}`)))
    t.strictSame(endLines(hub), [], 'no worker is replaced')
    t.notMatch(hub.output(), /second/)
  })
}

await t.test('a second signal ends the hub at once', async (t) => {
  const hub = await startWorkers(t, { FANFARE_DRAIN: '1m' })
  const pids = await pidsOf(hub)
  await openOnAll(t, hub)
  hub.signal('SIGTERM')
  await poll(
    async () => (hub.logs().filter(({ msg }) => msg === 'stopping').length === 3 ? true : undefined),
    () => hub.output(),
  )
  hub.signal('SIGTERM')
  t.match(await within(hub.exited, () => hub.output(), 10_000), { code: 1, signal: null })
  t.notOk([...pids.values()].some((pid) => existsSync(`/proc/${pid}`)))
})

await t.test('a hub with a frozen worker stops within the drain and 5 s', async (t) => {
  const hub = await startWorkers(t)
  const pids = await pidsOf(hub)
  const leader = await leaderOf(hub)
  process.kill(leader, 'SIGSTOP')
  t.equal(await hub.stop(), 1, 'the hub could not drain the frozen worker')
  const killed = hub.logs().filter(({ msg }) => /it is killed/.test(String(msg)))
  t.match(killed, [{ workerPid: leader }])
  t.equal(killed.length, 1, 'the other workers end by themselves')
  t.notMatch(hub.output(), /not stopped within/)
  await haveEnded(pids.values(), () => hub.output())
})

await t.test('the workers end when their primary is killed', async (t) => {
  const hub = await startWorkers(t)
  const pids = await pidsOf(hub)
  await openOnAll(t, hub)
  await hub.kill()
  await haveEnded(pids.values(), () => hub.output())
})

await t.test('the pause before a replacement doubles for a worker that dies repeatedly', async (t) => {
  const hub = await startWorkers(t)
  for (let n = 0; n < 3; n++) process.kill((await pidsOf(hub, 3 + n)).get(2)!, 'SIGKILL')
  await pidsOf(hub, 6)
  t.strictSame(
    endLines(hub).map(({ pause }) => pause),
    [100, 200, 400],
  )
  t.equal(await hub.stop(), 0)
})

await t.test('workers share a Unix socket', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hub-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'hub.sock')
  const env = { HOST: path, FANFARE_LOG: `file:${t.testdir({})}/log`, FANFARE_WORKERS: '2' }
  for (let round = 0; round < 2; round++) {
    const hub = startCommand(t, [], { env })
    let output = ''
    hub.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    await poll(
      async () => (output.includes('with 2 workers') ? true : undefined),
      () => output,
    )
    t.equal((await runCommand(t, ['health'], { env })).code, 0)
    const another = await runCommand(t, [], { env })
    t.match(another, { code: 1, stderr: `HOST=${path}: another process listens on this socket.` })
    const [, pid] = /"pid":(\d+)[^\n]*worker 2 listens/.exec(output)!
    process.kill(Number(pid), 'SIGTERM')
    await poll(
      async () => (output.includes('has ended (code 0)') ? true : undefined),
      () => output,
    )
    t.ok(existsSync(path), 'a worker that ends leaves the socket to the others')
    hub.kill(round === 0 ? 'SIGKILL' : 'SIGTERM') // a killed primary leaves the socket behind
    await within(hub.exited, () => output)
    await haveEnded(
      [...output.matchAll(/"pid":(\d+)/g)].map(([, pid]) => Number(pid)),
      () => output,
    )
  }
  t.notOk(existsSync(path), 'a stopped hub removes the socket')
})

await t.test('the secret for development is the same for all workers, and is printed once', async (t) => {
  const hub = await startWorkers(t, { FANFARE_JWT_SECRET: '' })
  const given = await poll(
    async () => /"token":"([^"]+)"/.exec(hub.output())?.[1],
    () => hub.output(),
  )
  for (let n = 0; n < 4; n++)
    t.equal((await post(`${hub.url}/topics/a/events`, { data: n }, given, { connection: 'close' })).status, 201)
  t.equal(hub.output().split('No key is set').length, 2)
})

await t.test('settings that cannot work end the hub at once, with one sentence', async (t) => {
  const log = `file:${t.testdir({ file: '' })}`
  const taken = await startHub(t)
  const cases: [env: Record<string, string>, words: RegExp][] = [
    [
      { FANFARE_LOG: 'memory', FANFARE_WORKERS: '3' },
      /^FANFARE_WORKERS asks for 3 processes, and with FANFARE_LOG=memory each would have a log of its own: set FANFARE_LOG=file:<folder>, or FANFARE_WORKERS=1\.\n$/,
    ],
    [{ PORT: String(taken.port), FANFARE_LOG: `${log}/port` }, /^PORT=\d+ .*another process listens on this port/],
    [{ FANFARE_LOG: `${log}/file` }, /^The folder .* cannot be used for the log/],
    [{ FANFARE_LOG: `${log}/key`, FANFARE_JWKS_URL: 'http://127.0.0.1:1/' }, /^More than one key to verify tokens/],
    [{ FANFARE_WORKERS: 'many' }, /^FANFARE_WORKERS="many": must be "auto" or a whole number/],
  ]
  for (const [env, words] of cases) {
    const { code, stderr, stdout } = await runCommand(t, [], { env: { FANFARE_WORKERS: '2', ...env } })
    t.equal(code, 1, JSON.stringify(env))
    t.match(stderr, words)
    t.equal(stderr.trim().split('\n').length, 1, stderr)
    t.notMatch(stdout, /another starts/)
  }
  t.match(await runCommand(t, ['worker', '1']), { code: 1, stderr: 'set FANFARE_WORKERS' })
})
