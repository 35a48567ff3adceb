import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { AppSettings } from '../../../src/app.js'
import type { ScanResult } from '../../../src/log/log.js'
import { MemoryLog } from '../../../src/log/memory/memory-log.js'
import { checkEvent } from '../../../src/model/event.js'
import { hubOf } from '../../../src/plugins/hub.js'
import { token } from '../../helper/token.js'
import { isProblem, openApp } from '../open-app.js'

interface Page {
  events: { id: string; topic: string; type?: string; time: string; data?: unknown; text?: string }[]
  cursor: string
  more: boolean
  gap: null | { reason: string; oldest: string | null }
}

/** A hub with events 1 to `count`, the odd ones on `a`, the even ones on `b`, whose data are their numbers. */
async function start(t: Test, count: number, settings: AppSettings = {}) {
  const { app, send } = await openApp(t, settings)
  for (let n = 1; n <= count; n += 500) {
    await hubOf(app).publishAll(
      Array.from({ length: Math.min(500, count + 1 - n) }, (_, m) => ({
        topic: (n + m) % 2 === 1 ? 'a' : 'b',
        data: n + m,
      })),
    )
  }
  const get = (url: string, headers: Record<string, string> = {}) =>
    send({ method: 'GET', url, headers: { accept: 'application/json', ...headers } })
  const page = async (url: string): Promise<Page & { numbers: unknown[] }> => {
    const response = await get(url)
    t.equal(response.statusCode, 200, url)
    const page = response.json<Page>()
    return { ...page, numbers: page.events.map(({ data }) => data) }
  }
  const cursor = (sequence: number) => `${hubOf(app).epoch}-${sequence}`
  return { app, get, page, cursor }
}

await t.test('an event has its cursor, topic, time, type if any, and data or text', async (t) => {
  const { app, page, cursor } = await start(t, 0)
  const before = Date.now()
  await hubOf(app).publish('a', { data: { total: 12 }, type: 'created', id: 'x' })
  await hubOf(app).publish('a', { data: null })
  await hubOf(app).publish('a', { text: 'x\r\ny' })
  await hubOf(app).publish('a', { text: '', ephemeral: true })
  const { events, cursor: position, more, gap } = await page('/topics/a/events')
  t.strictSame({ position, more, gap }, { position: cursor(3), more: false, gap: null })
  const [time] = events.map(({ time }) => time)
  t.strictSame(
    events.map((event) => ({ ...event, time })),
    [
      { id: cursor(1), topic: 'a', type: 'created', time, data: { total: 12 } },
      { id: cursor(2), topic: 'a', time, data: null },
      { id: cursor(3), topic: 'a', time, text: 'x\r\ny' },
    ],
  )
  for (const { time } of events) {
    t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    t.ok(Date.parse(time) >= before && Date.parse(time) <= Date.now())
  }
})

await t.test('a page can be of one topic, several topics, patterns and types', async (t) => {
  const { app, page } = await start(t, 6)
  await hubOf(app).publish('a.b', { data: 7, type: 'x' })
  await hubOf(app).publish('a', { data: 8, type: 'y' })
  t.strictSame((await page('/topics/a/events')).numbers, [1, 3, 5, 8])
  t.strictSame((await page('/topics/*/events')).numbers, [1, 2, 3, 4, 5, 6, 8])
  t.strictSame((await page('/topics/**/events')).numbers, [1, 2, 3, 4, 5, 6, 7, 8])
  t.strictSame((await page('/topics/nobody/events')).numbers, [])
  t.strictSame((await page('/events?topic=b&topic=a.*')).numbers, [2, 4, 6, 7])
  t.strictSame((await page('/topics/**/events?type=x')).numbers, [7])
  t.strictSame((await page('/events?topic=**&type=x&type=y')).numbers, [7, 8])
})

await t.test('by default a page has the oldest 100 events', async (t) => {
  const { page, cursor } = await start(t, 250)
  const first = await page('/events?topic=**')
  t.match(first, { numbers: { length: 100, 0: 1 }, cursor: cursor(100), more: true, gap: null })
})

await t.test('paging returns every event once', async (t) => {
  const { page } = await start(t, 250)
  const numbers: unknown[] = []
  let after = ''
  for (let more = true; more;) {
    const next = await page(`/topics/a/events?limit=30${after}`)
    t.ok(next.events.length <= 30)
    t.equal(next.gap, null)
    numbers.push(...next.numbers)
    more = next.more
    after = `&after=${next.cursor}`
  }
  t.strictSame(
    numbers,
    Array.from({ length: 125 }, (_, n) => 2 * n + 1),
  )
})

