/** One process at a time owns a folder, even if the folder, its lock or the process is removed. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { FileLog, type FileLogOptions } from '../../../src/log/lmdb/lmdb-log.js'
import { StoreError } from '../../../src/log/lmdb/store-error.js'
import { event } from '../../../src/log/contract/events.js'
import { Selection } from '../../../src/model/selection.js'
import { bareNode } from '../../helper/bare-node.js'
import { poll, within } from '../../helper/deadline.js'
import { readFrom } from '../../helper/log.js'
import { post, publish, request } from '../../helper/http.js'
import { startHub } from '../../helper/process.js'
import { skipMount } from '../../helper/tmpfs.js'
import { anyTopic } from '../../helper/token.js'

const RETENTION = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 }
/** The folder of the package, from which `lmdb` is found. */
const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
/** More connections than the queue of a socket accepts. */
const CALLERS = 700

/** A busy machine needs more time than the default time-out. */
t.setTimeout(300_000)

async function open(t: Test, folder: string, options: Partial<FileLogOptions> = {}): Promise<FileLog> {
  const log = await FileLog.open({ folder, durability: 'commit', retention: RETENTION, ...options })
  t.teardown(() => log.close())
  return log
}

async function refuses(t: Test, folder: string, words: RegExp): Promise<void> {
  const err = await FileLog.open({ folder, durability: 'commit', retention: RETENTION }).then(
    (log) => log.close(),
    (err: unknown) => err as Error,
  )
  t.ok(err instanceof StoreError, `${folder} is refused`)
  t.match(err?.message, words)
}

/** Closes a log, and returns it. */
async function closed(log: FileLog): Promise<FileLog> {
  await log.close()
  return log
}

function lockOf(folder: string): string {
  return `${folder}/${readdirSync(folder).find((name) => name.endsWith('.sock'))!}`
}

await t.test('a frozen owner keeps the folder, even if its queue of connections is full', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-lock-')) // the path of a socket has at most 107 bytes
  t.teardown(() => rmSync(folder, { recursive: true }))
  const hub = await startHub(t, { FANFARE_LOG: `file:${folder}` })
  const path = lockOf(folder)
  hub.signal('SIGSTOP')
  const codes = await Promise.all(
    Array.from(
      { length: CALLERS },
      () =>
        new Promise<string>((resolve) => {
          const socket = connect(path, () => resolve('connected'))
          socket.on('error', (err: NodeJS.ErrnoException) => resolve(err.code ?? err.message))
          t.teardown(() => socket.destroy())
        }),
    ),
  )
  t.ok(codes.includes('EAGAIN'), `the queue is full: ${[...new Set(codes)].join(', ')}`)
  await refuses(t, folder, /in use by another process \(it does not answer\)/)
  await hub.kill()
  t.match(
    await (await open(t, folder)).append([event('a')]),
    [{ sequence: 1 }],
    'the folder is free once the owner is killed',
  )
})

