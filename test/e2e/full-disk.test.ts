/**
 * A disk that is full and then has space again: no event is stored in part, streams stay open, and the hub recovers by
 * itself. An unusable folder is refused.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand } from '../helper/command.js'
import { poll } from '../helper/deadline.js'
import { fillWhilePublishing } from '../helper/full-disk.js'
import { history, post, publish, request, type Answer, type Published } from '../helper/http.js'
import { ndjson } from '../helper/ndjson.js'
import { difference, due, sequence, type Logged } from '../helper/oracle.js'
import { checkProblem } from '../helper/problem.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, streamUrl, type StreamEvent } from '../helper/stream.js'
import { random } from '../helper/random.js'
import { mountTmpfs, skipExt4, skipMount, type Tmpfs } from '../helper/tmpfs.js'
import { anyTopic } from '../helper/token.js'
import { upload } from '../helper/upload.js'

/** The size of the file system, in megabytes. */
const DISK = 8
const RESERVE = 3 * 1024 * 1024
const HEARTBEAT = '500ms'
const NOBODY = 65_534
/** The number of fillings per kind of disk. `test/at-length` fills disks more often. */
const FILLINGS = 2

const bearer = anyTopic()

/** Why tests that limit the size of files are skipped, or `false`. */
const skipLimit = spawnSync('prlimit', ['--version']).error === undefined ? false : 'prlimit is not installed'

/** A busy machine needs more time than the default time-out. */
t.setTimeout(300_000)

await t.test('sync: a disk that is full, and then freed', { skip: skipMount }, (t) => testFullDisk(t, 'sync'))
await t.test('commit: a disk that is full, and then freed', { skip: skipMount }, (t) => testFullDisk(t, 'commit'))

