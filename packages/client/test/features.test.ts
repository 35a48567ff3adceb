/** Iterables, slow handlers, snapshots, named cursors and presence. */
import t from 'tap'
import { connect, HubError, type HubEvent, type Present, type Receipt } from 'fanfare-client'
import { startHub } from '../../../test/helper/process.js'
import { revivingHub } from '../../../test/helper/reviving-hub.js'
import { poll } from '../../../test/helper/deadline.js'
import { anyGrants, clientOf, Collected, dataOf, States } from './hubs.js'
import { event, opening, scripted, STREAM } from './scripted.js'

await t.test('a loop reads every event at its own pace, and ends with the signal', async (t) => {
  const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '10000' })
  const client = clientOf(t, hub.url)
  const fast = new Collected<HubEvent>()
  client.subscribe('a', fast.add, { from: 'start' })
  const stopping = new AbortController()
  const iterator = client.events('a', { from: 'start', signal: stopping.signal })[Symbol.asyncIterator]()
  await client.publish('a', { data: 0 })
  t.match(await iterator.next(), { done: false, value: { data: 0 } })
  for (let batch = 0; batch < 5; batch++) {
    const events = Array.from({ length: 1_000 }, (_, n) => ({ topic: 'a', data: batch * 1_000 + n + 1 }))
    await client.request('POST', 'events', { body: { events } })
  }
  await fast.count(5_001)
  const found: unknown[] = [0]
  while (found.length < 5_001) found.push(((await iterator.next()).value as HubEvent).data)
  t.strictSame(
    found,
    Array.from({ length: 5_001 }, (_, n) => n),
    'a loop that was five thousand events behind has missed none',
  )
  t.strictSame(dataOf(fast.items), found, 'and has not held up the other subscription')
  const next = iterator.next()
  stopping.abort()
  t.match(await next, { done: true })
})

await t.test('a loop throws a final refusal, and ends when the client is closed', async (t) => {
  const hub = await startHub(t)
  const client = clientOf(t, hub.url, { token: anyGrants({ subscribe: ['a'] }) })
  await t.rejects(
    async () => {
      for await (const event of client.events('secret')) t.fail(event.topic)
    },
    { name: 'HubError', code: 'not-granted' },
  )
  const states = new States()
  client.on('state', states.add)
  const loop = client.events('a')[Symbol.asyncIterator]().next()
  await states.reach('live')
  client.close()
  t.match(await loop, { done: true })
})

await t.test('a handler that returns a promise gets one event at a time', async (t) => {
  const hub = await startHub(t)
  const client = clientOf(t, hub.url)
  for (let n = 0; n < 5; n++) await client.publish('a', { data: n })
  const steps = new Collected<string>()
  client.subscribe(
    'a',
    async ({ data }) => {
      steps.add(`begin ${String(data)}`)
      await new Promise((resolve) => setImmediate(resolve))
      steps.add(`end ${String(data)}`)
    },
    { from: 'start' },
  )
  await steps.count(10)
  t.strictSame(
    steps.items,
    [0, 1, 2, 3, 4].flatMap((n) => [`begin ${n}`, `end ${n}`]),
  )
})

await t.test('what a handler throws is told, and later events follow', async (t) => {
  const hub = await startHub(t)
  const client = clientOf(t, hub.url)
  const errors = new Collected<unknown>()
  const received = new Collected<unknown>()
  client.subscribe(
    'a',
    ({ data }) => {
      received.add(data)
      if (data === 1) throw new Error('one')
      return data === 2 ? Promise.reject(new Error('two')) : undefined
    },
    { from: 'start', onError: errors.add },
  )
  for (let n = 1; n < 4; n++) await client.publish('a', { data: n })
  t.strictSame(await received.count(3), [1, 2, 3])
  t.strictSame(
    errors.items.map((error) => (error as Error).message),
    ['one', 'two'],
  )
})

await t.test('events wait for the snapshot, and those that it has are left out', async (t) => {
  const hub = await startHub(t)
  const client = clientOf(t, hub.url)
  await client.publish('a', { data: 1 })
  const steps = new Collected<unknown>()
  let tries = 0
  client.subscribe('a', ({ data }) => steps.add(data), {
    onState: ({ status, reason }) => steps.add(`${status} ${reason ?? ''}`),
    async snapshot() {
      if (tries++ === 0) throw new Error('the application is not there')
      await client.publish('a', { data: 2 })
      const { id } = await client.publish('a', { data: 3 })
      await client.publish('a', { data: 4 })
      return id
    },
  })
  await steps.until((all) => all.includes(4))
  t.strictSame(
    steps.items.filter((step) => step !== 'connecting '),
    ['catching-up snapshot', 'waiting snapshot', 'live ', 4].filter((step) => steps.items.includes(step)),
  )
  t.equal(tries, 2)
})

