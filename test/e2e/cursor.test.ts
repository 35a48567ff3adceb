/** Named cursors: a stream continues after the last event that its subject has acknowledged under a name. */
import t, { type Test } from 'tap'
import { poll } from '../helper/deadline.js'
import { publish, publishBatch, request, send } from '../helper/http.js'
import { difference, due, sequence, type Logged } from '../helper/oracle.js'
import { checkProblem } from '../helper/problem.js'
import { startHub, type Hub } from '../helper/process.js'
import { openStream, streamUrl, type EventStream } from '../helper/stream.js'
import { token } from '../helper/token.js'

const ada = token({ sub: 'ada', subscribe: ['**'], publish: ['**'] })
const grace = token({ sub: 'grace', subscribe: ['**'] })

/** A topic and its published events. */
interface Inbox {
  readonly log: Logged[]
  readonly publish: (hub: Hub, count: number) => Promise<void>
}

function inbox(topic = 'inbox.ada'): Inbox {
  const log: Logged[] = []
  return {
    log,
    publish: async (hub, count) => {
      for (let n = 0; n < count; n++) {
        const data = log.length
        log.push({ ...(await publish(hub, topic, { data }, ada)), data: String(data) })
      }
    },
  }
}

function open(
  t: Test,
  hub: Hub,
  name: string,
  bearer = ada,
  query: Record<string, string> = {},
  lastEventId?: string,
): Promise<EventStream> {
  return openStream(t, streamUrl(hub, ['inbox.ada'], { cursor: name, ...query }), {
    token: bearer,
    ...(lastEventId === undefined ? {} : { lastEventId }),
  })
}

/** Disconnects, and waits until the hub has noticed. */
async function leave(hub: Hub, ...streams: EventStream[]): Promise<void> {
  const clients = async (): Promise<number> => (await request<{ clients: number }>(`${hub.url}/status`)).body.clients
  const before = await clients()
  for (const stream of streams) stream.destroy()
  await poll(
    async () => ((await clients()) <= before - streams.length ? true : undefined),
    () => 'the hub still counts the stream of a disconnected client',
  )
}

/** Reads up to the newest event. Returns the numbers of the events. */
async function readToEnd(stream: EventStream, log: readonly Logged[]): Promise<number[]> {
  await stream.until(() => stream.lastId !== undefined && sequence(stream.lastId) >= sequence(log.at(-1)!.id))
  return stream.events.map(({ data }) => Number(data))
}

/** Acknowledges an id under a name. */
async function acknowledge(hub: Hub, name: string, id: string, bearer = ada): Promise<void> {
  const { status, body } = await send<{ id: string }>(hub, 'PUT', `/cursors/${name}`, { token: bearer, body: { id } })
  if (status !== 200 || body.id !== id) throw new Error(`${id} was not acknowledged: ${status} ${JSON.stringify(body)}`)
}

/** Waits until a named cursor has reached a cursor. */
async function untilAt(hub: Hub, name: string, id: string): Promise<void> {
  await poll(
    async () =>
      (await send<{ id: string }>(hub, 'GET', `/cursors/${name}`, { token: ada })).body.id === id ? true : undefined,
    () => `the cursor ${name} does not reach ${id}`,
  )
}

/** A busy machine needs more time than the default time-out. */
t.setTimeout(300_000)

/** The tests mostly wait for the hub, so they run concurrently. */
t.jobs = 4
const tests: Promise<unknown>[] = []

tests.push(
  t.test('the first stream of a named cursor starts at the head', async (t) => {
    const hub = await startHub(t)
    const { log, publish } = inbox()
    await publish(hub, 3)
    const stream = await open(t, hub, 'phone')
    await stream.told('open')
    t.equal(stream.ids[0]?.id, log[2]!.id)
    await publish(hub, 2)
    await stream.count(2)
    t.equal(difference(stream.events, due(log.slice(3), ['inbox.ada'])), 'none')
  }),
)

for (const where of ['memory', 'file']) {
  tests.push(
    t.test(
      `(${where}) another stream continues after the acknowledged event, not after the last sent one`,
      async (t) => {
        const hub = await startHub(t, { FANFARE_LOG: where === 'file' ? `file:${t.testdir({})}` : where })
        const { log, publish } = inbox()
        const first = await open(t, hub, 'phone')
        await first.told('open')
        await publish(hub, 5)
        await first.count(5)
        await acknowledge(hub, 'phone', log[2]!.id)
        await leave(hub, first)
        await publish(hub, 2)
        const second = await open(t, hub, 'phone')
        t.strictSame(await readToEnd(second, log), [3, 4, 5, 6])
        t.strictSame(
          second.all.filter(({ type }) => type === 'fanfare.gap'),
          [],
        )
      },
    ),
  )
}

tests.push(
  t.test('events before the first acknowledgement are not lost', async (t) => {
    const hub = await startHub(t, { FANFARE_LOG: `file:${t.testdir({})}` })
    const { log, publish } = inbox()
    await publish(hub, 2)
    const first = await open(t, hub, 'phone')
    await first.told('open')
    await leave(hub, first)
    await publish(hub, 3)
    for (let round = 0; round < 2; round++) {
      const again = await open(t, hub, 'phone')
      t.strictSame(await readToEnd(again, log), [2, 3, 4], 'also on a second reconnect')
      await leave(hub, again)
    }
  }),
)

