/** `fanfare publish`: one event, or each line of standard input. */
import t, { type Test } from 'tap'
import { collectOutput, runCommand, startCommand, type Outcome } from '../helper/command.js'
import { within } from '../helper/deadline.js'
import { history } from '../helper/http.js'
import { ndjson } from '../helper/ndjson.js'
import { startHub, type Hub } from '../helper/process.js'
import { revivingHub } from '../helper/reviving-hub.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { anyTopic, token } from '../helper/token.js'

const bearer = anyTopic()

async function publish(t: Test, hub: { url: string }, args: string[], input?: string | Uint8Array): Promise<Outcome> {
  return runCommand(t, ['publish', ...args], {
    env: { FANFARE_URL: hub.url, FANFARE_TOKEN: bearer },
    ...(input === undefined ? {} : { input }),
  })
}

async function eventsOf(hub: Hub, topic: string): Promise<Record<string, unknown>[]> {
  const { body } = await history(hub, topic, 'limit=1000', bearer)
  return body.events.map((event) =>
    Object.fromEntries(Object.entries(event).filter(([name]) => !['id', 'topic', 'time'].includes(name))),
  )
}

await t.test('data that begins as JSON is JSON, words and lossy numbers are text', async (t) => {
  const hub = await startHub(t)
  const cases: [written: string, event: object][] = [
    ['{"total":12}', { data: { total: 12 } }],
    [' [1,2]\n', { data: [1, 2] }],
    ['"quoted"', { data: 'quoted' }],
    ['21.5', { data: 21.5 }],
    ['true', { data: true }],
    ['null', { data: null }],
    ['hello world', { text: 'hello world' }],
    ['1.10', { text: '1.10' }],
    ['12345678901234567890', { text: '12345678901234567890' }],
    ['', { text: '' }],
  ]
  for (const [written] of cases) t.match(await publish(t, hub, ['a', '--', written]), { code: 0, stderr: '' }, written)
  t.strictSame(
    await eventsOf(hub, 'a'),
    cases.map(([, event]) => event),
  )
  const broken = await publish(t, hub, ['a', '{"total":12'])
  t.match(broken, { code: 1, stdout: '', stderr: /^The payload begins as JSON and is not valid JSON .*--text\.\n$/ })
  t.match(await publish(t, hub, ['b', '{"total":12', '--text']), { code: 0 })
  t.strictSame(await eventsOf(hub, 'b'), [{ text: '{"total":12' }])
})

await t.test('the options become members of the event, and the receipt is printed', async (t) => {
  const hub = await startHub(t)
  const stream = await openLive(t, streamUrl(hub, ['a']), { token: bearer })
  const args = ['a', '1', '--type', 'created', '--id', 'x1', '--attribute', 'tenant=t=1']
  t.match(await publish(t, hub, args), { code: 0, stdout: /^a: \S+-1, sent to 1 subscriber\n$/ })
  t.match(await publish(t, hub, args), { code: 0, stdout: /^a: \S+-1, already stored under this id\n$/ })
  t.match(await publish(t, hub, ['a', '2', '--ephemeral']), {
    code: 0,
    stdout: 'a: sent to 1 subscriber, not stored\n',
  })
  const { stdout } = await publish(t, hub, ['a', '3', '--json'])
  t.match(JSON.parse(stdout), { id: /-2$/, topic: 'a', duplicate: false, subscribers: 1 })
  await stream.count(3)
  t.strictSame(await eventsOf(hub, 'a'), [{ type: 'created', attributes: { tenant: 't=1' }, data: 1 }, { data: 3 }])
})

await t.test('standard input is one event, without its last line break; bytes are kept as they are', async (t) => {
  const hub = await startHub(t)
  await publish(t, hub, ['a', '-'], 'two\nlines\r\n')
  await publish(t, hub, ['a', '-'], '{"n":1}\n')
  await publish(t, hub, ['a', '-', '--bytes'], Uint8Array.of(0, 255, 10))
  t.strictSame(await eventsOf(hub, 'a'), [{ text: 'two\nlines' }, { data: { n: 1 } }, { bytes: 'AP8K' }])
  t.match(await publish(t, hub, ['a', '-'], Uint8Array.of(255)), {
    code: 1,
    stderr: /^The payload is not UTF-8: .*--bytes\.\n$/,
  })
})

await t.test('refusals and unreachable hubs have their exit codes', async (t) => {
  const hub = await startHub(t)
  const refused = await runCommand(t, ['publish', 'a', 'x', '--url', hub.url, '--token', token({ publish: ['b'] })])
  t.match(refused, { code: 2, stdout: '', stderr: /\(403 not-granted\)\n$/ })
  t.match(await publish(t, { url: 'http://127.0.0.1:1' }, ['a', 'x']), {
    code: 3,
    stdout: '',
    stderr: /^No hub answers/,
  })
})

