/** One process at a time owns a folder, even if the folder, its lock or the process is removed. */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FileLog, type FileLogOptions } from '../../../src/log/lmdb/lmdb-log.js'
import { StoreError } from '../../../src/log/lmdb/store-error.js'
import { event } from '../../../src/log/contract/events.js'
import { bareNode } from '../../helper/bare-node.js'
import { poll, within } from '../../helper/deadline.js'
import { post, publish, request } from '../../helper/http.js'
import { startHub } from '../../helper/process.js'
import { anyTopic } from '../../helper/token.js'

const RETENTION = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 }
/** More connections than the queue of a socket takes. */
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

function lockOf(folder: string): string {
  return `${folder}/${readdirSync(folder).find((name) => name.endsWith('.sock'))!}`
}

await t.test('an owner that is frozen has the folder, however many have asked', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-lock-')) // the path of a socket may have 107 bytes
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
  t.ok(codes.includes('EAGAIN'), `its queue is full: ${[...new Set(codes)].join(', ')}`)
  await refuses(t, folder, /in use by another process \(it does not answer\)/)
  await hub.kill()
  t.match(
    await (await open(t, folder)).append([event('a')]),
    [{ sequence: 1 }],
    'once it is killed, the folder is free',
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
    () => `not both have answered: ${output}`,
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
  await t.test(`a folder that is ${what} is noticed, and so is that it is back`, async (t) => {
    const folder = `${t.testdir({})}/log`
    const hub = await startHub(t, { FANFARE_LOG: `file:${folder}`, FANFARE_DURABILITY: 'commit' })
    await publish(hub, 'a', { data: 1 }, anyTopic())
    go(folder)
    const refused = await poll(
      async () => {
        const { status, body } = await post<{ code?: string }>(`${hub.url}/topics/a/events`, { data: 2 }, anyTopic())
        return status === 201 ? undefined : { status, code: body.code }
      },
      () => 'it goes on acknowledging',
    )
    t.strictSame(refused, { status: 503, code: 'log-unavailable' })
    t.equal((await request(`${hub.url}/health/ready`)).status, 503)
    t.ok(
      hub.logs().some(({ msg, err }) => msg === 'events cannot be stored' && JSON.stringify(err).includes(what)),
      'a line of its log says what has happened',
    )
    back(folder)
    await poll(
      async () => ((await request(`${hub.url}/health/ready`)).status === 200 ? true : undefined),
      () => 'it does not go on',
    )
    await publish(hub, 'a', { data: 3 }, anyTopic())
    t.equal(await hub.stop(), 0)
  })
}

await t.test('a folder that is removed is noticed without a publisher', async (t) => {
  const folder = `${t.testdir({})}/log`
  const failures: (string | undefined)[] = []
  const log = await open(t, folder, { onHealth: (err) => failures.push(err?.message) })
  rmSync(folder, { recursive: true })
  await poll(
    async () => (log.view.failure ? true : undefined),
    () => 'it does not notice',
  )
  t.match(failures, [/removed, moved or replaced/])
  t.match(await log.append([event('a')]).catch((err: unknown) => err), { code: 'log-unavailable' })
  await within(log.close(), () => 'it does not close')
})

await t.test('two never write, also when the lock of the first was removed', async (t) => {
  for (const durability of ['sync', 'commit'] as const) {
    const folder = t.testdir({ [durability]: {} })
    const first = await open(t, `${folder}/${durability}`, { durability })
    await first.append([event('a')])
    rmSync(lockOf(`${folder}/${durability}`))
    const second = await open(t, `${folder}/${durability}`, { durability })
    t.match(
      await first.append([event('a', { payload: 'of the first' })]).catch((err: unknown) => err),
      { code: 'log-unavailable' },
      'the first has lost it',
    )
    t.match(first.view.failure?.message, /Another process has taken the folder/)
    t.match(await second.append([event('a')]), [{ sequence: 2 }])
    await first.close()
    t.match(await second.append([event('a')]), [{ sequence: 3 }], 'closing the first disturbs nothing')
    await second.close()
    t.equal((await open(t, `${folder}/${durability}`)).view.head, 3)
  }
})

await t.test('a symbolic link leads to the same folder, a copy to another', async (t) => {
  const root = t.testdir({})
  mkdirSync(`${root}/log`)
  symlinkSync('log', `${root}/link`)
  const log = await open(t, `${root}/link`)
  await log.append([event('a')])
  await refuses(t, `${root}/log`, /in use/)
  cpSync(`${root}/log`, `${root}/copy`, { recursive: true, filter: (name) => !name.endsWith('.sock') })
  t.equal((await open(t, `${root}/copy`)).view.head, 1, 'a copy is free')
  t.match(await log.append([event('a')]), [{ sequence: 2 }], 'and the original is not disturbed')
})
