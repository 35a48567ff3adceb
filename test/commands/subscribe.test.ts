/** `fanfare subscribe`: prints events as they come, resumes, and ends as documented. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { bareNode } from '../helper/bare-node.js'
import { collectOutput, runCommand, startCommand, type Command, type Output } from '../helper/command.js'
import { poll, within } from '../helper/deadline.js'
import { publish, publishBatch } from '../helper/http.js'
import { startHub, type Hub } from '../helper/process.js'
import { revivingHub } from '../helper/reviving-hub.js'
import { startTcpProxy } from '../helper/tcp-proxy.js'
import { anyTopic, token } from '../helper/token.js'

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const bearer = anyTopic()

/** Starts a subscriber, and waits until its stream is open. */
async function subscribe(
  t: Test,
  { url }: { url: string },
  args: string[],
): Promise<{ command: Command; output: Output }> {
  const command = startCommand(t, ['subscribe', ...args], { env: { FANFARE_URL: url, FANFARE_TOKEN: bearer } })
  const output = collectOutput(command)
  await output.until('stderr', 'Connected: ')
  return { command, output }
}

await t.test(
  'events are printed one a line, with their topics and types, and control characters escaped',
  async (t) => {
    const hub = await startHub(t)
    const { command, output } = await subscribe(t, hub, ['orders.*'])
    await publish(hub, 'orders.42', { type: 'created', data: { total: 12, name: '\u009bx' } }, bearer)
    await publish(hub, 'orders.43', { text: 'two\nlines\u001b[31m' }, bearer)
    await publish(hub, 'orders.44', { bytes: 'AP8=', ephemeral: true }, bearer)
    await output.until('stdout', 'orders.44')
    t.strictSame(
      output.stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d{3} {2}/, '')),
      ['orders.42  created  {"total":12,"name":"\\u009bx"}', 'orders.43  two\\nlines\\u001b[31m', 'orders.44  AP8='],
    )
    command.kill('SIGINT')
    t.strictSame(
      await within(command.exited, () => 'it does not exit'),
      { code: 0, signal: null },
      'Ctrl-C is a clean end',
    )
    t.match(output.stderr, /^Connecting to http:.*\nConnected: orders\.\* \(connection \S+\)\.\n$/)
  },
)

await t.test(
  '--json prints the events of history, --raw their payloads, and --count ends after a number',
  async (t) => {
    const hub = await startHub(t)
    const { id } = await publish(hub, 'a', { data: { n: 1 }, type: 'x' }, bearer)
    await publish(hub, 'a', { text: 'two\nlines' }, bearer)
    const env = { FANFARE_URL: hub.url, FANFARE_TOKEN: bearer }
    const json = await runCommand(t, ['subscribe', 'a', '--from', 'start', '--json', '--count', '2'], { env })
    t.equal(json.code, 0)
    const [first, second] = json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    t.match(first, { id, topic: 'a', type: 'x', data: { n: 1 }, time: /Z$/ })
    t.match(second, { topic: 'a', text: 'two\nlines' })
    const raw = await runCommand(t, ['subscribe', 'a', '--replay', 'all', '--raw', '--quiet', '--count', '2'], { env })
    t.strictSame(raw, { code: 0, signal: null, stdout: '{"n":1}\ntwo\nlines\n', stderr: '' })
    const rest = await runCommand(t, ['subscribe', 'a', 'b', '--from', id, '--raw', '--count', '1'], { env })
    t.equal(rest.stdout, 'two\nlines\n', 'a cursor continues after its event')
    const typed = await runCommand(
      t,
      ['subscribe', 'a', '--from', '2026-01-01T00:00:00Z', '--type', 'x', '--raw', '--count', '1'],
      { env },
    )
    t.equal(typed.stdout, '{"n":1}\n')
  },
)

await t.test('after a cut and a restart of the hub, each event is printed once and in order', async (t) => {
  const hub = await revivingHub(t, { FANFARE_LOG: `file:${t.testdir({})}` })
  const proxy = await startTcpProxy(t, Number(new URL(hub.url).port))
  const { command, output } = await subscribe(t, { url: `http://127.0.0.1:${proxy.port}` }, ['a', '--raw'])
  await publish(hub.hub, 'a', { data: 1 }, bearer)
  await output.until('stdout', '1\n')
  proxy.cut()
  await output.until('stderr', /Connecting again in [\d.]+ s\./)
  await publish(hub.hub, 'a', { data: 2 }, bearer)
  proxy.mend()
  await output.until('stdout', '2\n')
  await hub.kill()
  await hub.start()
  await publishBatch(
    hub.hub,
    [3, 4].map((data) => ({ topic: 'a', data })),
    bearer,
  )
  await output.until('stdout', '4\n')
  t.equal(output.stdout, '1\n2\n3\n4\n')
  t.notMatch(output.stderr, 'Gap')
  command.kill('SIGTERM')
  t.match(await command.exited, { code: 0 })
})

await t.test('a gap is printed on standard error, also with --quiet', async (t) => {
  const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '2' })
  const { id } = await publish(hub, 'a', { data: 0 }, bearer)
  await publishBatch(
    hub,
    [1, 2, 3, 4].map((data) => ({ topic: 'a', data })),
    bearer,
  )
  const env = { FANFARE_URL: hub.url, FANFARE_TOKEN: bearer }
  for (const from of [id, 'zzzzzzzz-1', 'start']) {
    const { code, stdout, stderr } = await runCommand(
      t,
      ['subscribe', 'a', '--from', from, '--raw', '--quiet', '--count', '2'],
      { env },
    )
    t.strictSame([code, stdout], [0, '3\n4\n'])
    t.match(stderr, /^Gap.*: .* \((expired|epoch)\); the events from \S+ on follow\.\n$/, from)
  }
})