await t.test('a worker of a cluster takes a folder, and a second one is refused', async (t) => {
  const root = t.testdir({})
  writeFileSync(
    `${root}/worker.mjs`,
    `
    import { FileLog } from ${JSON.stringify(new URL('../../../dist/log/lmdb/lmdb-log.js', import.meta.url).href)}
    const log = await FileLog.open({ folder: process.argv[2], durability: 'commit', retention: ${JSON.stringify(RETENTION)} }).catch((err) => err)
    console.log(log instanceof Error ? 'refused: ' + log.message : 'opened')`,
  )
  writeFileSync(
    `${root}/primary.mjs`,
    `
    import cluster from 'node:cluster'
    cluster.setupPrimary({ exec: ${JSON.stringify(`${root}/worker.mjs`)}, args: [${JSON.stringify(`${root}/log`)}] })
    cluster.fork()
    cluster.fork()`,
  )
  const child = spawn(...bareNode([`${root}/primary.mjs`]), { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGTERM'))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  await poll(
    async () => (output.split('\n').length > 2 ? true : undefined),
    () => `a worker has not answered: ${output}`,
  )
  const lines = output.trim().split('\n').sort()
  t.equal(lines[0], 'opened')
  t.match(lines[1], /^refused: .*in use by another process/)
})

for (const [what, go, back] of [
  [
    'moved',
    (folder: string) => renameSync(folder, `${folder}-moved`),
    (folder: string) => renameSync(`${folder}-moved`, folder),
  ],
  [
    'replaced',
    (folder: string) => {
      renameSync(folder, `${folder}-moved`)
      cpSync(`${folder}-moved`, folder, { recursive: true, filter: (name) => !name.endsWith('.sock') })
    },
    (folder: string) => {
      rmSync(folder, { recursive: true })
      renameSync(`${folder}-moved`, folder)
    },
  ],
] as const) {
  await t.test(`the hub notices that its folder is ${what}, and that it is restored`, async (t) => {
    const folder = `${t.testdir({})}/log`
    const hub = await startHub(t, { FANFARE_LOG: `file:${folder}`, FANFARE_DURABILITY: 'commit' })
    await publish(hub, 'a', { data: 1 }, anyTopic())
    go(folder)
    const refused = await poll(
      async () => {
        const { status, body } = await post<{ code?: string }>(`${hub.url}/topics/a/events`, { data: 2 }, anyTopic())
        return status === 201 ? undefined : { status, code: body.code }
      },
      () => 'the hub still acknowledges events',
    )
    t.strictSame(refused, { status: 503, code: 'log-unavailable' })
    t.equal((await request(`${hub.url}/health/ready`)).status, 503)
    t.ok(
      hub.logs().some(({ msg, err }) => msg === 'events cannot be stored' && JSON.stringify(err).includes(what)),
      'the hub logs the reason',
    )
    back(folder)
    await poll(
      async () => ((await request(`${hub.url}/health/ready`)).status === 200 ? true : undefined),
      () => 'the hub does not continue',
    )
    await publish(hub, 'a', { data: 3 }, anyTopic())
    t.equal(await hub.stop(), 0)
  })
}

await t.test('the log notices a removed folder even without appends', async (t) => {
  const folder = `${t.testdir({})}/log`
  const failures: (string | undefined)[] = []
  const log = await open(t, folder, { onHealth: (err) => failures.push(err?.message) })
  rmSync(folder, { recursive: true })
  await poll(
    async () => (log.view.failure ? true : undefined),
    () => 'the log does not notice',
  )
  t.match(failures, [/removed, moved or replaced/])
  t.match(await log.append([event('a')]).catch((err: unknown) => err), { code: 'log-unavailable' })
  await within(log.close(), () => 'the log does not close')
})

await t.test('two logs never write one folder, even if the lock of the first is removed', async (t) => {
  for (const durability of ['sync', 'commit'] as const) {
    const folder = t.testdir({ [durability]: {} })
    const first = await open(t, `${folder}/${durability}`, { durability })
    await first.append([event('a')])
    rmSync(lockOf(`${folder}/${durability}`))
    const second = await open(t, `${folder}/${durability}`, { durability, sameProcess: true })
    t.match(
      await first.append([event('a', { payload: 'of the first' })]).catch((err: unknown) => err),
      { code: 'log-unavailable' },
      'the first log has lost the folder',
    )
    t.match(first.view.failure?.message, /Another process has taken the folder/)
    t.match(await second.append([event('a')]), [{ sequence: 2 }])
    await first.close()
    t.match(await second.append([event('a')]), [{ sequence: 3 }], 'closing the first log does not affect the second')
    await second.close()
    t.equal((await open(t, `${folder}/${durability}`)).view.head, 3)
  }
})

await t.test(
  'a process that opens its folder again is refused, and other processes still know its readers',
  async (t) => {
    const folder = t.testdir({})
    const log = await open(t, folder, { shared: true })
    await log.append([event('a')])
    await readFrom(log, new Selection(['a']), { after: 0, events: 1 })
    const again = () => FileLog.open({ folder, durability: 'commit', retention: RETENTION, shared: true })
    for (const refused of [again(), again()]) await t.rejects(refused, /in use by this process/)
    // LMDB drops the readers of processes without a lock when a process opens the folder
    const list = `
    import { open } from 'lmdb'
    console.log(open({ path: process.argv[1], noSubdir: false, readOnly: true }).readerList())`
    const args = ['--input-type=module', '-e', list, folder]
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, env: {} })
    t.match(stdout, new RegExp(`^ *${process.pid} `, 'm'), stderr)
    await log.close()
    await (await again()).close()
  },
)

