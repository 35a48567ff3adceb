/** `fanfare connections`: lists and ends open streams. */
import t from 'tap'
import { runCommand } from '../helper/command.js'
import { within } from '../helper/deadline.js'
import { startHub } from '../helper/process.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { token } from '../helper/token.js'

const admin = token({ sub: 'admin', admin: true })

await t.test('streams are listed, and ended by id and by subject', async (t) => {
  const hub = await startHub(t)
  const env = { FANFARE_URL: hub.url, FANFARE_TOKEN: admin }
  const open = (sub: string, topics: string[]) =>
    openLive(t, streamUrl(hub, topics), { token: token({ sub, subscribe: ['**'] }) })
  const [first, second, third] = await Promise.all([
    open('u1', ['a']),
    open('u1', ['b', 'c.*', 'd', 'e']),
    open('u\u0007 2', ['a']),
  ])
  const list = async (...args: string[]): Promise<Record<string, unknown>[]> => {
    const { stdout } = await runCommand(t, ['connections', ...args, '--json'], { env })
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
  t.equal((await list()).length, 3)
  t.equal((await list('--limit', '2')).length, 2)
  t.strictSame(
    (await list('--subject', 'u1', '--topic', 'c.1')).map(({ topics }) => topics),
    [['b', 'c.*', 'd', 'e']],
  )
  const { stdout, code } = await runCommand(t, ['connections'], { env })
  t.equal(code, 0)
  t.match(stdout, /^connection +subject +topics +age +events +bytes +lag$/m)
  t.match(stdout, / u1 +b c\.\* d and 1 more +\d+s +0 /)
  t.match(stdout, / u\\u0007 2 /, 'control characters are escaped')

  const id = first.headers['fanfare-connection'] as string
  t.match(await runCommand(t, ['connections', 'end', id], { env }), { code: 0, stdout: '1 connection ended\n' })
  await within(first.closed, () => first.describe())
  t.match(await runCommand(t, ['connections', 'end', id], { env }), { code: 2, stderr: /\(404 not-found\)/ })
  t.match(await runCommand(t, ['connections', 'end', '--subject', 'u1', '--json'], { env }), {
    stdout: '{"closed":1}\n',
  })
  await within(second.closed, () => second.describe())
  t.notOk(third.isClosed)
  const user = { ...env, FANFARE_TOKEN: token({ subscribe: ['**'] }) }
  t.match(await runCommand(t, ['connections'], { env: user }), { code: 2, stderr: /\(403 not-granted\)/ })
})
