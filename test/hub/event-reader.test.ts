/** The events that the application's own code reads from a hub. */
import t, { type Test } from 'tap'
import type { EventGap, EventsOptions, HubEvent } from '../../src/hub/event-reader.js'
import type { Hub } from '../../src/hub/hub.js'
import { settle, until } from './fake-sink.js'
import { openHub } from './open-hub.js'

type Items = AsyncIterableIterator<HubEvent | EventGap>

/** Takes `count` items. */
async function take(items: Items, count: number): Promise<(HubEvent | EventGap)[]> {
  const taken: (HubEvent | EventGap)[] = []
  while (taken.length < count) {
    const next: IteratorResult<HubEvent | EventGap, undefined> = await items.next()
    if (next.done) break
    taken.push(next.value)
  }
  return taken
}

async function takeData(items: Items, count: number): Promise<unknown[]> {
  return (await take(items, count)).map((item) => (item.gap ? item.gap.reason : (item.data ?? item.text)))
}

async function publish(hub: Hub, topic: string, ...data: unknown[]): Promise<string[]> {
  return (await hub.publishAll(data.map((data) => ({ topic, data })))).map(({ id }) => id!)
}

/** Checks that no item comes for some turns of the event loop. Returns the pending item. */
async function waits(t: Test, items: Items): Promise<{ next: Promise<IteratorResult<HubEvent | EventGap>> }> {
  let isSettled = false
  const next = items.next().finally(() => (isSettled = true))
  await settle()
  t.equal(isSettled, false, 'the iterator waits')
  return { next } // in an object, because `await` would wait for a returned promise
}

