/** `fanfare restore`: puts a copy of a log in the place of a log. */
import { copyFileSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { runCommand } from '../helper/command.js'
import { history, post, publish, type Published } from '../helper/http.js'
import { startHub } from '../helper/process.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

const bearer = anyTopic()

await t.test('a restored log has the events of the copy, and a new epoch', async (t) => {
  const root = t.testdir({})
  const env = { FANFARE_LOG: `file:${root}/live` }
  const hub = await startHub(t, env)
  const first = await publish(hub, 'a', { data: 1, id: 'one' }, bearer)
  t.equal((await runCommand(t, ['backup', `${root}/live`, `${root}/copy`])).code, 0)
  const lost = await publish(hub, 'a', { data: 2 }, bearer)
  t.equal(await hub.stop(), 0)

  const { code, stdout, stderr } = await runCommand(t, ['restore', '--replace', `${root}/copy`, `${root}/live`])
  t.strictSame({ code, stderr }, { code: 0, stderr: '' })
  t.match(stdout, /was restored to .*live \(epoch [a-z0-9]{8}\)\.\nThe old log is .*replaced-1\.mdb/)
  t.notOk(
    readdirSync(`${root}/live`).some((name) => name.startsWith('restore-')),
    'nothing else is left',
  )
  const restored = await startHub(t, env)
  const { events } = (await history(restored, 'a', 'last=10', bearer)).body
  t.strictSame(
    events.map(({ data }) => data),
    [1],
  )
  const again = await post<Published>(`${restored.url}/topics/a/events`, { data: 1, id: 'one' }, bearer)
  t.equal(again.body.duplicate, true, 'publisher ids are restored')
  for (const { id } of [first, lost]) {
    const stream = await openLive(t, streamUrl(restored, ['a']), { token: bearer, lastEventId: id })
    t.match(JSON.parse(stream.all[1]!.data), { reason: 'epoch' }, 'cursors of the old log get a gap')
  }

  t.equal(await restored.stop(), 0)
  const third = await runCommand(t, ['restore', '--replace', `${root}/copy`, `${root}/live`])
  t.match(third.stdout, /replaced-2\.mdb/, 'the copy can be restored again, and no old log is overwritten')
  t.not(/epoch (\w+)/.exec(third.stdout)?.[1], /epoch (\w+)/.exec(stdout)?.[1], 'each time with a new epoch')
})

await t.test('a copy is restored to a new folder', async (t) => {
  const root = t.testdir({})
  const hub = await startHub(t, { FANFARE_LOG: `file:${root}/live` })
  await publish(hub, 'a', { data: 1 }, bearer)
  await runCommand(t, ['backup', `${root}/live`, `${root}/copy`])
  t.equal((await runCommand(t, ['restore', `${root}/copy`, `${root}/deep/new`])).code, 0)
  const restored = await startHub(t, { FANFARE_LOG: `file:${root}/deep/new` })
  t.equal((await history(restored, 'a', 'last=10', bearer)).body.events.length, 1)
})

await t.test('a raw copy of the folder keeps its epoch, and gets a new one when it is restored', async (t) => {
  const root = t.testdir({ raw: {} })
  const hub = await startHub(t, { FANFARE_LOG: `file:${root}/live` })
  await publish(hub, 'a', { data: 1 }, bearer)
  await hub.stop()
  copyFileSync(`${root}/live/data.mdb`, `${root}/raw/data.mdb`)
  const later = await startHub(t, { FANFARE_LOG: `file:${root}/live` })
  const { id: lost } = await publish(later, 'a', { data: 2 }, bearer)

  t.equal((await runCommand(t, ['restore', `${root}/raw`, `${root}/restored`])).code, 0)
  for (const { folder, reason } of [
    { folder: 'raw', reason: 'future' },
    { folder: 'restored', reason: 'epoch' },
  ]) {
    const copy = await startHub(t, { FANFARE_LOG: `file:${root}/${folder}` })
    const stream = await openLive(t, streamUrl(copy, ['a']), { token: bearer, lastEventId: lost })
    t.match(JSON.parse(stream.all[1]!.data), { reason }, folder)
    t.equal(stream.events.length, 1, 'the retained event follows the gap')
  }
})

await t.test('a folder in use, a folder with a log and a copy without one are refused', async (t) => {
  const root = t.testdir({ empty: {}, other: { 'data.mdb': 'text' }, file: 'mine' })
  const hub = await startHub(t, { FANFARE_LOG: `file:${root}/live` })
  await publish(hub, 'a', { data: 1 }, bearer)
  await runCommand(t, ['backup', `${root}/live`, `${root}/copy`])
  const refusals: [args: string[], reason: RegExp][] = [
    [[`${root}/copy`, `${root}/live`], /has a log already.*--replace/],
    [['--replace', `${root}/copy`, `${root}/live`], new RegExp(`in use by another process \\(pid ${hub.pid}\\)`)],
    [[`${root}/empty`, `${root}/new`], /There is no log in .*empty/],
    [[`${root}/other`, `${root}/new`], /is no log, or is damaged/],
    [[`${root}/copy`, `${root}/file/below`], /cannot be used for the log/],
  ]
  for (const [args, reason] of refusals) {
    const { code, stderr } = await runCommand(t, ['restore', ...args])
    t.equal(code, 1, args.join(' '))
    t.match(stderr, reason)
    t.notMatch(stderr, /^\s+at /m, 'stderr has no stack trace')
  }
  t.notOk(existsSync(`${root}/new/data.mdb`))
  await publish(hub, 'a', { data: 2 }, bearer)
  t.equal((await history(hub, 'a', 'last=10', bearer)).body.events.length, 2, 'the hub goes on')
})

await t.test('a copy that cannot be read leaves the old log as it is', async (t) => {
  const root = t.testdir({ copy: {} })
  const hub = await startHub(t, { FANFARE_LOG: `file:${root}/live` })
  await publish(hub, 'a', { data: 1 }, bearer)
  await hub.stop()
  writeFileSync(`${root}/copy/data.mdb`, 'text')
  t.equal((await runCommand(t, ['restore', '--replace', `${root}/copy`, `${root}/live`])).code, 1)
  const again = await startHub(t, { FANFARE_LOG: `file:${root}/live` })
  t.equal((await history(again, 'a', 'last=10', bearer)).body.events.length, 1)
})
