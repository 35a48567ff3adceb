/** `fanfare inspect`: prints the contents of a log, even while a hub uses it. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import t from 'tap'
import { runCommand, startCommand } from '../helper/command.js'
import { within } from '../helper/deadline.js'
import { publish, publishBatch } from '../helper/http.js'
import { sequence } from '../helper/oracle.js'
import { startHub } from '../helper/process.js'
import { anyTopic } from '../helper/token.js'

const bearer = anyTopic()

await t.test('a live store', async (t) => {
  const folder = t.testdir({})
  const hub = await startHub(t, { FANFARE_LOG: `file:${folder}`, FANFARE_RETAIN_EVENTS: '5' })
  const began = new Date().toISOString()
  await publishBatch(
    hub,
    Array.from({ length: 3 }, (_, n) => ({ topic: 'orders.1', data: n })),
    bearer,
  )
  await publish(hub, 'orders.2', { text: 'two\nlines, and €', type: 'created', id: 'x' }, bearer)
  await publish(hub, 'image', { bytes: 'AP8=', attributes: { datacontenttype: 'image/png' } }, bearer)
  const last = await publish(hub, 'a', { data: { b: [1, null] } }, bearer)
  const ended = new Date().toISOString()

  await t.test('inspect prints the totals and topics', async (t) => {
    const { code, stdout, stderr } = await runCommand(t, ['inspect', folder])
    t.strictSame({ code, stderr }, { code: 0, stderr: '' })
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.trim().split(/\s{2,}/))
    const [epoch] = last.id.split('-')
    t.strictSame(lines.slice(0, 3), [
      ['folder', folder],
      ['epoch', epoch],
      ['head', last.id],
    ])
    t.match(lines[3], ['events', /^6 in 4 topics, [1-9][\d.]* \w+$/])
    t.strictSame(lines[5], ['topic', 'events', 'bytes', 'oldest', 'newest'])
    const topics = lines.slice(6)
    t.strictSame(
      topics.map(([topic, events]) => [topic, events]),
      [
        ['a', '1'],
        ['image', '1'],
        ['orders.1', '3'],
        ['orders.2', '1'],
      ],
      'sorted by name',
    )
    for (const [topic, , bytes, oldest, newest] of topics) {
      t.match(bytes, /^[1-9][\d.]* \w+$/)
      t.ok(began <= oldest! && oldest! <= newest! && newest! <= ended, `${topic!}: ${oldest!} to ${newest!}`)
    }
  })

  await t.test('inspect prints the events of a topic as NDJSON, in the form of history', async (t) => {
    const { code, stdout, stderr } = await runCommand(t, ['inspect', folder, '--topic', 'orders.2'])
    t.strictSame({ code, stderr }, { code: 0, stderr: '' })
    const [event, ...others] = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    t.strictSame(others, [])
    t.match(event, { topic: 'orders.2', type: 'created', text: 'two\nlines, and €', time: /^\d{4}-.*Z$/ })
    t.equal(sequence(event!['id'] as string), 4)
    const image = await runCommand(t, ['inspect', folder, '--topic', 'image'])
    t.match(JSON.parse(image.stdout), { attributes: { datacontenttype: 'image/png' }, bytes: 'AP8=' })
    const first = await runCommand(t, ['inspect', '--topic', 'orders.1', folder])
    t.strictSame(
      first.stdout
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { data: unknown }).data),
      [0, 1, 2],
      'the option may precede the topic',
    )
  })

  await t.test('an unknown topic has no events', async (t) => {
    t.match(await runCommand(t, ['inspect', folder, '--topic', 'nobody']), { code: 0, stdout: '', stderr: '' })
  })

  await t.test('inspect does not disturb the hub', async (t) => {
    const next = await publish(hub, 'a', { data: 'after' }, bearer)
    t.equal(sequence(next.id), sequence(last.id) + 1)
    t.equal(hub.logs().filter(({ level }) => Number(level) >= 50).length, 0, 'the hub logs no error')
  })

  await t.test('trimmed events are not counted', async (t) => {
    await publishBatch(
      hub,
      Array.from({ length: 20 }, (_, n) => ({ topic: 'orders.1', data: n })),
      bearer,
    )
    let events: string[] = []
    for (let tries = 0; tries < 50 && events.length !== 5; tries++) {
      const { stdout } = await runCommand(t, ['inspect', folder, '--topic', 'orders.1'])
      events = stdout.trimEnd().split('\n')
    }
    t.strictSame(
      events.map((line) => (JSON.parse(line) as { data: unknown }).data),
      [15, 16, 17, 18, 19],
    )
  })

  await t.test('a store without a running hub', async (t) => {
    await hub.stop()
    const files = readdirSync(folder).sort()
    t.match(await runCommand(t, ['inspect', folder]), { code: 0, stdout: /^folder {2}/ })
    t.strictSame(readdirSync(folder).sort(), files, 'no file is left behind')
  })
})

await t.test('inspect prints no stack trace if its output is closed early', async (t) => {
  const folder = t.testdir({})
  const hub = await startHub(t, { FANFARE_LOG: `file:${folder}` })
  for (let n = 0; n < 10; n++)
    await publishBatch(
      hub,
      Array.from({ length: 100 }, () => ({ topic: 'a', text: 'x'.repeat(2_000) })),
      bearer,
    )
  const command = startCommand(t, ['inspect', folder, '--topic', 'a'])
  let stderr = ''
  command.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  await new Promise((resolve) => command.stdout.once('data', resolve))
  command.stdout.destroy() // like `head -1`
  const { signal } = await within(command.exited, () => 'inspect does not exit')
  t.notMatch(stderr, /^\s+at /m)
  t.ok(signal === null || signal === 'SIGPIPE')
})

await t.test('inspect reads an empty log', async (t) => {
  const folder = t.testdir({})
  const hub = await startHub(t, { FANFARE_LOG: `file:${folder}` })
  const { code, stdout } = await runCommand(t, ['inspect', folder])
  t.equal(code, 0)
  t.match(stdout, /^head {2,}[a-z0-9]{8}-0$/m)
  t.match(stdout, /^events {2,}0 in 0 topics/m)
  await hub.stop()
})

await t.test('inspect refuses a folder without a log', async (t) => {
  const folder = t.testdir({ empty: {}, file: 'text', other: { 'data.mdb': 'text' } })
  for (const path of [`${folder}/missing`, `${folder}/empty`, `${folder}/file`, `${folder}/other`]) {
    const { code, stdout, stderr } = await runCommand(t, ['inspect', path])
    t.strictSame({ code, stdout }, { code: 1, stdout: '' })
    t.ok(stderr.includes(path), stderr.trim())
    t.notMatch(stderr, /^\s+at /m, 'stderr has no stack trace')
  }
  t.strictSame(readdirSync(`${folder}/empty`), [], 'no file is created in the folder')
  t.notOk(existsSync(`${folder}/missing`))
})

await t.test('an invalid command line is refused', async (t) => {
  const folder = t.testdir({})
  mkdirSync(`${folder}/a`)
  for (const args of [
    ['inspect'],
    ['inspect', folder, 'another'],
    ['inspect', folder, '--topic'],
    ['inspect', folder, '--topic', 'not a topic'],
    ['inspect', folder, '--topic', 'a.*'],
    ['inspect', folder, '--unknown'],
    ['backup'],
    ['backup', folder],
    ['backup', folder, 'to', 'another'],
    ['nonsense'],
    ['--help-me'],
    ['toString'],
  ]) {
    const { code, signal, stdout, stderr } = await runCommand(t, args)
    t.strictSame(
      { code, signal, stdout },
      { code: 1, signal: null, stdout: '' },
      `fanfare ${args.slice(0, 1).concat(args.slice(2)).join(' ')}`,
    )
    t.match(stderr, /^[A-Z"].* See fanfare .*--help\.\n$/)
    t.notMatch(stderr, /^\s+at /m, 'stderr has no stack trace')
  }
})
