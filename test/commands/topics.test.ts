/** `fanfare topics`: lists the topics of a hub. */
import t from 'tap'
import { runCommand } from '../helper/command.js'
import { publishBatch } from '../helper/http.js'
import { startHub } from '../helper/process.js'
import { token } from '../helper/token.js'

const bearer = token({ publish: ['**'], subscribe: ['**'], admin: true })

await t.test('topics are listed by prefix and by pattern, as a table and as JSON', async (t) => {
  const hub = await startHub(t)
  const names = ['orders.1', 'orders.1.items', 'orders.2', 'rooms.1']
  const [first] = await publishBatch(
    hub,
    names.map((topic) => ({ topic, data: 1 })),
    bearer,
  )
  const env = { FANFARE_URL: hub.url, FANFARE_TOKEN: bearer }
  const topics = async (...args: string[]): Promise<string[]> => {
    const { code, stdout } = await runCommand(t, ['topics', ...args, '--json'], { env })
    t.equal(code, 0)
    return stdout === ''
      ? []
      : stdout
          .trimEnd()
          .split('\n')
          .map((line) => (JSON.parse(line) as { topic: string }).topic)
  }
  t.strictSame(await topics(), names)
  t.strictSame(await topics('orders.1'), ['orders.1', 'orders.1.items'])
  t.strictSame(await topics('orders.*'), ['orders.1', 'orders.2'])
  t.strictSame(await topics('**', '--limit', '2'), names.slice(0, 2))
  t.strictSame(await topics('none'), [])

  const table = await runCommand(t, ['topics', 'orders.1'], { env })
  t.match(table, { code: 0, stderr: '' })
  const lines = table.stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/\s{2,}/))
  t.strictSame(lines[0], ['topic', 'events', 'bytes', 'subscribers', 'newest'])
  t.match(lines[1], ['orders.1', '1', /^\d+ B$/, '0', first!.id])
  t.notOk(table.stdout.includes('\u001b'), 'a pipe gets no colours')
  t.match(await runCommand(t, ['topics', 'none'], { env }), { code: 0, stdout: '', stderr: 'No topics.\n' })
})

await t.test('all pages of a long list are printed', async (t) => {
  const hub = await startHub(t)
  const names = Array.from({ length: 2_100 }, (_, n) => `t.${String(n).padStart(4, '0')}`)
  for (let from = 0; from < names.length; from += 1_000)
    await publishBatch(
      hub,
      names.slice(from, from + 1_000).map((topic) => ({ topic, data: 1 })),
      bearer,
    )
  const env = { FANFARE_URL: hub.url, FANFARE_TOKEN: bearer }
  const { code, stdout } = await runCommand(t, ['topics'], { env })
  t.equal(code, 0)
  t.strictSame(
    stdout
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => line.split(' ', 1)[0]),
    names,
  )
})
