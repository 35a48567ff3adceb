/** `npm run example` in a terminal, and without one. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { poll } from '../helper/deadline.js'
import { freePort } from '../helper/free-port.js'
import { request } from '../helper/http.js'

const START = fileURLToPath(new URL('../../examples/start.ts', import.meta.url))
/** The page is built first. */
const TIMEOUT = 120_000
t.setTimeout(TIMEOUT)

/** `script` (util-linux) runs a command in a pseudo-terminal, and passes its own input to it. */
const hasScript = String(spawnSync('script', ['--version']).stdout).includes('util-linux')
const skip = !hasScript && 'there is no `script` of util-linux'

interface Running {
  child: ChildProcess
  hubUrl: string
  output: () => string
  /** Waits until the output has a text. */
  says: (text: string) => Promise<unknown>
}

async function start(t: Test, command: string, args: string[]): Promise<Running> {
  const [port, hubPort] = [await freePort(), await freePort()]
  const child = spawn(command, args, {
    cwd: t.testdir(),
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], PORT: String(port), HUB_PORT: String(hubPort) },
    detached: true, // its hub is ended with the group
  })
  t.teardown(() => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // it has ended already
    }
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const says = (text: string) =>
    poll(
      async () => (output.includes(text) ? true : undefined),
      () => `no "${text}" in: ${output}`,
      TIMEOUT,
    )
  return { child, hubUrl: `http://127.0.0.1:${hubPort}`, output: () => output, says }
}

/** Waits until the hub answers. Returns how long it has run, in seconds. */
function uptime(hubUrl: string): Promise<number> {
  return poll(
    async () => (await request<{ uptime: number }>(`${hubUrl}/status`).catch(() => undefined))?.body.uptime,
    () => 'the hub does not answer',
    TIMEOUT,
  )
}

/** Opens a stream. The returned promise resolves when it has ended. */
async function openStream(hubUrl: string): Promise<{ ended: Promise<unknown> }> {
  const { body } = await fetch(`${hubUrl}/topics/clock/events`)
  return { ended: body!.pipeTo(new WritableStream()).catch(() => undefined) }
}

await t.test('in a terminal, `r` restarts the hub alone, and `q` ends both', { skip }, async (t) => {
  const command = [process.execPath, '--import', import.meta.resolve('tsx'), START, 'clock'].join(' ')
  const { child, hubUrl, says } = await start(t, 'script', ['-qefc', command, '/dev/null'])
  await says('Keys: r restarts the hub alone, q ends both.')
  await uptime(hubUrl)
  const { ended } = await openStream(hubUrl)
  child.stdin!.write('xr')
  await says('The hub restarts.')
  await ended
  await uptime(hubUrl)
  const exited = once(child, 'exit')
  child.stdin!.write('q')
  t.strictSame(await exited, [0, null])
  await t.rejects(request(`${hubUrl}/status`), 'the hub has ended')
})

await t.test('Ctrl-C in a terminal ends both', { skip }, async (t) => {
  const command = [process.execPath, '--import', import.meta.resolve('tsx'), START, 'clock'].join(' ')
  const { child, hubUrl, says } = await start(t, 'script', ['-qefc', command, '/dev/null'])
  await says('Keys:')
  await uptime(hubUrl)
  const exited = once(child, 'exit')
  child.stdin!.write('\u0003')
  t.strictSame(await exited, [0, null])
  await t.rejects(request(`${hubUrl}/status`), 'the hub has ended')
})

await t.test('without a terminal there are no keys', async (t) => {
  const { child, hubUrl, output, says } = await start(t, process.execPath, [
    '--import',
    import.meta.resolve('tsx'),
    START,
    'clock',
  ])
  await says('The example "clock"')
  const before = await uptime(hubUrl)
  child.stdin!.end('rq')
  await once(child.stdin!, 'finish')
  t.ok((await uptime(hubUrl)) >= before)
  t.notMatch(output(), /Keys/)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  t.strictSame(await exited, [0, null])
})