await t.test('a snapshot from before the stream is completed from the log', async (t) => {
  const hub = await startHub(t)
  const client = clientOf(t, hub.url)
  const { id } = await client.publish('a', { data: 1 })
  await client.publish('a', { data: 2 })
  const received = new Collected<unknown>()
  client.subscribe('a', ({ data }) => received.add(data), { snapshot: () => id })
  t.strictSame(await received.count(1), [2])
  await client.publish('a', { data: 3 })
  t.strictSame(await received.count(2), [2, 3])
})

await t.test('a gap loads the snapshot before the events that follow', async (t) => {
  const reviving = await revivingHub(t, { FANFARE_LOG: 'memory' })
  const client = clientOf(t, reviving.url)
  const steps = new Collected<unknown>()
  const states = new States()
  client.subscribe('a', ({ data }) => steps.add(data), {
    onState: states.add,
    snapshot: async ({ gap }) => steps.add(gap?.reason ?? 'first'),
  })
  await states.reach('live')
  await client.publish('a', { data: 1 })
  await steps.count(2)
  await reviving.kill()
  await reviving.start()
  await client.publish('a', { data: 2 })
  t.strictSame(await steps.count(4), ['first', 1, 'epoch', 2])
})

await t.test('a named cursor continues after what was handled', async (t) => {
  const hub = await startHub(t)
  const first = clientOf(t, hub.url)
  const received = new Collected<unknown>()
  const errors = new Collected<unknown>()
  const states = new States()
  const handle = async ({ data }: HubEvent): Promise<void> => {
    await Promise.resolve()
    if (data === 3) throw new Error('three')
    received.add(data)
  }
  first.subscribe('a', handle, { cursor: 'work', onError: errors.add, onState: states.add })
  await states.reach('live')
  t.throws(() => first.subscribe('a', handle, { cursor: 'work' }), TypeError, 'one subscription for a cursor')
  const receipts: Receipt[] = []
  for (let n = 1; n < 6; n++) receipts.push(await first.publish('a', { data: n }))
  await errors.count(1)
  t.strictSame(received.items, [1, 2], 'nothing after the failure is handled')
  await poll(
    async () => {
      const { id } = await first.request<{ id: string }>('GET', 'cursors/work')
      return id === receipts[1]!.id ? true : undefined
    },
    () => 'the second event is not acknowledged',
  )
  const again = new Collected<unknown>()
  clientOf(t, hub.url).subscribe('a', ({ data }) => again.add(data), { cursor: 'work', acknowledge: 'manual' })
  t.strictSame(await again.count(3), [3, 4, 5])
  await first.acknowledge('work', receipts[4]!.id!)
  await first.publish('a', { data: 6 })
  const last = new Collected<unknown>()
  clientOf(t, hub.url).subscribe('a', ({ data }) => last.add(data), { cursor: 'work' })
  t.strictSame(await last.count(1), [6])
})

await t.test('an acknowledgement that failed in an outage is sent once the stream is open again', async (t) => {
  const reviving = await revivingHub(t, { FANFARE_LOG: `file:${t.testdir()}` })
  let isDown = false
  const failed = new Collected<TypeError>()
  const options = {
    token: anyGrants(),
    maxWait: 0,
    async fetch(...[input, init]: Parameters<typeof fetch>) {
      if (isDown && init?.method === 'PUT') {
        const error = new TypeError('there is no network')
        failed.add(error)
        if (failed.items.length === 8) options.maxWait = Infinity // the next attempt would be a minute later
        throw error
      }
      await reviving.listening()
      return fetch(input, init)
    },
  }
  const client = connect(reviving.url, options)
  t.teardown(() => client.close())
  const states = new States()
  const begun = new Collected<unknown>()
  let release: () => void = () => undefined
  const released = new Promise<void>((resolve) => (release = resolve))
  const handle = ({ data }: HubEvent): Promise<void> => {
    begun.add(data)
    return released
  }
  client.subscribe('a', handle, { cursor: 'work', onState: states.add })
  await states.reach('live')
  const { id } = await client.publish('a', { data: 1 })
  await begun.count(1)
  isDown = true
  await reviving.kill()
  await states.until((all) => all.at(-1)?.status !== 'live')
  release()
  await failed.count(8)
  isDown = false
  await reviving.start()
  await poll(
    async () => (await client.request<{ id: string }>('GET', 'cursors/work')).id === id || undefined,
    () => 'the handled event is not acknowledged',
  )
  await client.publish('a', { data: 2 })
  const reloaded = new Collected<unknown>()
  const later = clientOf(t, reviving.url)
  later.subscribe('a', ({ data }) => reloaded.add(data), { cursor: 'work', acknowledge: 'manual' })
  t.equal((await reloaded.count(1))[0], 2, 'a reload does not get the handled event again')
})

