/** The hub reports every gap. */
import t from 'tap'
import { history, publish } from '../helper/http.js'
import { difference, due, inLogOrder, sequence, type Logged } from '../helper/oracle.js'
import { startHub } from '../helper/process.js'
import { openLive, openStream, streamUrl, type EventStream, type StreamEvent } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

await t.test('a resume before trimmed events gets a gap', async (t) => {
  const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '10' })
  const bearer = anyTopic()
  const published: Logged[] = []
  for (let n = 0; n < 30; n++) {
    const topic = n % 3 === 0 ? 'quiet' : 'busy'
    if (topic === 'busy' || n < 15)
      published.push({ ...(await publish(hub, topic, { data: n }, bearer)), data: String(n) })
  }
  const busy = published.filter(({ topic }) => topic === 'busy')
  const retained = busy.slice(-10)

  await t.test('on the topic', async (t) => {
    for (const [what, after] of [
      ['the first event', busy[0]!.id],
      ['the second newest trimmed event', busy.at(-12)!.id],
    ] as const) {
      const stream = await openLive(t, streamUrl(hub, ['busy']), { token: bearer, lastEventId: after })
      t.equal(stream.all[0]?.type, 'fanfare.open')
      t.equal(stream.all[1]?.type, 'fanfare.gap', `after ${what}, the gap is the first block`)
      t.strictSame(JSON.parse(stream.all[1]!.data), { reason: 'expired', after, oldest: retained[0]!.id })
      t.equal(difference(stream.events, due(retained, ['busy'])), 'none', 'the retained events follow')
    }
  })

  await t.test('on a pattern that matches it', async (t) => {
    const stream = await openLive(t, streamUrl(hub, ['*']), { token: bearer, lastEventId: busy[0]!.id })
    t.match(await openGap(stream), { reason: 'expired', after: busy[0]!.id })
    const still = inLogOrder([
      ...retained,
      ...published.filter(({ topic, id }) => topic === 'quiet' && sequence(id) > sequence(busy[0]!.id)),
    ])
    t.equal(difference(stream.events, due(still, ['*'])), 'none')
  })

  await t.test('no gap if no event is missing', async (t) => {
    for (const [topic, after] of [
      ['busy', busy.at(-11)!.id],
      ['busy', busy.at(-1)!.id],
      ['quiet', published[0]!.id],
      ['nobody.here', busy[0]!.id],
    ] as const) {
      const stream = await openLive(t, streamUrl(hub, [topic]), { token: bearer, lastEventId: after })
      t.notOk(
        stream.all.some(({ type }) => type === 'fanfare.gap'),
        `${topic} after ${after}`,
      )
    }
  })

  await t.test('in history too', async (t) => {
    const { body } = await history(hub, 'busy', `after=${busy[0]!.id}`, bearer)
    t.match(body.gap, { reason: 'expired', oldest: retained[0]!.id })
    t.strictSame(
      body.events.map(({ id }) => id),
      retained.map(({ id }) => id),
    )
    t.equal((await history(hub, 'busy', `after=${retained[0]!.id}`, bearer)).body.gap, null)
  })
})

await t.test('a resume with a cursor of another log gets a gap', async (t) => {
  const bearer = anyTopic()
  const before = await startHub(t)
  const { id: elsewhere } = await publish(before, 'news', { data: 'before' }, bearer)
  await before.stop()
  const hub = await startHub(t)
  const log: Logged[] = []
  for (let n = 0; n < 3; n++) log.push({ ...(await publish(hub, 'news', { data: n }, bearer)), data: String(n) })
  const epoch = log[0]!.id.split('-')[0]!
  t.not(elsewhere.split('-')[0], epoch, 'a new log has a new epoch')

  for (const [reason, after] of [
    ['future', `${epoch}-${sequence(log[2]!.id) + 1}`], // must be the first case: each case publishes another event
    ['epoch', elsewhere],
    ['future', `${epoch}-99999999999999999999`],
    ['invalid', 'garbage'],
    ['invalid', `${epoch}-`],
    ['invalid', `${epoch}--1`],
  ] as const) {
    const stream = await openLive(t, streamUrl(hub, ['news']), { token: bearer, lastEventId: after })
    t.equal(stream.all[1]?.type, 'fanfare.gap', `${reason}: ${after}`)
    t.strictSame(JSON.parse(stream.all[1]!.data), { reason, after, oldest: log[0]!.id })
    t.equal(difference(stream.events, due(log, ['news'])), 'none', 'the retained events follow')

    const { id } = await publish(hub, 'news', { data: after }, bearer)
    log.push({ id, topic: 'news', data: JSON.stringify(after) })
    await stream.until(() => stream.lastId === id)
    t.equal(difference(stream.events, due(log, ['news'])), 'none', 'the stream continues')
  }
})