await t.test(
  'a replica whose folder was replaced by a copy takes over neither the copy nor the original',
  async (t) => {
    const folder = `${t.testdir({})}/log`
    const env = { FANFARE_LOG: `file:${folder}`, FANFARE_DURABILITY: 'commit' }
    const original = await startHub(t, env)
    await publish(original, 'a', { data: 'original' }, anyTopic())
    const roles: string[] = []
    const replica = await open(t, folder, { shared: true, leaderTimeout: 500, onRole: (role) => roles.push(role) })
    renameSync(folder, `${folder}-moved`)
    cpSync(`${folder}-moved`, folder, { recursive: true, filter: (name) => !name.endsWith('.sock') })
    const copied = await startHub(t, env)
    await publish(copied, 'a', { data: 'copy' }, anyTopic())
    await original.kill()
    await poll(
      async () => (/removed, moved or replaced/.test(String(replica.view.failure?.message)) ? true : undefined),
      () => `the replica says: ${String(replica.view.failure)}`,
    )
    t.match(await replica.append([event('a')]).catch((err: unknown) => err), { code: 'log-unavailable' })
    t.strictSame(roles, ['replica'])
    await publish(copied, 'a', { data: 'copy again' }, anyTopic())
    t.equal(await copied.stop(), 0)
    t.equal((await FileLog.open({ folder, durability: 'commit', retention: RETENTION }).then(closed)).view.head, 3)
    rmSync(folder, { recursive: true })
    renameSync(`${folder}-moved`, folder)
    await poll(
      async () => (replica.view.failure ? undefined : true),
      () => `the replica does not take over the original: ${String(replica.view.failure)}`,
    )
    t.match(await replica.append([event('a')]), [{ sequence: 2 }], 'the original has its own events only')
    t.strictSame(roles, ['replica', 'leader'])
  },
)

await t.test(
  'a folder that is mounted twice has one leader, and the other process takes over',
  { skip: skipMount },
  async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'fanfare-lock-'))
    const [folder, mounted] = [`${root}/log`, `${root}/mounted`]
    for (const path of [folder, mounted]) mkdirSync(path)
    const mount = spawnSync('mount', ['--bind', folder, mounted], { encoding: 'utf8' })
    t.teardown(() => {
      spawnSync('umount', ['--lazy', mounted])
      rmSync(root, { recursive: true })
    })
    t.equal(mount.status, 0, mount.stderr)
    const leader = await startHub(t, { FANFARE_LOG: `file:${folder}`, FANFARE_DURABILITY: 'commit' })
    const roles: string[] = []
    const other = await open(t, mounted, { shared: true, onRole: (role) => roles.push(role) })
    t.strictSame(roles, ['replica'])
    await publish(leader, 'a', { data: 1 }, anyTopic())
    t.match(await other.append([event('a')]), [{ sequence: 2 }])
    await refuses(t, folder, /in use/)
    await leader.kill()
    t.match(await other.append([event('a')]), [{ sequence: 3 }])
    t.strictSame(roles, ['replica', 'leader'])
    const again = await startHub(t, { FANFARE_LOG: `file:${folder}` })
    t.notOk(
      again.logs().some(({ role }) => role === 'leader'),
      'a hub at the first path joins the leader',
    )
    await publish(again, 'a', { data: 4 }, anyTopic())
    t.equal(other.view.head, 4)
  },
)

await t.test('a symbolic link leads to the same folder, a copy to another', async (t) => {
  const root = t.testdir({})
  mkdirSync(`${root}/log`)
  symlinkSync('log', `${root}/link`)
  const log = await open(t, `${root}/link`)
  await log.append([event('a')])
  await refuses(t, `${root}/log`, /in use/)
  cpSync(`${root}/log`, `${root}/copy`, { recursive: true, filter: (name) => !name.endsWith('.sock') })
  t.equal((await open(t, `${root}/copy`)).view.head, 1, 'the copy is free')
  t.match(await log.append([event('a')]), [{ sequence: 2 }], 'the original still works')
})
