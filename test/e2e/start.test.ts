/** The start of a hub: its address, its log messages, and its errors. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { bareNode } from '../helper/bare-node.js'
import { runCommand, startCommand, type Command } from '../helper/command.js'
import { poll, within } from '../helper/deadline.js'
import { send } from '../helper/http.js'
import { startHub } from '../helper/process.js'
import { anyTopic, SECRET } from '../helper/token.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const MAIN = join(ROOT, 'dist/main.js')
const isRoot = process.getuid?.() === 0

/** Creates a folder with a path that is short enough for a socket. */
function shortFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'hub-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Collects the output of a process. */
function listenTo({ stdout, stderr }: Pick<Command, 'stdout' | 'stderr'>): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' }
  stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  return output
}

/** Waits for the log message of a hub that listens. */
function listening(output: { stdout: string; stderr: string }): Promise<string> {
  return poll(
    async () => /"address":"([^"]+)"/.exec(output.stdout)?.[1],
    () => output.stdout + output.stderr,
  )
}

/** Requests a path on a Unix socket. */
function ask(socketPath: string, path: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    httpRequest({ socketPath, path, headers, agent: false }, (response) => {
      resolve(response.statusCode ?? 0)
      response.destroy()
    })
      .on('error', reject)
      .end()
  })
}

await t.test('a failed start prints one sentence with the remedy, and no stack trace', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const folder = shortFolder(t)
  writeFileSync(join(folder, 'file'), 'x')
  const cases: [env: Record<string, string>, words: RegExp, user?: number][] = [
    [{ PORT: String(port) }, /^PORT=\d+ .*another process listens.*set PORT/],
    [{ HOST: 'nowhere.invalid' }, /^HOST=nowhere\.invalid .*Set HOST/],
    [{ HOST: '192.0.2.1' }, /^HOST=192\.0\.2\.1 is not an address of this machine.*Set HOST/],
    [
      { HOST: '127.0.0.1:3000' },
      /^HOST="127\.0\.0\.1:3000": must be an IP address, a host name, or the path of a Unix socket /,
    ],
    [{ HOST: `/${'x'.repeat(200)}` }, /^HOST="\/x+": must be /],
    [
      { FANFARE_SCHEMAS: `${folder}/none.json` },
      /^The file of FANFARE_SCHEMAS .*none\.json": it cannot be read \(ENOENT\)\./,
    ],
    [{ HOST: `${folder}/none/hub.sock` }, /^HOST=.*Check that its folder exists/],
    [{ HOST: `${folder}/file` }, /^HOST=.* is not a socket/],
    ...[
      '/proc/hub',
      '/proc/self/fd/hub',
      '/dev/null',
      `${folder}/file`,
      `${folder}/file/hub`,
      `/${'x'.repeat(300)}`,
      `/${'x/'.repeat(3_000)}`,
    ].map((path): [Record<string, string>, RegExp] => [
      { FANFARE_LOG: `file:${path}` },
      /^The folder .* cannot be used for the log .*Check that/,
    ]),
    ...(isRoot
      ? ([
          [{ PORT: '81' }, /^PORT=81: this user may not listen.*Set PORT/, 65_534],
          [{ FANFARE_LOG: 'file:/root/hub' }, /^The folder .*Check that/, 65_534],
        ] as [Record<string, string>, RegExp, number][])
      : []),
  ]
  for (const [env, words, user] of cases) {
    const { code, signal, stderr } = await runCommand(t, [], {
      env: { FANFARE_LOG: 'memory', ...env },
      ...(user === undefined ? {} : { user }),
    })
    const what = JSON.stringify(env).slice(0, 80)
    if (user !== undefined && code === 0) continue // on some systems every user may do this
    t.strictSame([code, signal], [1, null], what)
    t.match(stderr, words, what)
    t.equal(stderr.trim().split('\n').length, 1, `${what}: ${stderr.slice(0, 300)}`)
  }
})

await t.test('a signal during the start ends the hub', async (t) => {
  // at any time: while modules load, while the log opens, and while the hub starts to listen
  for (const after of [60, 120, 200, 300, 400, 550, 700]) {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const hub = startCommand(t, [], { env: { FANFARE_LOG: `file:${t.testdir({})}` } })
      const output = listenTo(hub)
      await new Promise((resolve) => setTimeout(resolve, after))
      hub.kill(signal)
      const exit = await within(hub.exited, () => `the hub does not exit: ${output.stdout}${output.stderr}`)
      if (exit.signal === null) t.equal(exit.code, 0, `${signal} after ${after} ms`)
      else t.equal(exit.signal, signal, `${signal} after ${after} ms: Node itself had not started yet`)
      t.equal(output.stderr, '')
    }
  }
})