await t.test('a final refusal is one sentence and exit code 2, an unreachable hub exit code 3', async (t) => {
  const hub = await startHub(t)
  const cases: [args: string[], env: Record<string, string>, code: number, line: RegExp][] = [
    [['a'], {}, 2, /No token.*\(401 missing-token\)$/],
    [['a'], { FANFARE_TOKEN: token({ subscribe: ['b'] }) }, 2, /"a".*\(403 not-granted\)$/],
    [['a'], { FANFARE_TOKEN: token({ subscribe: ['a'], exp: 1 }) }, 2, /\(401 expired-token\)$/],
    [['a', '--replay', '5000'], { FANFARE_TOKEN: bearer }, 2, /\(400 invalid-request\)$/],
    [['a', '--url', `${hub.url}/elsewhere`], { FANFARE_TOKEN: bearer }, 2, /\(404 not-found\)$/],
    [['a', '--url', 'http://127.0.0.1:1'], {}, 3, /^No hub answers at http:\/\/127\.0\.0\.1:1: nothing listens there/],
    [['a', '--url', 'unix:/nowhere'], {}, 3, /^No hub answers at unix:\/nowhere: there is no such socket/],
  ]
  for (const [args, env, code, line] of cases) {
    const outcome = await runCommand(t, ['subscribe', '--quiet', ...args], { env: { FANFARE_URL: hub.url, ...env } })
    t.match(outcome, { code, stdout: '' }, args.join(' '))
    t.match(outcome.stderr.trimEnd(), line)
    t.equal(outcome.stderr.trimEnd().split('\n').length, 1, outcome.stderr)
  }
})

await t.test('a token that is revoked ends the subscription with the refusal', async (t) => {
  const hub = await startHub(t)
  const { command, output } = await subscribe(t, hub, ['a', '--token', token({ sub: 'u1', subscribe: ['a'] })])
  const admin = token({ admin: true })
  const answer = await fetch(`${hub.url}/revocations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
    body: JSON.stringify({ subject: 'u1', until: '2999-01-01T00:00:00Z' }),
  })
  t.equal(answer.status, 201)
  t.match(await within(command.exited, () => output.stderr), { code: 2 })
  t.match(output.stderr, /was revoked\. Connecting again in .*\n.*\n.*\(401 revoked-token\)\n$/)
})

await t.test('a closed pipe ends it quietly at the next event', async (t) => {
  const hub: Hub = await startHub(t)
  await publish(hub, 'a', { data: 'first' }, bearer)
  const [program, args] = bareNode([MAIN, 'subscribe', 'a', '--replay', 'all', '--raw', '--quiet'], {
    FANFARE_URL: hub.url,
    FANFARE_TOKEN: bearer,
  })
  // the exit code of the subscriber, and what it writes on standard error
  const child = spawn('bash', [
    '-c',
    '"$@" | (head -1; echo closed >&2); echo "${PIPESTATUS[0]}"',
    'bash',
    program,
    ...args,
  ])
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const ended = once(child, 'close')
  await poll(
    async () => errors.includes('closed') || undefined,
    () => output + errors,
  )
  await publish(hub, 'a', { data: 'second' }, bearer)
  await within(ended, () => `it does not end: ${output}${errors}`)
  t.strictSame([output, errors], ['"first"\n0\n', 'closed\n'])
})

await t.test('a hub that was started without a key in the same folder needs no token', async (t) => {
  const folder = t.testdir({})
  const hub = await startHub(t, { FANFARE_LOG: `file:${folder}`, FANFARE_JWT_SECRET: '' })
  const options = { env: { FANFARE_URL: hub.url, FANFARE_LOG: `file:${folder}`, FANFARE_JWT_SECRET: '' } }
  t.match(await runCommand(t, ['publish', 'a', 'x'], options), { code: 0 })
  t.match(await runCommand(t, ['subscribe', 'a', '--from', 'start', '--raw', '--count', '1'], options), {
    code: 0,
    stdout: 'x\n',
  })
  const other = { ...options, env: { ...options.env, NODE_ENV: 'production' } }
  t.match(await runCommand(t, ['publish', 'a', 'x'], other), { code: 2, stderr: /401 missing-token/ })
})

await t.test('a hub on a Unix socket is reached by its path', async (t) => {
  const socket = `/tmp/fanfare-cli-${process.pid}.sock`
  const hub = startCommand(t, [], { env: { HOST: socket, FANFARE_LOG: 'memory' } })
  await collectOutput(hub).until('stdout', 'listening on')
  const env = { HOST: socket, FANFARE_TOKEN: bearer }
  t.match(await runCommand(t, ['publish', 'a', 'x'], { env }), {
    code: 0,
    stdout: /^a: \S+-1, sent to 0 subscribers\n$/,
  })
  t.match(
    await runCommand(t, ['subscribe', 'a', '--replay', '1', '--raw', '--count', '1', '--url', `unix:${socket}`], {
      env,
    }),
    { stdout: 'x\n' },
  )
})