async function testFullDisk(t: Test, durability: string): Promise<void> {
  const disk = mountTmpfs(t, DISK)
  const env = {
    FANFARE_LOG: `file:${disk.folder}/log`,
    FANFARE_DURABILITY: durability,
    FANFARE_HEARTBEAT: HEARTBEAT,
    FANFARE_RETAIN_EVENTS: '1000000',
    FANFARE_DRAIN: '100ms',
  }
  disk.fill(RESERVE)
  const hub = await startHub(t, env)
  const log: Logged[] = []
  const small = { token: bearer, keep: shorten }
  const early = await openLive(t, streamUrl(hub, ['news']), small)

  await t.test('full: every form of publish is refused', async (t) => {
    const refused = await fill(hub, disk, log)
    const problem = checkProblem(t, refused, 503, 'one event')
    t.equal(problem.code, 'log-unavailable')
    t.match(refused.headers.get('retry-after'), /^[1-9]\d*$/)
    t.ok(log.length > 10, `${log.length} events were stored`)

    const batch = await post(
      `${hub.url}/events`,
      { events: large(40).map((event) => ({ topic: 'news', ...event })) },
      bearer,
    )
    checkProblem(t, batch, 503, 'a batch')
    t.match(batch.headers.get('retry-after'), /^[1-9]\d*$/)
    const uploaded = await upload(hub.url, ndjson(large(40).map((event) => ({ topic: 'news', ...event }))), bearer)
    t.equal(checkProblem(t, uploaded, 503, 'an upload').accepted, 0, 'no line is stored')
    t.match(uploaded.headers.get('retry-after'), /^[1-9]\d*$/)
  })

  await t.test('full: the hub is not ready as long as it cannot publish', async (t) => {
    const answers: number[] = []
    for (let round = 0; round < 4; round++) {
      const beats = early.heartbeats
      await early.until(() => early.heartbeats >= beats + 2) // meanwhile the hub has tried to write again
      const ready = await request(`${hub.url}/health/ready`)
      answers.push(ready.status)
      if (round === 0) t.equal(checkProblem(t, ready, 503, 'readiness').code, 'log-unavailable')
      t.equal(
        (await post(`${hub.url}/topics/news/events`, large(1)[0], bearer)).status,
        503,
        'an event without space is refused',
      )
    }
    t.strictSame(answers, [503, 503, 503, 503])
    t.equal((await request(`${hub.url}/health/live`)).status, 200, 'the hub is live')
    t.equal((await request(`${hub.url}/status`)).status, 200)
  })

  await t.test('full: streams stay up, and new ones can replay', async (t) => {
    const beats = early.heartbeats
    await early.until(() => early.heartbeats >= beats + 2)
    t.notOk(early.isClosed, 'the stream stays open')
    t.equal(difference(early.events, due(log, ['news'])), 'none', 'the stream has every acknowledged event')
    const late = await openLive(t, streamUrl(hub, ['news'], { replay: 'all' }), small)
    t.equal(difference(late.events, due(log, ['news'])), 'none', 'a new stream replays every acknowledged event')
    t.strictSame(
      late.all.filter(({ type }) => type === 'fanfare.gap'),
      [],
    )
    const resumed = await openLive(t, streamUrl(hub, ['news']), { ...small, lastEventId: log[4]!.id })
    t.equal(difference(resumed.events, due(log.slice(5), ['news'])), 'none', 'another stream resumes')
    const { body } = await history(hub, 'news', 'limit=3', bearer)
    t.strictSame(
      body.events.map(({ id }) => id),
      log.slice(0, 3).map(({ id }) => id),
      'history can be read',
    )
    await resumed.until(() => resumed.heartbeats >= 2)
    for (const stream of [late, resumed]) stream.destroy()
  })

  await t.test('full: ephemeral events are still sent', async (t) => {
    const answer = await post(`${hub.url}/topics/now/events`, { data: 1, ephemeral: true }, bearer)
    t.equal(answer.status, 202)
  })

  await t.test('freed: the hub recovers without a restart', async (t) => {
    disk.free()
    await poll(
      async () => ((await request(`${hub.url}/health/ready`)).status === 200 ? true : undefined),
      () => 'the hub stays not ready',
    )
    t.pass('the hub becomes ready without a publish')
    const once = { ...large(1)[0]!, id: 'refused before' }
    const first = await post<Published>(`${hub.url}/topics/news/events`, once, bearer)
    t.match(first, { status: 201, body: { duplicate: false } })
    log.push({ id: first.body.id, topic: 'news', data: shortened(once.text) })
    const batch = await post<{ events: Published[] }>(
      `${hub.url}/events`,
      { events: large(10).map((event) => ({ topic: 'news', ...event })) },
      bearer,
    )
    t.equal(batch.status, 201)
    log.push(...batch.body.events.map(({ id }, n) => ({ id, topic: 'news', data: shortened(large(10)[n]!.text) })))
    await early.until(() => early.lastId === log.at(-1)!.id)
    t.equal(difference(early.events, due(log, ['news'])), 'none', 'the stream that stayed open has every event once')
  })

  await t.test('killed while full: the acknowledged events are retained', async (t) => {
    disk.fill(RESERVE / 4)
    await fill(hub, disk, log)
    await hub.kill()
    const onFullDisk = await startHub(t, env).catch((err: unknown) => (err as Error).message)
    if (typeof onFullDisk === 'string')
      t.ok(onFullDisk.includes(`${disk.folder}/log`), `a failed start names the folder: ${onFullDisk}`)
    else {
      const stream = await openLive(t, streamUrl(onFullDisk, ['news'], { replay: 'all' }), small)
      t.equal(difference(stream.events, due(log, ['news'])), 'none', 'also after a start on the full disk')
      await onFullDisk.kill()
    }
    disk.free()
    const again = await startHub(t, env)
    const stream = await openLive(t, streamUrl(again, ['news'], { replay: 'all' }), small)
    t.equal(difference(stream.events, due(log, ['news'])), 'none', 'no event is missing or incomplete')
    t.strictSame(
      log.map(({ id }) => sequence(id)),
      log.map((_, n) => n + 1),
      'sequences are consecutive',
    )
    t.strictSame(new Set(log.map(({ id }) => id.split('-')[0])).size, 1, 'the epoch does not change')
    const next = await publish(again, 'news', { text: 'next' }, bearer)
    t.equal(sequence(next.id), log.length + 1)
    t.equal(await again.stop(), 0)
  })
}

