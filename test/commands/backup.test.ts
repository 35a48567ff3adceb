/** `fanfare backup`: copies a log consistently, even while a hub uses it. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import t, { type Test } from 'tap'
import { runCommand } from '../helper/command.js'
import { history, post, publish, publishBatch, request, type History, type Published } from '../helper/http.js'
import { difference, due, sequence, type Logged } from '../helper/oracle.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { anyTopic, token } from '../helper/token.js'

const bearer = anyTopic()
const TOPICS = ['a', 'b', 'c.d']

await t.test('a copy of a live store under load is consistent and opens', async (t) => {
  const root = t.testdir({})
  const folder = `${root}/live`
  const hub = await startHub(t, { FANFARE_LOG: `file:${folder}`, FANFARE_RETAIN_EVENTS: '1000000' })
  const published: Logged[] = []
  let isOver = false
  /** Batches of ten, which a copy must contain as a whole or not at all. */
  async function load(name: number): Promise<void> {
    for (let n = 0; !isOver; n++) {
      const events = Array.from({ length: 10 }, (_, m) => ({
        topic: TOPICS[m % 3]!,
        data: `${name}/${n}/${m} ${'x'.repeat(100)}`,
        id: `${name}/${n}/${m}`,
      }))
      const receipts = await publishBatch(hub, events, bearer)
      published.push(...receipts.map(({ id, topic }, m) => ({ id, topic, data: JSON.stringify(events[m]!.data) })))
    }
  }
  await publishBatch(
    hub,
    Array.from({ length: 10 }, () => ({ topic: 'a', data: 'first' })),
    bearer,
  )
  const loading = Promise.all([load(1), load(2)])
  for (let copies = 0; copies < 3; copies++) {
    const least = published.length
    const to = `${root}/copy ${copies}`
    const { code, stdout, stderr } = await runCommand(t, ['backup', folder, to])
    const most = published.length + 20
    t.strictSame({ code, stderr }, { code: 0, stderr: '' }, stderr)
    t.match(stdout, new RegExp(`copied to .*copy ${copies}`))
    const copy = await openCopy(t, to)
    const log = await readLog(copy)
    t.ok(
      log.length - 10 >= least && log.length - 10 <= most,
      `${log.length} events: the copy has every event acknowledged before the backup began`,
    )
    t.strictSame(
      log.map(({ id }) => sequence(id)),
      log.map((_, n) => n + 1),
      'sequences are consecutive',
    )
    t.equal(log.length % 10, 0, 'every batch is whole')
    t.match((await history(copy, 'a', 'last=1', bearer)).status, 200)
    const again = await post<Published>(`${copy.url}/topics/a/events`, { data: 1, id: '1/0/0' }, bearer)
    t.equal(again.body.duplicate, true, 'the copy has the publisher ids')
    const next = await publish(copy, 'a', { data: 'next' }, bearer)
    t.equal(sequence(next.id), log.length + 1, 'sequences continue')
    await copy.kill()
  }
  isOver = true
  await loading
  t.ok(published.length > 0)
  t.equal(hub.logs().filter(({ level }) => Number(level) >= 50).length, 0, 'the hub logs no error')
})

await t.test('a copy has the events of the original and a new epoch', async (t) => {
  const root = t.testdir({})
  const hub = await startHub(t, { FANFARE_LOG: `file:${root}/live`, FANFARE_RETAIN_EVENTS: '3' })
  const log: Logged[] = []
  for (let n = 0; n < 6; n++) log.push({ ...(await publish(hub, 'a', { data: n }, bearer)), data: String(n) })
  const { stdout } = await runCommand(t, ['backup', `${root}/live`, `${root}/deep/copy`])
  const [epoch] = log[0]!.id.split('-')
  const [, own] = /epoch ([a-z0-9]{8})/.exec(stdout) ?? []
  t.ok(own !== undefined && own !== epoch, 'the command prints the new epoch')
  t.match(
    (await runCommand(t, ['inspect', `${root}/live`])).stdout,
    new RegExp(`^epoch +${epoch!}$`, 'm'),
    'the original keeps its epoch',
  )

  const copy = await openCopy(t, `${root}/deep/copy`, { FANFARE_RETAIN_EVENTS: '3' })
  const stream = await openLive(t, streamUrl(copy, ['a']), { token: bearer, lastEventId: log[3]!.id })
  t.match(JSON.parse(stream.all[1]!.data), { reason: 'epoch' }, 'a cursor of the original gets a gap')
  const expected = log.slice(3).map((event) => ({ ...event, id: event.id.replace(epoch!, own!) }))
  t.equal(difference(stream.events, due(expected, ['a'])), 'none', 'the retained events follow')
})

