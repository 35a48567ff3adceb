/** `fanfare/publisher`: a process that only publishes, beside hubs on the same folder. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { poll, within } from '../helper/deadline.js'
import { post, request, send, type History } from '../helper/http.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, openStream, streamUrl } from '../helper/stream.js'
import { anyTopic, token } from '../helper/token.js'

const MODULE = new URL('../../dist/publisher.js', import.meta.url).href
const bearer = anyTopic()
const admin = token({ sub: 'root', subscribe: ['**'], publish: ['**'], admin: true })

t.setTimeout(120_000)

/** Calls the publisher for each message, and answers with the result or the error. */
const PROGRAM = `
import { openPublisher } from '${MODULE}'
const [log, options] = JSON.parse(process.argv[2])
const publisher = await openPublisher(log, options)
process.on('message', async ([call, ...args]) => {
  try {
    process.send({ result: await publisher[call](...args) })
  } catch (err) {
    process.send({ error: { name: err.name, code: err.code, message: err.message, index: err.index } })
  }
  if (call === 'close') process.disconnect()
})
process.send({ result: 'open' })
`

interface Result {
  result?: unknown
  error?: { name: string; code?: string; message: string; index?: number }
}

/** A publisher in a process of its own. */
interface PublisherProcess {
  child: ChildProcess
  call(name: 'publish' | 'publishAll' | 'close', ...args: unknown[]): Promise<Result>
}

/** Creates a folder for a log and for the program. */
const makeFolder = (t: Test): string => t.testdir({ 'program.mjs': PROGRAM })

async function startPublisher(t: Test, folder: string, options: object = {}): Promise<PublisherProcess> {
  const child = fork(`${folder}/program.mjs`, [JSON.stringify([`file:${folder}/log`, options])], {
    execArgv: [],
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const answer = async (): Promise<Result> => {
    const [result] = (await within(once(child, 'message'), () => 'the publisher does not answer')) as [Result]
    return result
  }
  t.strictSame(await answer(), { result: 'open' })
  return {
    child,
    call(name, ...args) {
      child.send([name, ...args])
      return answer()
    },
  }
}

const nodesOf = async (hub: Hub) => (await send<{ leader: boolean }[]>(hub, 'GET', '/nodes', { token: admin })).body

await t.test('a process publishes beside a running hub', async (t) => {
  const folder = makeFolder(t)
  const hub = await startHub(t, { FANFARE_LOG: `file:${folder}/log` })
  const stream = await openLive(t, streamUrl(hub, ['a']), { token: bearer })
  const publisher = await startPublisher(t, folder, { maxEventSize: 100 })
  t.strictSame(
    (await nodesOf(hub)).map(({ leader }) => leader).toSorted(),
    [false, true],
    'it is a node beside the leader',
  )

  const { result } = await publisher.call('publish', 'a', { data: { n: 1 }, id: 'x' })
  await stream.count(1)
  const event = stream.events[0]!
  t.strictSame(result, { id: event.id, topic: 'a', duplicate: false })
  t.equal(event.data, '{"n":1}')
  t.strictSame(await publisher.call('publish', 'a', { data: { n: 1 }, id: 'x' }), {
    result: { id: event.id, topic: 'a', duplicate: true },
  })
  const batch = await publisher.call('publishAll', [
    { topic: 'a', text: '2' },
    { topic: 'a', text: '3', ephemeral: true },
    { topic: 'b', text: '4' },
  ])
  await stream.count(3)
  t.strictSame(
    stream.events.map(({ data }) => data),
    ['{"n":1}', '2', '3'],
    'an ephemeral event reaches the streams of the hub',
  )
  t.match(batch.result, [{ topic: 'a' }, { id: null }, { topic: 'b' }])

  t.match(await publisher.call('publish', 'a b', { data: 1 }), { error: { name: 'HubError', code: 'invalid-topic' } })
  t.match(await publisher.call('publish', 'fanfare.stats', { data: 1 }), { error: { code: 'reserved-topic' } })
  t.match(await publisher.call('publish', 'a', { date: 1 }), { error: { code: 'invalid-event' } })
  t.match(await publisher.call('publish', 'a', { text: 'x'.repeat(101) }), { error: { code: 'event-too-large' } })
  t.match(
    await publisher.call('publishAll', [
      { topic: 'a', data: 1 },
      { topic: 'a', text: 1 },
    ]),
    { error: { code: 'invalid-event', index: 1 } },
  )

  t.strictSame(await publisher.call('close'), {})
  const [code] = (await within(once(publisher.child, 'exit'), () => 'the process does not exit')) as [number]
  t.equal(code, 0, 'a closed publisher lets its process end')
  await poll(
    async () => ((await nodesOf(hub)).length === 1 ? true : undefined),
    () => 'the publisher is still a node',
  )
})

await t.test('without a hub the publisher writes and trims the log, and a hub takes over from it', async (t) => {
  const folder = makeFolder(t)
  const publisher = await startPublisher(t, folder, { retainEvents: 5 })
  for (let n = 0; n < 100; n++) await publisher.call('publish', 'a', { data: n })
  const { result } = (await publisher.call('publish', 'a', { data: 'last' })) as { result: { id: string } }

  const hub = await startHub(t, { FANFARE_LOG: `file:${folder}/log`, FANFARE_RETAIN_EVENTS: '5' })
  t.equal(hub.logs().find(({ role }) => role !== undefined)?.['role'], 'replica')
  const history = await poll(
    async () => {
      const { body } = await request<History>(streamUrl(hub, ['a'], { limit: '100' }), {
        headers: { authorization: `Bearer ${bearer}`, accept: 'application/json' },
      })
      return body.events.length <= 55 ? body : undefined
    },
    () => 'the log is not trimmed',
  )
  t.equal(history.events.at(-1)?.id, result.id)
  const stream = await openStream(t, streamUrl(hub, ['a']), { token: bearer, lastEventId: result.id })
  publisher.child.kill('SIGKILL')
  await poll(
    async () =>
      (await post(`${hub.url}/topics/a/events`, { data: 'next' }, bearer)).status === 201 ? true : undefined,
    () => hub.output(),
  )
  await stream.count(1)
  t.equal(stream.events[0]!.data, '"next"')
  t.equal(hub.logs().findLast(({ role }) => role !== undefined)?.['role'], 'leader')
})

await t.test('wrong arguments are refused', async (t) => {
  const { openPublisher } = await import('../../src/publisher.js')
  const log = `file:${t.testdir({ file: '' })}` as const
  for (const wrong of ['memory', './data', 'file:', undefined] as never[])
    await t.rejects(openPublisher(wrong), {
      name: 'SettingsError',
      message: /^A publisher needs the folder of a log \(file:<folder>\), which it shares with the hub, and not /,
    })
  await t.rejects(openPublisher(`${log}/log`, { retainEvent: 1 } as never), {
    name: 'SettingsError',
    message: 'The option retainEvent is unknown; did you mean retainEvents?',
  })
  await t.rejects(openPublisher(`${log}/file`), { name: 'StoreError', message: /cannot be used for the log/ })
  const publisher = await openPublisher(`${log}/log`)
  await publisher.close()
  await t.rejects(publisher.publish('a', { data: 1 }), { code: 'hub-closed' })
})