await t.test('the cursor of the last page is before the next new event', async (t) => {
  const { app, page, cursor } = await start(t, 6)
  const last = await page('/topics/a/events')
  t.equal(last.cursor, cursor(6))
  t.strictSame(await page(`/topics/a/events?after=${last.cursor}`), {
    events: [],
    cursor: cursor(6),
    more: false,
    gap: null,
    numbers: [],
  })
  await hubOf(app).publish('a', { data: 7 })
  t.strictSame((await page(`/topics/a/events?after=${last.cursor}`)).numbers, [7])
})

await t.test('last returns the newest events', async (t) => {
  const { page, cursor } = await start(t, 20)
  t.match(await page('/topics/a/events?last=3'), { numbers: [15, 17, 19], more: false, gap: null, cursor: cursor(20) })
  t.strictSame((await page('/events?topic=a&topic=b&last=3')).numbers, [18, 19, 20])
  t.strictSame((await page('/topics/a/events?last=1000')).numbers, [1, 3, 5, 7, 9, 11, 13, 15, 17, 19])
  t.strictSame(await page('/topics/nobody/events?last=1'), {
    events: [],
    cursor: cursor(20),
    more: false,
    gap: null,
    numbers: [],
  })
})

await t.test('before returns the newest events before a cursor, so that a client pages backwards', async (t) => {
  const { app, page, cursor } = await start(t, 250)
  const numbers: unknown[] = []
  let { events } = await page('/topics/a/events?last=30')
  while (events.length > 0) {
    numbers.unshift(...events.map(({ data }) => data))
    const next: Page = await page(`/topics/a/events?limit=30&before=${events[0]!.id}`)
    t.equal(next.gap, null)
    t.equal(next.more, false)
    events = next.events
  }
  t.strictSame(
    numbers,
    Array.from({ length: 125 }, (_, n) => 2 * n + 1),
  )
  await hubOf(app).publish('a', { data: 'typed', type: 'x' })
  t.strictSame((await page(`/topics/**/events?limit=2&before=${cursor(6)}`)).numbers, [4, 5])
  t.strictSame((await page(`/topics/**/events?before=${cursor(1)}`)).numbers, [])
  t.strictSame((await page(`/topics/**/events?type=x&before=${cursor(251)}`)).numbers, [])
  t.match(await page('/topics/a/events?limit=1&before=00000000-9'), { numbers: ['typed'], gap: { reason: 'epoch' } })
  t.match(await page(`/topics/a/events?limit=1&before=${cursor(999)}`), {
    numbers: ['typed'],
    gap: { reason: 'future' },
  })
})

await t.test('a page of large events before a cursor ends before the cursor, and says so', async (t) => {
  const { app, page, cursor } = await start(t, 0, { maxEventSize: 1_000_000 })
  const text = 'x'.repeat(600_000)
  for (let n = 0; n < 4; n++) await hubOf(app).publish('a', { text })
  const { events, more, cursor: position } = await page(`/topics/a/events?before=${cursor(4)}`)
  t.equal(events.length, 2)
  t.strictSame([more, position], [true, cursor(2)])
  t.strictSame(
    (await page(`/topics/a/events?limit=1&before=${cursor(4)}`)).events.map(({ id }) => id),
    [cursor(3)],
  )
})

await t.test('from returns the events since a time, and a gap if older ones are gone', async (t) => {
  const { app, page, get } = await start(t, 6, { retainEvents: 2 })
  const before = Date.now()
  while (Date.now() <= before) await turn()
  const { id } = await hubOf(app).publish('c', { data: 7 })
  const since = (time: string, rest = '') => page(`/topics/**/events?from=${encodeURIComponent(time)}${rest}`)
  t.match(await since(new Date(before + 1).toISOString()), { events: [{ id }], numbers: [7], gap: null })
  t.match(await since('2020-01-01T00:00:00Z', '&limit=2'), { numbers: [3, 4], more: true, gap: { reason: 'expired' } })
  t.match(await since('start'), { numbers: [3, 4, 5, 6, 7], more: false, gap: { reason: 'expired' } })
  for (const wrong of ['yesterday', '2999-01-01T00:00:00Z'])
    isProblem(t, await get(`/topics/a/events?from=${wrong}`), 400, 'invalid-request', wrong)
})