await t.test('an event has the members of an event in history', async (t) => {
  const { hub } = await openHub(t)
  const { id } = await hub.publish('a', { type: 'created', data: { total: 12 } })
  await hub.publish('b.c', { text: 'two\nlines' })
  const [first, second] = (await take(hub.events(['a', 'b.*'], { from: 'start' }), 2)) as HubEvent[]
  t.strictSame(first, { id, topic: 'a', type: 'created', time: first!.time, data: { total: 12 } })
  t.match(first!.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  t.strictSame(second, { id: second!.id, topic: 'b.c', time: second!.time, text: 'two\nlines' })
})

await t.test('history comes first, then new events', async (t) => {
  const { hub } = await openHub(t)
  await publish(hub, 'a', 1, 2)
  const items = hub.events('a', { from: 'start' })
  t.strictSame(await takeData(items, 2), [1, 2])
  const next = items.next()
  await settle()
  await publish(hub, 'b', 'of another topic')
  await publish(hub, 'a', 3, 4)
  t.match(await next, { value: { data: 3 } })
  t.strictSame(await takeData(items, 1), [4])
})

await t.test('without "from" the iterator begins at the call, not at the first read', async (t) => {
  const { hub } = await openHub(t)
  await publish(hub, 'a', 1)
  const items = hub.events('a')
  await publish(hub, 'a', 2, 3)
  t.strictSame(await takeData(items, 2), [2, 3])
})

await t.test('the iterator continues after the id of an event', async (t) => {
  const { hub } = await openHub(t)
  const [first, second] = await publish(hub, 'a', 1, 2, 3)
  t.strictSame(await takeData(hub.events('a', { from: first }), 2), [2, 3])
  t.strictSame(await takeData(hub.events('a', { from: second }), 1), [3])
})

await t.test('the iterator begins at a time', async (t) => {
  const { hub } = await openHub(t)
  await publish(hub, 'a', 1)
  t.strictSame(await takeData(hub.events('a', { from: new Date(0) }), 1), [1])
  const later = hub.events('a', { from: new Date(Date.now() + 60_000) })
  const { next } = await waits(t, later)
  await publish(hub, 'a', 2)
  t.match(await next, { value: { data: 2 } }, 'a time in the future means now')
})

await t.test('the iterator returns only events of the given types', async (t) => {
  const { hub } = await openHub(t)
  const items = hub.events('a', { types: ['t', 'u'] })
  for (const type of ['v', 't', undefined, 'u']) await hub.publish('a', { type, data: type ?? null })
  t.strictSame(await takeData(items, 2), ['t', 'u'])
})

await t.test(
  'a matching event in the middle of a batch ends the wait, and later events of the batch follow',
  async (t) => {
    const { hub } = await openHub(t)
    const items = hub.events(['a', 'c'])
    const { next } = await waits(t, items)
    await hub.publishAll(['b', 'a', 'b', 'c', 'b'].map((topic, data) => ({ topic, data })))
    t.match(await next, { value: { data: 1 } })
    t.strictSame(await takeData(items, 1), [3])
  },
)

await t.test('the iterator returns no ephemeral events', async (t) => {
  const { hub } = await openHub(t)
  const items = hub.events('a')
  await hub.publish('a', { data: 1, ephemeral: true })
  await hub.publish('a', { data: 2 })
  t.strictSame(await takeData(items, 1), [2])
})

await t.test('a gap comes before the events after it', async (t) => {
  const { hub } = await openHub(t, {}, { events: 2 })
  const ids = await publish(hub, 'a', 1, 2, 3, 4, 5)
  const [gap, ...events] = await take(hub.events('a', { from: ids[0] }), 3)
  t.strictSame(gap, { id: ids[2], gap: { reason: 'expired', after: ids[0], oldest: ids[3] } })
  t.match(events, [{ data: 4 }, { data: 5 }])
  t.strictSame(
    await takeData(hub.events('a', { from: gap!.id }), 2),
    [4, 5],
    'an iterator from the id of a gap does not repeat the gap',
  )
})

await t.test('events that are trimmed or purged before a slow consumer reads them are a gap', async (t) => {
  const { hub } = await openHub(t, {}, { events: 150 })
  const items = hub.events('a')
  for (let n = 0; n < 120; n++) await publish(hub, 'a', n)
  t.strictSame(await takeData(items, 1), [0])
  for (let n = 120; n < 300; n++) await publish(hub, 'a', n)
  t.strictSame(
    await takeData(items, 99),
    Array.from({ length: 99 }, (_, index) => index + 1),
    'the page that was already read',
  )
  t.strictSame(await takeData(items, 2), ['expired', 150])
  await hub.purge('a')
  t.strictSame(
    await takeData(items, 99),
    Array.from({ length: 99 }, (_, index) => index + 151),
    'the page that was already read',
  )
  t.strictSame(await takeData(items, 1), ['expired'])
  const { next } = await waits(t, items)
  await publish(hub, 'a', 300)
  t.match(await next, { value: { data: 300 } })
})

await t.test('a cursor of another log or beyond the head is a gap, even without events', async (t) => {
  const { hub } = await openHub(t)
  const items = hub.events('a', { from: 'abcdefgh-7' })
  t.strictSame(await take(items, 1), [
    { id: hub.cursor(0), gap: { reason: 'epoch', after: 'abcdefgh-7', oldest: null } },
  ])
  await publish(hub, 'a', 1)
  t.strictSame(await takeData(items, 1), [1])
  const [gap, event] = await take(hub.events('a', { from: hub.cursor(9) }), 2)
  t.match([gap, event], [{ gap: { reason: 'future', after: hub.cursor(9), oldest: hub.cursor(1) } }, { data: 1 }])
})

await t.test('a slow consumer keeps one page in memory', async (t) => {
  const { hub, log } = await openHub(t)
  const pages: { events: number; bytes: number }[] = []
  const scan = log.scan.bind(log)
  log.scan = (selection, span, visit) => {
    const page = { events: 0, bytes: 0 }
    pages.push(page)
    return scan(selection, span, (event) => {
      const isTaken = visit(event)
      if (isTaken) page.events++
      if (isTaken) page.bytes += event.payload.length
      return isTaken
    })
  }
  const items = hub.events('*', { from: 'start' })
  await publish(hub, 'small', ...Array.from({ length: 1_000 }, () => 0))
  await publish(hub, 'large', ...Array.from({ length: 100 }, () => 'x'.repeat(10_000)))
  await take(items, 1)
  await publish(hub, 'small', ...Array.from({ length: 1_000 }, () => 0))
  await settle()
  t.strictSame(pages, [{ events: 100, bytes: 100 }], 'the iterator reads no page before it is requested')
  await take(items, 2_099)
  t.ok(
    pages.every(({ events, bytes }) => events <= 100 && bytes <= 256 * 1024 + 10_002),
    JSON.stringify(pages),
  )
})

await t.test('reading many events lets the event loop run', async (t) => {
  const { hub } = await openHub(t)
  for (let n = 0; n < 50; n++) await publish(hub, 'a', ...Array.from({ length: 1_000 }, () => 0))
  let turns = 0
  let reading = true
  const count = (): void => {
    turns++
    if (reading) setImmediate(count)
  }
  setImmediate(count)
  await take(hub.events('a', { from: 'start' }), 50_000)
  reading = false
  t.ok(turns > 5, `${turns} turns`)
})

await t.test('break and an aborted signal end the iterator, even while it waits', async (t) => {
  const { hub } = await openHub(t)
  const items = hub.events('a')
  const { next } = await waits(t, items)
  await items.return!()
  t.match(await next, { done: true })
  t.match(await items.next(), { done: true })

  const aborting = new AbortController()
  const waiting = hub.events('a', { signal: aborting.signal })
  const other = hub.events('a', { signal: aborting.signal })
  await publish(hub, 'a', 1, 2)
  t.strictSame(await takeData(waiting, 2), [1, 2])
  t.strictSame(await takeData(other, 1), [1])
  const { next: last } = await waits(t, waiting)
  aborting.abort()
  t.match([await last, await other.next()], [{ done: true }, { done: true }], 'no event follows, not even of the page')
  t.match(await hub.events('a', { from: 'start', signal: aborting.signal }).next(), { done: true })
})

await t.test('the iterator ends when the hub closes', async (t) => {
  const { hub } = await openHub(t)
  await publish(hub, 'a', 1, 2)
  const reading = hub.events('a', { from: 'start' })
  t.strictSame(await takeData(reading, 1), [1])
  const waiting = hub.events('a')
  const { next } = await waits(t, waiting)
  await hub.close()
  t.match([await next, await reading.next()], [{ done: true }, { done: true }])
  t.throws(() => hub.events('a'), { code: 'hub-closed' })
})

await t.test('an unreadable log ends the iterator with the error, and a new one can continue', async (t) => {
  const { hub, log } = await openHub(t)
  const [first] = await publish(hub, 'a', 1, 2)
  const scan = log.scan.bind(log)
  log.scan = () => Promise.reject(new Error('the disk'))
  const items = hub.events('a', { from: first })
  await t.rejects(items.next(), { message: 'the disk' })
  t.match(await items.next(), { done: true })
  log.scan = scan
  t.strictSame(await takeData(hub.events('a', { from: first }), 1), [2])
})

await t.test('invalid arguments are refused at once', async (t) => {
  const { hub } = await openHub(t)
  const wrong: [patterns: unknown, options: unknown, code: string][] = [
    ['a..b', {}, 'invalid-pattern'],
    [[], {}, 'invalid-pattern'],
    [42, {}, 'invalid-pattern'],
    [undefined, {}, 'invalid-pattern'],
    ['fanfare.stats', {}, 'reserved-topic'],
    ['a', { types: ['fanfare.join'] }, 'invalid-event'],
    ['a', { types: [undefined] }, 'invalid-event'],
    ['a', { types: 't' }, 'invalid-event'],
    ['a', { from: 'yesterday' }, 'invalid-cursor'],
    ['a', { from: 7 }, 'invalid-cursor'],
    ['a', { from: new Date(NaN) }, 'invalid-cursor'],
    ['a', { signal: {} }, 'invalid-request'],
    ['a', { form: 'start' }, 'invalid-request'],
    ['a', null, 'invalid-request'],
    ['a', 'start', 'invalid-request'],
  ]
  for (const [patterns, options, code] of wrong)
    t.throws(
      () => hub.events(patterns as string, options as EventsOptions),
      { name: 'HubError', code },
      JSON.stringify([patterns, options]),
    )
})

await t.test('the hub keeps no reference to ended iterators', async (t) => {
  const { hub } = await openHub(t)
  const { signal } = new AbortController()
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--
    remove(...args)
  }
  for (let n = 0; n < 20; n++) {
    const items = hub.events('a', { signal })
    const next = items.next()
    await until(() => listeners === 1)
    await items.return!()
    await next
    t.equal(listeners, 0)
  }
})