tests.push(
  t.test('replay=all with a new cursor stores it before the oldest retained event', async (t) => {
    const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '3' })
    const { log, publish } = inbox()
    await publish(hub, 10)
    for (let round = 0; round < 2; round++) {
      const stream = await open(t, hub, 'phone', ada, { replay: 'all' })
      t.strictSame(await readToEnd(stream, log), [7, 8, 9])
      t.strictSame(
        stream.all.filter(({ type }) => type === 'fanfare.gap'),
        [],
        'earlier trimmed events are not a gap',
      )
      await leave(hub, stream)
    }
  }),
)

tests.push(
  t.test('a reconnect that names the cursor acknowledges its last event id', async (t) => {
    const hub = await startHub(t)
    const { log, publish } = inbox()
    const first = await open(t, hub, 'phone')
    await first.told('open')
    await publish(hub, 4)
    const byHeader = await open(t, hub, 'phone', ada, {}, log[1]!.id)
    await untilAt(hub, 'phone', log[1]!.id)
    const byQuery = await open(t, hub, 'phone', ada, { lastEventId: log[2]!.id })
    await untilAt(hub, 'phone', log[2]!.id)
    const older = await open(t, hub, 'phone', ada, {}, log[0]!.id)
    for (const lastEventId of ['zzzzzzzz-4', `${log[0]!.id.split('-')[0]}-99`, 'x'])
      (await open(t, hub, 'phone', ada, {}, lastEventId)).destroy()
    t.strictSame(await readToEnd(older, log), [1, 2, 3], "the stream continues after the client's last event id")
    await leave(hub, first, byHeader, byQuery, older)
    const again = await open(t, hub, 'phone')
    t.strictSame(await readToEnd(again, log), [3], 'the named cursor does not move backwards')
  }),
)

tests.push(
  t.test('a named cursor survives a restart', async (t) => {
    const settings = { FANFARE_LOG: `file:${t.testdir({})}`, FANFARE_DRAIN: '100ms' }
    const { log, publish } = inbox()
    const before = await startHub(t, settings)
    const first = await open(t, before, 'phone')
    await first.told('open')
    await publish(before, 4)
    await first.count(4)
    await acknowledge(before, 'phone', log[1]!.id)
    t.equal(await before.stop(), 0)
    const hub = await startHub(t, settings)
    await publish(hub, 3)
    const second = await open(t, hub, 'phone')
    t.strictSame(await readToEnd(second, log), [2, 3, 4, 5, 6])
  }),
)

tests.push(
  t.test('after a kill the stream gets every event that was not acknowledged', async (t) => {
    const settings = { FANFARE_LOG: `file:${t.testdir({})}` }
    const { log, publish } = inbox()
    let acknowledged = 0
    for (let round = 0; round < 4; round++) {
      const hub = await startHub(t, settings)
      const stream = await open(t, hub, 'phone')
      await stream.told('open')
      await publish(hub, 5)
      t.strictSame(await readToEnd(stream, log), log.map((_, n) => n).slice(acknowledged), `round ${round}`)
      acknowledged += round * 2
      if (round > 0) await acknowledge(hub, 'phone', log[acknowledged - 1]!.id)
      await hub.kill()
    }
  }),
)

tests.push(
  t.test('cursors of other subjects and names are independent', async (t) => {
    const hub = await startHub(t)
    const { log, publish } = inbox()
    const first = await open(t, hub, 'phone')
    await first.told('open')
    await publish(hub, 3)
    await acknowledge(hub, 'phone', log[2]!.id)
    await leave(hub, first)
    await publish(hub, 2)
    for (const [what, name, bearer] of [
      ['another name', 'laptop', ada],
      ['a name that differs in case', 'Phone', ada],
      ['another subject', 'phone', grace],
    ] as const) {
      const stream = await open(t, hub, name, bearer)
      await stream.told('open')
      t.equal(stream.ids[0]?.id, log.at(-1)!.id, `${what} starts at the head`)
    }
    const again = await open(t, hub, 'phone')
    t.strictSame(await readToEnd(again, log), [3, 4], 'the first cursor continues')
  }),
)