await t.test('a page has one beginning', async (t) => {
  const { get, cursor } = await start(t, 2)
  const parts = ['last=2', `after=${cursor(1)}`, `before=${cursor(1)}`, 'from=start']
  for (const one of parts)
    for (const other of parts)
      if (one !== other) isProblem(t, await get(`/topics/a/events?${one}&${other}`), 400, 'invalid-request')
  isProblem(t, await get('/topics/a/events?last=2&limit=2'), 400, 'invalid-request')
  isProblem(t, await get('/topics/a/events?before=nonsense'), 400, 'invalid-cursor')
})

await t.test('a gap has its reason and the oldest retained event', async (t) => {
  const { page, cursor } = await start(t, 20, { retainEvents: 3 }) // retained: a 15 17 19, b 16 18 20
  t.match(await page(`/topics/a/events?after=${cursor(2)}`), {
    numbers: [15, 17, 19],
    gap: { reason: 'expired', oldest: cursor(15) },
  })
  t.match(
    await page(`/topics/a/events?after=${cursor(13)}`),
    { numbers: [15, 17, 19], gap: null },
    'a cursor at the trimmed events gets no gap',
  )
  t.match(
    await page(`/events?topic=*&after=${cursor(13)}`),
    { gap: { reason: 'expired', oldest: cursor(15) } },
    'event 14 of b is trimmed',
  )
  t.match(await page(`/topics/a/events?after=${cursor(999)}`), {
    numbers: [15, 17, 19],
    gap: { reason: 'future', oldest: cursor(15) },
  })
  t.match(await page('/topics/a/events?after=zzzzzzzz-17'), {
    numbers: [15, 17, 19],
    gap: { reason: 'epoch', oldest: cursor(15) },
  })
  t.match(await page('/topics/nobody/events?after=zzzzzzzz-17'), {
    numbers: [],
    gap: { reason: 'epoch', oldest: null },
  })
  t.match(await page('/topics/a/events'), { numbers: [15, 17, 19], gap: null }, 'a page without a cursor gets no gap')
  t.match(await page('/topics/a/events?last=10'), { numbers: [15, 17, 19], gap: null })
})

await t.test('a page from which damage has taken an event has a gap, also without a cursor', async (t) => {
  /** A log that has lost the event 3. */
  class DamagedLog extends MemoryLog {
    override async scan(...[selection, span, visit]: Parameters<MemoryLog['scan']>): Promise<ScanResult> {
      const scanned = await super.scan(selection, span, (event) => event.sequence === 3 || visit(event))
      return span.after < 3 && scanned.position >= 3 ? { ...scanned, trimmedAt: Infinity } : scanned
    }
  }
  const log = new DamagedLog({ events: 100, age: 1e9, bytes: 1e9, dedupWindow: 0 })
  const { page, cursor } = await start(t, 6, { log })
  const gap = { reason: 'expired', oldest: cursor(1) }
  t.match(await page('/topics/a/events'), { numbers: [1, 5], gap })
  t.match(await page('/topics/a/events?last=3'), { numbers: [1, 5], gap })
  t.match(await page(`/topics/a/events?after=${cursor(0)}`), { numbers: [1, 5], gap })
  t.match(await page('/topics/a/events?last=1'), { numbers: [5], gap: null }, 'the page has all that it covers')
})

await t.test('a gap of a part of the newest events is not lost', async (t) => {
  /** A log that has lost the event 3, and reads one event at a time. */
  class SlowDamagedLog extends MemoryLog {
    override async scan(...[selection, { after }, visit]: Parameters<MemoryLog['scan']>): Promise<ScanResult> {
      const scanned = await super.scan(
        selection,
        { after, until: after + 1 },
        (event) => event.sequence === 3 || visit(event),
      )
      const trimmedAt = after === 2 ? Infinity : undefined
      return { ...scanned, position: after + 1, more: after + 1 < this.view.head, trimmedAt }
    }
  }
  const log = new SlowDamagedLog({ events: 100, age: 1e9, bytes: 1e9, dedupWindow: 0 })
  const { page, cursor } = await start(t, 6, { log })
  t.match(await page('/topics/a/events?last=3'), { numbers: [1, 5], gap: { reason: 'expired', oldest: cursor(1) } })
})