await t.test('presence is a list that follows joins, leaves and reconnects', async (t) => {
  const reviving = await revivingHub(t, { FANFARE_LOG: 'memory', FANFARE_PRESENCE_GRACE: '10ms' })
  const ann = clientOf(t, reviving.url)
  const lists = new Collected<string>()
  const subjects = (list: readonly Present[]): string => list.map(({ subject }) => subject).join()
  ann.presence('rooms.1', (list) => lists.add(subjects(list)))
  await lists.until((all) => all.at(-1) === 'ann')
  const bob = connect(reviving.url, { token: anyGrants({ sub: 'bob', info: { name: 'Bob' } }), maxWait: 100 })
  t.teardown(() => bob.close())
  const stop = bob.subscribe('rooms.1', () => undefined)
  await lists.until((all) => all.at(-1) === 'ann,bob')
  t.match(await ann.presence('rooms.1'), [{ subject: 'ann' }, { subject: 'bob', info: { name: 'Bob' } }])
  stop()
  await lists.until((all) => all.at(-1) === 'ann')
  await reviving.kill()
  await reviving.start()
  bob.subscribe('rooms.1', () => undefined)
  await lists.until((all) => all.at(-1) === 'ann,bob' || all.at(-1) === 'bob,ann')
})

await t.test('a busy hub is given its time, and a cut stream is resumed from the last id', async (t) => {
  const begun = performance.now()
  const url = await scripted(t, [
    (response) =>
      response.writeHead(200, STREAM).end('retry: 300\nevent: fanfare.close\ndata: {"reason":"busy","retry":300}\n\n'),
    (response) => response.writeHead(503, { 'retry-after': '1' }).end('{"code":"draining"}'),
    (response) => response.writeHead(200, STREAM).end(`retry: 50\n${opening(['a'])}${event(1, 'a')}`),
    (response) => {
      t.match(response.req.url, /lastEventId=abcdefgh-1\b/)
      response.writeHead(200, STREAM).write(`${opening(['a'])}${event(1, 'a')}${event(2, 'a')}`)
    },
  ])
  const states = new States()
  const received = new Collected<HubEvent>()
  clientOf(t, url).subscribe('a', received.add, { onState: states.add })
  await states.reach('waiting', 'busy')
  await states.reach('waiting', 'draining')
  t.strictSame(dataOf(await received.count(2)), [1, 2])
  t.ok(performance.now() - begun >= 1_290, 'the waits that the hub asks for are kept')
})

await t.test('what is not a hub is told', async (t) => {
  const url = await scripted(t, [(response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')])
  const errors = new Collected<unknown>()
  clientOf(t, url).subscribe('a', () => undefined, { onError: errors.add })
  const [error] = await errors.count(1)
  t.ok(error instanceof HubError)
  t.match(error, { code: 'not-a-hub' })
})

await t.test('publishing is repeated until the hub answers, and the event is stored once', async (t) => {
  const hub = await startHub(t)
  let calls = 0
  const client = clientOf(t, hub.url, {
    async fetch(input, init) {
      const response = await fetch(input, init)
      if (init?.method === 'POST' && ++calls < 3) throw new TypeError('the answer is lost')
      return response
    },
  })
  t.match(await client.publish('a', { data: 1 }), { duplicate: true })
  const { events } = await client.request<{ events: HubEvent[] }>('GET', 'topics/a/events?last=10')
  t.strictSame(dataOf(events), [1])
  await hub.kill()
  await t.rejects(client.publish('a', { data: 2 }, { timeout: 200 }), { code: 'unreachable', status: 0 })
  await t.rejects(client.publish('a', { data: 3 }, { signal: AbortSignal.abort() }), { name: 'AbortError' })
})