await t.test('a new stream has no gap', async (t) => {
  const hub = await startHub(t)
  const bearer = anyTopic()
  const { id } = await publish(hub, 'news', { data: 1 }, bearer)
  for (const stream of [
    await openStream(t, streamUrl(hub, ['news']), { token: bearer, headers: { 'last-event-id': '' } }),
    await openStream(t, streamUrl(hub, ['news'], { lastEventId: '' }), { token: bearer }),
  ]) {
    await stream.told('open')
    await publish(hub, 'news', { data: 2 }, bearer)
    await stream.count(1)
    t.equal(stream.ids[0]?.id, id, 'it starts at the head')
    t.strictSame(
      stream.all.filter(({ type }) => type === 'fanfare.gap'),
      [],
    )
    stream.destroy()
  }
})

await t.test('a stalled subscriber whose events are trimmed gets a gap when it continues', async (t) => {
  const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '50' })
  const bearer = anyTopic()
  const keep = (event: StreamEvent): StreamEvent => ({ ...event, data: event.data.split(' ', 1)[0]! })
  const stream = await openLive(t, streamUrl(hub, ['news']), { token: bearer, keep })
  stream.pause()
  const log: Logged[] = []
  for (let n = 0; n < 400; n++) {
    const { id } = await publish(hub, 'news', { text: `${n} `.padEnd(50_000, 'x') }, bearer)
    log.push({ id, topic: 'news', data: String(n) })
  }
  stream.resume()
  await stream.until(() => stream.events.at(-1)?.id === log.at(-1)!.id)

  let last = stream.ids[0]!.id
  let expected = 0
  let gaps = 0
  for (const event of stream.all.slice(1)) {
    if (event.type === 'fanfare.gap') {
      const gap = JSON.parse(event.data) as { reason: string; after: string; oldest: string }
      t.match(gap, { reason: 'expired', after: last }, 'the gap begins at the last received event')
      expected = log.findIndex(({ id }) => id === gap.oldest)
      t.ok(expected > 0, 'the gap ends at the next retained event')
      gaps++
    } else {
      t.equal(event.data, String(expected++))
      last = event.id!
    }
  }
  t.equal(expected, log.length, 'the stream reaches the newest event')
  t.ok(gaps >= 1, 'the stream got a gap')
  t.notOk(stream.isClosed)
})

await t.test('streams of an empty log do not affect later ones', async (t) => {
  for (const query of [
    { replay: 'all' },
    { replay: '10' },
    { lastEventId: 'garbage' },
    { lastEventId: 'aaaaaaaa-7' },
  ]) {
    const hub = await startHub(t)
    const bearer = anyTopic()
    const url = streamUrl(hub, ['list'], query)
    const early = await openLive(t, url, { token: bearer })
    const log: Logged[] = []
    for (let n = 0; n < 3; n++) {
      log.push({ ...(await publish(hub, 'list', { data: n }, bearer)), data: String(n) })
      const late = await openLive(t, url, { token: bearer })
      t.equal(difference(late.events, due(log, ['list'])), 'none', `${JSON.stringify(query)} after ${n + 1} events`)
      if ('lastEventId' in query)
        t.match(await openGap(late), { oldest: log[0]!.id }, 'the gap ends at the first event')
      await early.count(log.length)
      t.equal(difference(early.events, due(log, ['list'])), 'none', 'the first stream has every event too')
    }
    await hub.kill()
  }
})

async function openGap(stream: EventStream): Promise<unknown> {
  await stream.until(() => stream.all.length >= 2)
  return stream.all[1]?.type === 'fanfare.gap' ? JSON.parse(stream.all[1].data) : stream.all[1]
}