for (const fileSystem of ['tmpfs', 'ext4'] as const) {
  for (const durability of ['sync', 'commit'] as const) {
    await t.test(
      `filled by another process while events are published (${durability}, ${fileSystem})`,
      { skip: fileSystem === 'tmpfs' ? skipMount : skipExt4 },
      async (t) => {
        for (let round = 0; round < FILLINGS; round++)
          await t.test(`${round}`, (t) => fillWhilePublishing(t, { durability, fileSystem }, random(round)))
      },
    )
  }
}

await t.test('a hub on a full disk stops normally', { skip: skipMount }, async (t) => {
  for (const durability of ['sync', 'commit']) {
    const disk = mountTmpfs(t, DISK)
    disk.fill(RESERVE)
    const log: Logged[] = []
    const env = {
      FANFARE_LOG: `file:${disk.folder}/log`,
      FANFARE_DURABILITY: durability,
      FANFARE_DRAIN: '100ms',
      FANFARE_RETAIN_EVENTS: '1000000',
    }
    const hub = await startHub(t, env)
    await fill(hub, disk, log)
    t.equal(await hub.stop(), 0, durability)
    disk.free()
    const again = await startHub(t, env)
    const stream = await openLive(t, streamUrl(again, ['news'], { replay: 'all' }), { token: bearer, keep: shorten })
    t.equal(difference(stream.events, due(log, ['news'])), 'none')
    await again.kill()
  }
})

await t.test(
  'a file at its maximum size (RLIMIT_FSIZE) counts as a full disk, and does not end the process (SIGXFSZ)',
  { skip: skipLimit },
  async (t) => {
    for (const durability of ['sync', 'commit']) {
      const env = {
        FANFARE_LOG: `file:${t.testdir({})}/${durability}`,
        FANFARE_DURABILITY: durability,
        FANFARE_DRAIN: '100ms',
        FANFARE_RETAIN_EVENTS: '1000000',
      }
      const hub = await startHub(t, env)
      const small = { token: bearer, keep: shorten }
      const early = await openLive(t, streamUrl(hub, ['news']), small)
      const log: Logged[] = []
      limitFileSize(hub.pid, `${4 * 1024 * 1024}:unlimited`)
      const refused = await fill(hub, { fill: () => undefined }, log)
      t.equal(checkProblem(t, refused, 503, durability).code, 'log-unavailable')
      t.ok(log.length > 10, `${log.length} events were stored`)
      t.equal((await request(`${hub.url}/health/ready`)).status, 503)
      t.equal((await request(`${hub.url}/health/live`)).status, 200)

      limitFileSize(hub.pid, 'unlimited:unlimited')
      await poll(
        async () => ((await request(`${hub.url}/health/ready`)).status === 200 ? true : undefined),
        () => 'the hub stays not ready',
      )
      const { id } = await publish(hub, 'news', { text: 'next' }, bearer)
      log.push({ id, topic: 'news', data: shortened('next') })
      await early.until(() => early.lastId === id)
      t.equal(difference(early.events, due(log, ['news'])), 'none', 'the stream has every event once')

      limitFileSize(hub.pid, `${4 * 1024 * 1024}:unlimited`)
      await fill(hub, { fill: () => undefined }, log)
      await hub.kill()
      const again = await startHub(t, env)
      const stream = await openLive(t, streamUrl(again, ['news'], { replay: 'all' }), small)
      t.equal(difference(stream.events, due(log, ['news'])), 'none', 'no event is missing after a kill')
      t.equal(await again.stop(), 0)
    }
  },
)