const hasNamespaces = isRoot && spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0
await t.test(
  'a signal to the first process of a container ends the hub',
  { skip: hasNamespaces ? false : 'only root can create a namespace' },
  async (t) => {
    // the output shows when the process has a handler; an earlier signal would be lost in Node's own start
    const folder = t.testdir({
      'mark.cjs':
        "process.on('newListener', (name) => name === 'SIGTERM' && queueMicrotask(() => require('node:fs').writeSync(2, 'handler installed')))",
    })
    const env = {
      HOST: '127.0.0.1',
      PORT: '0',
      FANFARE_LOG: 'memory',
      FANFARE_JWT_SECRET: SECRET,
      NODE_OPTIONS: `--require=${folder}/mark.cjs`,
    }
    const [program, args] = bareNode([MAIN], env)
    const child = spawn('unshare', ['--pid', '--fork', '--mount-proc', '--kill-child', program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    const exited = once(child, 'exit')
    const output = listenTo(child)
    await poll(
      async () => (output.stderr.includes('handler installed') ? true : undefined),
      () => output.stdout + output.stderr,
    )
    const pid = Number(readFileSync(`/proc/${child.pid!}/task/${child.pid!}/children`, 'utf8'))
    t.notMatch(output.stdout, /listening/, 'the slow modules are not loaded yet')
    process.kill(pid, 'SIGTERM')
    const [code] = (await within(exited, () => `the hub does not exit: ${output.stdout}${output.stderr}`)) as [
      number | null,
    ]
    t.equal(code, 0)
  },
)

await t.test(
  'npm start forwards a signal, and the same signal from npm and the terminal counts once',
  { skip: existsSync(join(ROOT, 'dist/main.js')) ? false : 'not built' },
  async (t) => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    // the same script without the build before it, which would disturb other tests
    const folder = t.testdir({
      'package.json': JSON.stringify({ scripts: { start: scripts['start']!.replace('dist/main.js', MAIN) } }),
    })
    for (const [signal, whom] of [
      ['SIGTERM', 'npm'],
      ['SIGINT', 'npm'],
      ['SIGINT', 'all, as a terminal does'],
      ['SIGTERM', 'all'],
    ] as const) {
      const env = {
        PATH: process.env['PATH'],
        HOME: folder,
        HOST: '127.0.0.1',
        PORT: '0',
        FANFARE_LOG: 'memory',
        FANFARE_DRAIN: '2s',
        FANFARE_JWT_SECRET: SECRET,
      }
      const npm = spawn('npm', ['start', '--silent', '--no-update-notifier'], {
        cwd: folder,
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      })
      t.teardown(() => {
        try {
          process.kill(-npm.pid!, 'SIGKILL')
        } catch {
          // all of them have ended
        }
      })
      const exited = once(npm, 'exit')
      const output = listenTo(npm)
      const url = await listening(output)
      const stream = connect(Number(new URL(url).port), '127.0.0.1')
      stream.write(`GET /topics/a/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${anyTopic()}\r\n\r\n`)
      await within(once(stream, 'data'), () => 'no stream')
      const text = read(stream)
      process.kill(whom === 'npm' ? npm.pid! : -npm.pid!, signal)
      const exit = await within(exited, () => `the hub does not exit: ${output.stdout}${output.stderr}`)
      t.notMatch(output.stdout, /second/, `${signal} to ${whom}`)
      t.match(await text, /"reason":"drain"/)
      t.match(output.stdout, /"msg":"stopping"/)
      // npm itself ends with the signal
      t.ok(exit[0] === 0 || exit[1] === signal, `${signal} to ${whom}: ${String(exit)}`)
    }
  },
)

/** Reads a socket to its end. */
async function read(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('utf8').on('data', (part: string) => (text += part))
  await once(socket, 'close')
  return text
}

await t.test(
  'without a terminal stderr has the token and the commands as plain lines, and stdout has only JSON',
  async (t) => {
    const folder = t.testdir({})
    const first = startCommand(t, [], { env: { FANFARE_JWT_SECRET: '', FANFARE_LOG: `file:${folder}/data` } })
    const output = listenTo(first)
    const url = await listening(output)
    const told = await poll(
      async () => (output.stderr.includes('#token=') && output.stdout.includes('"token"') ? output : undefined),
      () => output.stdout + output.stderr,
    )
    for (const line of told.stdout.trim().split('\n')) t.type(JSON.parse(line), 'object')
    const lines = told.stderr.split('\n')
    const token = lines.find((line) => line.startsWith('eyJ'))!
    const commands = lines.filter((line) => line.startsWith('curl '))
    t.equal(commands.length, 2)
    for (const command of commands) t.ok(command.includes(token) && command.includes(url))
    t.equal((await send({ url }, 'GET', '/connections', { token })).status, 200)
    first.kill('SIGTERM')
    await within(first.exited, () => 'the hub does not exit')

    const again = await startHub(t, { FANFARE_JWT_SECRET: '', FANFARE_LOG: `file:${folder}/data` })
    t.equal((await send(again, 'GET', '/connections', { token })).status, 200, 'the token is valid after a restart')
    await again.stop()
    const memory = await startHub(t, { FANFARE_JWT_SECRET: '', FANFARE_LOG: 'memory' })
    t.equal((await send(memory, 'GET', '/connections', { token })).status, 401, 'a memory log keeps no secret')
    await memory.stop()
    const production = await runCommand(t, [], {
      env: { FANFARE_JWT_SECRET: '', FANFARE_LOG: `file:${folder}/data`, NODE_ENV: 'production' },
    })
    t.match(production, { code: 1, stderr: /No key to verify/ })
  },
)

await t.test('a hub listens on a Unix socket', async (t) => {
  const path = join(shortFolder(t), 'hub.sock')
  const token = { authorization: `Bearer ${anyTopic()}` }
  async function open(host: string): Promise<Command & { output: { stdout: string; stderr: string } }> {
    const hub = startCommand(t, [], {
      env: {
        HOST: host,
        FANFARE_LOG: 'memory',
        FANFARE_JWT_SECRET: host === path ? '' : SECRET,
        FANFARE_TRUST_PROXY: '10.0.0.0/8',
      },
    })
    const output = listenTo(hub)
    t.equal(await listening(output), `unix:${path}`)
    return { ...hub, output }
  }
  const first = await open(path)
  t.equal(await ask(path, '/health/live'), 200)
  const { stderr } = await poll(
    async () => (first.output.stderr.includes('/topics/orders.42/events\n') ? first.output : undefined),
    () => first.output.stderr,
  )
  t.match(stderr, new RegExp(`^curl --unix-socket ${path} `, 'm'))

  const env = { HOST: path, FANFARE_LOG: 'memory' }
  t.match(await runCommand(t, [], { env }), { code: 1, stderr: /another process listens on this socket/ })
  t.equal(await ask(path, '/health/live'), 200, 'the first hub still answers')
  t.match(await runCommand(t, ['health'], { env }), { code: 0, stdout: '', stderr: '' })

  first.kill('SIGKILL')
  await first.exited
  t.ok(existsSync(path), 'a killed hub leaves the socket file')
  t.match(await runCommand(t, ['health'], { env }), { code: 1, stderr: /^No hub answers at / })
  const second = await open(`unix:${path}`)
  t.equal(await ask(path, '/topics/a/events', token), 200, 'a stream')
  t.equal(
    await ask(path, '/topics/a..b/events', { ...token, 'x-forwarded-for': '192.0.2.1' }),
    400,
    'a peer without an address is logged',
  )
  second.kill('SIGTERM')
  t.match(await within(second.exited, () => 'the hub does not exit'), { code: 0 })
  t.notOk(existsSync(path), 'the hub removes the socket file')

  writeFileSync(path, 'theirs')
  t.match(await runCommand(t, [], { env }), { code: 1, stderr: /is not a socket/ })
  t.equal(readFileSync(path, 'utf8'), 'theirs')
})

await t.test('a health check uses HOST and PORT', async (t) => {
  const hub = await startHub(t, { HOST: '0.0.0.0' })
  const env = { HOST: '0.0.0.0', PORT: String(hub.port) }
  t.match(await runCommand(t, ['health'], { env }), { code: 0, stderr: '' })
  t.equal(await hub.stop(), 0)
  t.match(await runCommand(t, ['health'], { env }), { code: 1, stderr: /^No hub answers at 0\.0\.0\.0:\d+/ })
})

const canLimit = process.platform === 'linux'
await t.test(
  'a process with few descriptors warns at the start, and when none is left',
  { skip: canLimit ? false : 'only Linux reports the number of descriptors' },
  async (t) => {
    const files = 200 // Node opens many descriptors while it loads modules
    const [program, args] = bareNode([MAIN], {
      HOST: '127.0.0.1',
      PORT: '0',
      FANFARE_LOG: 'memory',
      FANFARE_JWT_SECRET: SECRET,
      FANFARE_MAX_CONNECTIONS: String(files),
    })
    const child = spawn('sh', ['-c', `ulimit -n ${files}; exec "$@"`, 'sh', program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    const output = listenTo(child)
    const { port } = new URL(await listening(output))
    await poll(
      async () => (output.stdout.includes(`the process may open ${files} files`) ? true : undefined),
      () => output.stdout,
    )
    const sockets = Array.from({ length: files }, () => connect(Number(port), '127.0.0.1').on('error', () => undefined))
    t.teardown(() => sockets.forEach((socket) => socket.destroy()))
    await poll(
      async () => (output.stdout.includes('no file descriptor is left') ? true : undefined),
      () => output.stdout,
    )
    t.equal(output.stdout.split('no file descriptor is left').length, 2, 'once')
    t.equal(child.exitCode, null)
  },
)