tests.push(
  t.test('subjects with any characters have separate cursors', async (t) => {
    const hub = await startHub(t, { FANFARE_LOG: `file:${t.testdir({})}` })
    const { log, publish } = inbox()
    await publish(hub, 1)
    const subjects = [
      'a',
      'a/phone',
      'a%2Fphone',
      'ä',
      'a b',
      '../a',
      '\u0000',
      '𝄞',
      '\ud800',
      'x'.repeat(256),
      'é'.repeat(256),
      '中'.repeat(256),
      '𝄞'.repeat(128),
      '𝄞'.repeat(256),
    ]
    for (const sub of subjects) {
      const name = `${JSON.stringify(sub.slice(0, 20))} of ${sub.length}`
      const url = streamUrl(hub, ['inbox.ada'], { cursor: 'phone' })
      const headers = { authorization: `Bearer ${token({ sub, subscribe: ['**'] })}` }
      const answer = await fetch(url, { headers })
      const head = log.at(-1)!.id
      const reading = answer.body?.getReader()
      await reading?.read()
      await publish(hub, 1)
      t.equal((await request(`${hub.url}/health/ready`)).status, 200, 'the hub is ready')
      await reading?.cancel()
      if (answer.status === 200) {
        t.equal(answer.headers.get('last-event-id'), head, `${name} starts at the head`)
        t.equal((await fetch(url, { method: 'HEAD', headers })).headers.get('last-event-id'), head, `${name} continues`)
      } else t.ok([400, 401].includes(answer.status), `${name} is refused: ${answer.status}`)
    }
  }),
)

tests.push(
  t.test('a last event id takes precedence', async (t) => {
    const hub = await startHub(t)
    const { log, publish } = inbox()
    await publish(hub, 2)
    const first = await open(t, hub, 'phone')
    await first.told('open')
    await publish(hub, 3)
    await acknowledge(hub, 'phone', log[4]!.id)
    await leave(hub, first)
    const byHeader = await open(t, hub, 'phone', ada, {}, log[0]!.id)
    t.strictSame(await readToEnd(byHeader, log), [1, 2, 3, 4])
    const byQuery = await open(t, hub, 'phone', ada, { lastEventId: log[2]!.id })
    t.strictSame(await readToEnd(byQuery, log), [3, 4])
    await leave(hub, byHeader, byQuery)
    const known = await open(t, hub, 'phone', ada, { replay: 'all' })
    await known.told('open')
    t.equal(known.ids[0]!.id, log[4]!.id, 'an existing named cursor takes precedence over replay')
  }),
)

tests.push(
  t.test('events that were trimmed since the last stream are a gap', async (t) => {
    const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '3', FANFARE_LOG: `file:${t.testdir({})}` })
    const { log, publish } = inbox()
    const first = await open(t, hub, 'phone')
    await first.told('open')
    await publish(hub, 2)
    await acknowledge(hub, 'phone', log[1]!.id)
    await leave(hub, first)
    await publish(hub, 10)
    const second = await open(t, hub, 'phone')
    t.match(await second.told('gap'), { reason: 'expired', after: log[1]!.id })
    t.strictSame((await readToEnd(second, log)).slice(-3), [9, 10, 11])
  }),
)

tests.push(
  t.test('invalid requests are refused', async (t) => {
    const hub = await startHub(t)
    const get = (name: string, bearer: string) =>
      request(streamUrl(hub, ['inbox.ada'], { cursor: name }), {
        headers: { accept: 'text/event-stream', authorization: `Bearer ${bearer}` },
      })
    const problem = checkProblem(t, await get('phone', token({ subscribe: ['**'] })), 400, 'a token without a subject')
    t.match(problem.detail, /sub/)
    for (const name of ['', 'a b', 'a.b', 'a/b', 'ä', 'x'.repeat(65), 'a\n', '*'])
      checkProblem(t, await get(name, ada), 400, `the name ${JSON.stringify(name)}`)
    const twice = await request(`${streamUrl(hub, ['inbox.ada'])}?cursor=a&cursor=b`, {
      headers: { accept: 'text/event-stream', authorization: `Bearer ${ada}` },
    })
    checkProblem(t, twice, 400, 'two names')
    for (const name of ['a', 'x'.repeat(64), 'A-Za_z-09']) {
      const stream = await open(t, hub, name)
      t.equal(stream.status, 200, name)
      stream.destroy()
    }
  }),
)

tests.push(
  t.test('an anonymous subscriber has no cursor', async (t) => {
    const hub = await startHub(t, { FANFARE_ANONYMOUS_SUBSCRIBE: 'inbox.ada' })
    const answer = await request(streamUrl(hub, ['inbox.ada'], { cursor: 'phone' }), {
      headers: { accept: 'text/event-stream' },
    })
    checkProblem(t, answer, 400, 'without a token')
  }),
)

tests.push(
  t.test('a named cursor applies to all topics of its stream', async (t) => {
    const hub = await startHub(t)
    const url = streamUrl(hub, ['news.*', 'inbox.ada'], { cursor: 'all' })
    const first = await openStream(t, url, { token: ada })
    await first.told('open')
    const batch = (name: string) =>
      publishBatch(
        hub,
        ['news.1', 'inbox.ada', 'elsewhere', 'news.2'].map((topic) => ({ topic, data: name })),
        ada,
      )
    const read = await batch('one')
    await first.count(3)
    await acknowledge(hub, 'all', read.at(-1)!.id)
    await leave(hub, first)
    const published = await batch('two')
    const second = await openStream(t, url, { token: ada })
    await second.until(() => second.lastId === published.at(-1)!.id)
    t.strictSame(
      second.events.map(({ topic, data }) => [topic, data]),
      [
        ['news.1', '"two"'],
        ['inbox.ada', '"two"'],
        ['news.2', '"two"'],
      ],
    )
  }),
)

await Promise.all(tests)