await t.test('invalid requests are refused', async (t) => {
  const { get, cursor } = await start(t, 3)
  for (const query of [
    'limit=0',
    'limit=1001',
    'limit=-1',
    'limit=x',
    'limit=1.5',
    'limit=',
    'limit=1&limit=2',
    'last=0',
    'last=1001',
    'last=all',
    `last=1&after=${cursor(1)}`,
    'last=1&limit=1',
  ]) {
    isProblem(t, await get(`/topics/a/events?${query}`), 400, 'invalid-request', query)
  }
  for (const after of ['x', '1', '', `${cursor(1)}x`, cursor(1).toUpperCase(), '%0A'])
    isProblem(t, await get(`/topics/a/events?after=${after}`), 400, 'invalid-cursor', after)
  for (const topic of ['a..b', 'a.**.b', '***', 'a%20b', '%C3%A9'])
    t.match(
      isProblem(t, await get(`/topics/${topic}/events`), 400, 'invalid-pattern', topic).detail,
      /is not a valid topic or pattern/,
    )
  isProblem(t, await get('/events'), 400, 'invalid-request')
  isProblem(t, await get('/events?topic=a&topic=a..b'), 400, 'invalid-pattern')
  isProblem(
    t,
    await get(`/events?${Array.from({ length: 101 }, (_, n) => `topic=t${n}`).join('&')}`),
    400,
    'invalid-request',
  )
  t.equal((await get(`/events?${Array.from({ length: 100 }, (_, n) => `topic=t${n}`).join('&')}`)).statusCode, 200)
})

await t.test('history needs a subscribe grant', async (t) => {
  const { get } = await start(t, 3, { anonymousSubscribe: ['a'] })
  const grants = (subscribe: string[]) => ({ authorization: `Bearer ${token({ subscribe, publish: ['**'] })}` })
  t.equal((await get('/topics/b/events', grants(['b']))).statusCode, 200)
  t.match(isProblem(t, await get('/events?topic=a&topic=b', grants(['a', 'b.*'])), 403, 'not-granted').detail, /"b"/)
  isProblem(
    t,
    await get('/topics/**/events', grants(['*', '*.**'])),
    403,
    'not-granted',
    'one grant must cover the whole pattern',
  )
  t.equal((await get('/topics/a/events', grants(['b']))).statusCode, 200, 'an anonymous topic')
})

await t.test('the size of a page is limited, and the next page continues', async (t) => {
  const { app, get } = await start(t, 0)
  const SIZE = 200_000
  for (let n = 0; n < 20; n++) await hubOf(app).publish('big', { text: `${n}`.padEnd(SIZE, '\u0001') })
  for (const first of ['limit=1000', 'last=20']) {
    const numbers: number[] = []
    for (let query = first, more = true; more;) {
      const response = await get(`/topics/big/events?${query}`)
      const page = response.json<Page>()
      t.match(response.headers['content-type'], /^application\/json\b/)
      t.ok(page.events.length * SIZE < 1024 * 1024 + SIZE, `${page.events.length} events`)
      numbers.push(...page.events.map(({ text }) => Number.parseInt(text!)))
      more = page.more
      query = `limit=1000&after=${page.cursor}`
    }
    t.strictSame(
      numbers,
      Array.from({ length: 20 }, (_, n) => n),
    )
  }
  await hubOf(app).publish('huge', { text: 'x'.repeat(260_000) })
  t.equal((await get('/topics/huge/events')).json<Page>().events.length, 1, 'a page has at least one event')
})

await t.test('the newest events of a rare type are found among many others', async (t) => {
  const { app, page } = await start(t, 0, { retainEvents: 1_000_000 })
  for (const rare of [1, 2, 3]) {
    await hubOf(app).publish('a', { data: rare, type: 'rare' })
    for (let n = 0; n < 25; n++)
      await hubOf(app).publishAll(Array.from({ length: 1_000 }, () => ({ topic: 'a', data: 0, type: 'other' })))
  }
  t.match(await page('/topics/a/events?last=2&type=rare'), { numbers: [2, 3] })
  t.match(await page('/topics/a/events?last=9&type=rare'), { numbers: [1, 2, 3], more: false })
})

await t.test('data is the published data, byte for byte', async (t) => {
  const { app, get } = await start(t, 0)
  for (const data of [{ b: 1, a: [1.5, 'x\u2028"\\', null, true] }, '\ud83c\udf89', 0, [], {}])
    await hubOf(app).publish('a', { data })
  await hubOf(app).publisher.publishChecked([
    Object.assign(checkEvent('a', { data: 0 }, 1_000), { payload: '{"__proto__":1,"n":12345678901234567890}' }),
  ])
  const { payload } = await get('/topics/a/events')
  t.match(payload, '"data":{"__proto__":1,"n":12345678901234567890}}')
  t.equal(JSON.stringify(JSON.parse(payload)).length > 0, true)
  t.strictSame(
    (JSON.parse(payload) as Page).events.slice(0, 5).map(({ data }) => data),
    [{ b: 1, a: [1.5, 'x\u2028"\\', null, true] }, '🎉', 0, [], {}],
  )
})