await t.test('a start with an unusable folder fails with the name of the folder', async (t) => {
  const folder = t.testdir({ file: 'not a folder', mine: {} })

  async function refuses(t: Test, log: string, user?: number): Promise<void> {
    const { code, signal, stdout, stderr } = await runCommand(t, [], {
      env: { FANFARE_LOG: `file:${log}` },
      ...(user === undefined ? {} : { user }),
    })
    t.strictSame({ code, signal }, { code: 1, signal: null })
    t.ok(stderr.includes(log), `${JSON.stringify(stderr)} names the folder`)
    t.notMatch(stderr, /^\s+at /m, 'stderr has no stack trace')
    t.notMatch(stdout, /listening/)
  }

  await t.test('a file in place of the folder', async (t) => {
    await refuses(t, join(folder, 'file'))
    await refuses(t, join(folder, 'file', 'below'))
  })

  await t.test('a disk without room for a new log', { skip: skipMount }, async (t) => {
    const disk = mountTmpfs(t, 1)
    disk.fill()
    await refuses(t, join(disk.folder, 'new'))
    disk.free()
    t.equal(
      await (await startHub(t, { FANFARE_LOG: `file:${disk.folder}/new` })).stop(),
      0,
      'the log is created once there is space',
    )
  })

  await t.test('a read-only file system', { skip: skipMount }, async (t) => {
    const disk = mountTmpfs(t, 1)
    mkdirSync(join(disk.folder, 'empty'))
    const used = join(disk.folder, 'used')
    await (await startHub(t, { FANFARE_LOG: `file:${used}` })).stop()
    disk.setReadOnly(true)
    for (const log of [join(disk.folder, 'empty'), join(disk.folder, 'new'), used]) await refuses(t, log)
  })

  await t.test('a folder of another user', { skip: await whyNotAsNobody(t) }, async (t) => {
    const mine = join(folder, 'mine')
    for (const mode of [0o755, 0o700]) {
      chmodSync(mine, mode)
      await refuses(t, mine, NOBODY)
    }
    t.strictSame(readdirSync(mine), [], 'no file is created in the folder')
    await refuses(t, join(folder, 'new'), NOBODY)
  })

  await t.test('a store of another user', { skip: await whyNotAsNobody(t) }, async (t) => {
    const theirs = join(folder, 'theirs')
    await (await startHub(t, { FANFARE_LOG: `file:${theirs}` })).stop()
    for (const mode of [0o755, 0o777]) {
      chmodSync(theirs, mode)
      await refuses(t, theirs, NOBODY)
    }
    chmodSync(join(theirs, 'data.mdb'), 0o000)
    await refuses(t, theirs, NOBODY)
  })
})

/** Publishes until the hub refuses, and then takes the rest of the disk. Returns the refusal. */
async function fill(hub: Hub, disk: Pick<Tmpfs, 'fill'>, log: Logged[]): Promise<Answer> {
  for (let n = log.length; ; n++) {
    const { text } = large(1)[0]!
    const answer = await post<Published>(`${hub.url}/topics/news/events`, { text: `${n} ${text}` }, bearer)
    if (answer.status === 201) log.push({ id: answer.body.id, topic: 'news', data: shortened(`${n} ${text}`) })
    else {
      disk.fill()
      return answer
    }
  }
}

/** Returns large events. */
function large(count: number): { text: string }[] {
  return Array.from({ length: count }, (_, n) => ({ text: `${n} `.padEnd(100_000, 'x') }))
}

function shorten(event: StreamEvent): StreamEvent {
  return { ...event, data: shortened(event.data) }
}

/** Shortens a text to its beginning and its length. */
function shortened(text: string): string {
  return `${text.slice(0, 12)} ${text.length}`
}

/** Limits the size of the files that a process writes (setrlimit(2)): `<soft>:<hard>`, in bytes. */
function limitFileSize(pid: number, limit: string): void {
  const { status, stderr } = spawnSync('prlimit', [`--pid=${pid}`, `--fsize=${limit}`], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`prlimit: ${stderr}`)
}

/** Returns why no hub can run as the user nobody, or `false`. */
async function whyNotAsNobody(t: Test): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'only root can run a hub as another user'
  const { code, stderr } = await runCommand(t, ['inspect'], { user: NOBODY })
  return code === 1 && /inspect/.test(stderr)
    ? false
    : `the user nobody cannot run the hub here: ${stderr.trim().split('\n', 1)[0] ?? ''}`
}