await t.test('a temporary refusal is retried after the time that the hub names', async (t) => {
  const hub = await startHub(t, { FANFARE_PUBLISH_RATE: '1' })
  const outcomes = await Promise.all([1, 2, 3].map((data) => publish(t, hub, ['a', String(data)])))
  for (const outcome of outcomes) t.match(outcome, { code: 0 })
  t.equal((await eventsOf(hub, 'a')).length, 3)
  t.ok(
    outcomes.some(({ stderr }) => stderr.includes('rate-limited) Trying again.')),
    outcomes.map(({ stderr }) => stderr).join(''),
  )
})

await t.test('--ndjson publishes each line as it comes from a live pipe', async (t) => {
  const hub = await startHub(t)
  const stream = await openLive(t, streamUrl(hub, ['a']), { token: bearer })
  const command = startCommand(t, ['publish', 'a', '--ndjson', '--type', 'x'], {
    env: { FANFARE_URL: hub.url, FANFARE_TOKEN: bearer },
    keepsInput: true,
  })
  const output = collectOutput(command)
  for (const n of [1, 2]) {
    command.stdin.write(`{"n":${n}}\n`)
    await stream.count(n)
  }
  command.stdin.write('\n{"n":')
  command.stdin.end('3}') // the last line needs no line break
  t.match(await within(command.exited, () => output.stderr), { code: 0 })
  t.equal(output.stdout, '3 events published\n')
  t.strictSame(
    await eventsOf(hub, 'a'),
    [1, 2, 3].map((n) => ({ type: 'x', data: { n } })),
  )
})

await t.test('--ndjson publishes many lines in order, and lines that name their topics', async (t) => {
  const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '100000', FANFARE_MAX_EVENT_SIZE: '4KiB' })
  const numbers = Array.from({ length: 5_000 }, (_, n) => n)
  const large = 'x'.repeat(300)
  const outcome = await publish(
    t,
    hub,
    ['--ndjson'],
    ndjson(numbers.map((n) => ({ topic: `t.${n % 2}`, data: n, attributes: { pad: large } }))),
  )
  t.match(outcome, { code: 0, stdout: '5000 events published\n', stderr: '' })
  const { body } = await history(hub, 't.1', 'last=1000', bearer)
  t.strictSame(
    body.events.map(({ data }) => data),
    numbers.filter((n) => n % 2 === 1).slice(-1_000),
  )
  const texts = await publish(t, hub, ['b', '--ndjson', '--text', '--json'], 'one\n{"two"\n')
  t.match(
    texts.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
    [{ topic: 'b' }, { topic: 'b' }],
  )
  t.strictSame(await eventsOf(hub, 'b'), [{ text: 'one' }, { text: '{"two"' }])
})

await t.test('--ndjson stops at a bad line, and the events before it are stored', async (t) => {
  const hub = await startHub(t)
  const cases: [input: string, code: number, line: RegExp][] = [
    ['1\n\nx\n4\n', 1, /^Line 3: The payload is not valid JSON .* \(1 event was published before it\.\)\n$/],
    ['{"topic":"a","data":1}\n{"data":2}\n', 1, /^Line 2: The line is not an event with a "topic"/],
    [
      '{"topic":"a","data":1}\n{"topic":"a","data":2}\n{"topic":"fanfare.x","data":3}\n',
      2,
      /^Line 3: .*reserved-topic\) \(2 events were/,
    ],
  ]
  for (const [input, code, line] of cases) {
    const args = input.startsWith('{') ? ['--ndjson'] : ['a', '--ndjson']
    t.match(await publish(t, hub, args, input), { code, stdout: '', stderr: line })
  }
  t.strictSame(
    (await eventsOf(hub, 'a')).map(({ data }) => data),
    [1, 1, 1, 2],
  )
})

await t.test('a live pipe survives a killed hub: each line is stored once and in order', async (t) => {
  const hub = await revivingHub(t, { FANFARE_LOG: `file:${t.testdir({})}`, FANFARE_RETAIN_EVENTS: '100000' })
  const command = startCommand(t, ['publish', 'a', '--ndjson', '--json'], {
    env: { FANFARE_URL: hub.url, FANFARE_TOKEN: bearer },
    keepsInput: true,
  })
  const output = collectOutput(command)
  command.stdin.write('0\n')
  await output.until('stdout', '\n')
  for (let n = 1; n <= 300; n++) command.stdin.write(`${n}\n`)
  await hub.kill()
  for (let n = 301; n <= 600; n++) command.stdin.write(`${n}\n`)
  await output.until('stderr', 'Trying again.')
  await hub.start()
  command.stdin.end()
  t.match(await within(command.exited, () => output.stderr), { code: 0 })
  const events = await eventsOf(hub.hub, 'a')
  t.strictSame(
    events.map(({ data }) => data),
    Array.from({ length: 601 }, (_, n) => n),
  )
})