await t.test('named cursors of the original get a gap', async (t) => {
  const root = t.testdir({})
  const hub = await startHub(t, { FANFARE_LOG: `file:${root}/live` })
  const ada = token({ sub: 'ada', subscribe: ['**'] })
  const first = await openLive(t, streamUrl(hub, ['a'], { cursor: 'phone' }), { token: ada })
  await publish(hub, 'a', { data: 1 }, bearer)
  await first.count(1)
  await runCommand(t, ['backup', `${root}/live`, `${root}/copy`])
  const copy = await openCopy(t, `${root}/copy`)
  const stream = await openLive(t, streamUrl(copy, ['a'], { cursor: 'phone' }), { token: ada })
  t.match(await stream.told('gap'), { reason: 'epoch' })
})

await t.test('a copy needs an empty folder', async (t) => {
  const root = t.testdir({ full: { file: 'mine' }, file: 'mine', empty: {} })
  const live = `${root}/live`
  const hub = await startHub(t, { FANFARE_LOG: `file:${live}` })
  await publish(hub, 'a', { data: 1 }, bearer)
  for (const to of [`${root}/full`, `${root}/file`, live, `${root}/file/below`]) {
    const { code, signal, stderr } = await runCommand(t, ['backup', live, to])
    t.strictSame({ code, signal }, { code: 1, signal: null })
    t.ok(stderr.includes(to), stderr.split('\n', 1)[0] ?? '')
    t.notMatch(stderr, /^\s+at /m, 'stderr has no stack trace')
  }
  t.strictSame(readdirSync(`${root}/full`), ['file'])
  t.equal(readFileSync(`${root}/file`, 'utf8'), 'mine')
  const { code } = await runCommand(t, ['backup', live, `${root}/empty`])
  t.equal(code, 0, 'an empty folder is accepted')
  t.ok(statSync(`${root}/empty/data.mdb`).size > 0)
  const again = await runCommand(t, ['backup', live, `${root}/empty`])
  t.equal(again.code, 1, 'a full folder is refused')
  await publish(hub, 'a', { data: 2 }, bearer)
})

await t.test('a folder without a log is refused', async (t) => {
  const root = t.testdir({ empty: {}, other: { 'data.mdb': 'text' } })
  for (const folder of [`${root}/missing`, `${root}/empty`, `${root}/other`]) {
    const { code, stderr } = await runCommand(t, ['backup', folder, `${root}/to`])
    t.equal(code, 1)
    t.ok(stderr.includes(folder), stderr.split('\n', 1)[0] ?? '')
    t.notMatch(stderr, /^\s+at /m, 'stderr has no stack trace')
    t.notOk(existsSync(`${root}/to`), 'no folder is created')
  }
})

function openCopy(t: Test, folder: string, env: Record<string, string> = {}): Promise<Hub> {
  return startHub(t, { FANFARE_LOG: `file:${folder}`, FANFARE_RETAIN_EVENTS: '1000000', ...env })
}

async function readLog(hub: Hub): Promise<Logged[]> {
  const log: Logged[] = []
  for (let after: string | undefined, more = true; more;) {
    const url = streamUrl(hub, ['**'], { limit: '1000', ...(after === undefined ? {} : { after }) })
    const { body } = await request<History>(url, {
      headers: { accept: 'application/json', authorization: `Bearer ${bearer}` },
    })
    log.push(...body.events.map(({ id, topic, data }) => ({ id, topic, data: JSON.stringify(data) })))
    after = body.cursor
    more = body.more
  }
  return log
}
