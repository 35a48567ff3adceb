/**
 * The last `id:` that a subscriber has read is a safe cursor to resume from: the hub never sends an earlier event of
 * its topics afterwards.
 */
import t from 'tap'
import { publish, publishBatch } from '../helper/http.js'
import { difference, due, matches, publishConcurrently, sequence, type Logged } from '../helper/oracle.js'
import { startHub } from '../helper/process.js'
import { random } from '../helper/random.js'
import { isAtEnd, publishEnd, PUBLISHERS, TOPICS } from '../helper/selections.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

await t.test('a stream can resume from every id', async (t) => {
  const hub = await startHub(t, { FANFARE_HEARTBEAT: '250ms' })
  const bearer = anyTopic()
  const topics = ['shop0.orders.0', 'shop1.*.*']
  const url = streamUrl(hub, topics)
  const log: Logged[] = []
  const publishTo = async (...names: string[]): Promise<void> => {
    const published = await publishBatch(
      hub,
      names.map((topic, n) => ({ topic, data: [log.length, n] })),
      bearer,
    )
    log.push(...published.map(({ id, topic }, n) => ({ id, topic, data: JSON.stringify([log.length, n]) })))
  }

  await publishTo(...TOPICS.slice(0, 5))
  const start = log[0]!.id
  // Resumes at an old cursor, so that there is a replayed part.
  const stream = await openLive(t, url, { token: bearer, lastEventId: start })
  for (let round = 0; round < 4; round++) {
    await publishTo(...TOPICS)
    await stream.until(() => stream.lastId === log.findLast(({ topic }) => matches(topics, topic))?.id)
    // The next events are not for this stream, but a heartbeat moves its cursor past them.
    await publishTo('elsewhere.a', 'elsewhere.b')
    await stream.until(() => stream.lastId === log.at(-1)?.id)
  }
  await publishTo('shop1.orders.1')
  await stream.until(() => stream.lastId === log.at(-1)?.id)

  const beyondStart = due(log.slice(1), topics)
  t.equal(difference(stream.events, beyondStart), 'none', 'the stream has every event')
  t.equal(stream.ids[0]?.id, start, 'the first block has the requested cursor')
  t.ok(stream.heartbeats >= 4, 'the stream has heartbeats')
  t.ok(stream.ids.length > beyondStart.length + 4, 'heartbeats have ids')

  const ids = stream.ids.map(({ id }) => sequence(id))
  t.strictSame(
    ids,
    [...ids].sort((a, b) => a - b),
    'ids never go back',
  )

  for (const [n, { id, events }] of stream.ids.entries()) {
    const again = await openLive(t, url, { token: bearer, lastEventId: id })
    t.equal(
      difference(again.events, stream.events.slice(events)),
      'none',
      `resumed after id ${n} of ${stream.ids.length}, ${id}`,
    )
    t.strictSame(
      again.all.flatMap(({ type }) => (type?.startsWith('fanfare.') ? [type] : [])),
      ['fanfare.open', 'fanfare.live'],
      'without a gap, and with one live block',
    )
    again.destroy()
  }
})

await t.test('a stream can resume from every id while publishers run', async (t) => {
  const hub = await startHub(t, { FANFARE_HEARTBEAT: '250ms' })
  const bearer = anyTopic()
  const asked: { topics: string[]; type?: string }[] = [
    { topics: ['shop1.**', 'shop0.orders.4'] },
    { topics: ['shop2.orders.2', 'shop2.orders.6', 'shop3.orders.3', 'shop0.orders.0'] },
    { topics: ['shop3.orders.11'] },
    { topics: ['**'], type: 'rare' },
  ]
  const streams = await Promise.all(
    asked.map(async ({ topics, type }) => {
      const url = streamUrl(hub, topics, type === undefined ? {} : { type })
      return { topics, type, url, stream: await openLive(t, url, { token: bearer }) }
    }),
  )
  const types = ['rare', 'common', 'common', undefined, undefined, undefined]
  const log = await publishConcurrently(hub, {
    publishers: PUBLISHERS,
    each: 40,
    topics: TOPICS,
    types,
    random: random(6),
    token: bearer,
  })
  const last = { topic: 'shop1.orders.1', type: 'rare', data: '"last"' }
  log.push(...(await publishEnd(hub, bearer)), {
    ...last,
    id: (await publish(hub, last.topic, { type: 'rare', data: 'last' }, bearer)).id,
  })

  for (const { topics, type, url, stream } of streams) {
    const expected = due(log, topics, type)
    await stream.until(() => stream.events.at(-1)?.id === expected.at(-1)!.id)
    t.equal(difference(stream.events, expected), 'none', topics.join(' '))
    const wrong: string[] = []
    for (const { id, events } of stream.ids) {
      const again = await openLive(t, url, { token: bearer, lastEventId: id })
      const differs = difference(again.events, stream.events.slice(events))
      if (differs !== 'none') wrong.push(`${id}: ${differs}`)
      again.destroy()
    }
    t.strictSame(wrong, [], `${topics.join(' ')}: resumed after each of ${stream.ids.length} ids`)
  }
})

await t.test('a heartbeat during a sweep does not overtake events', async (t) => {
  // Heartbeats are due at every check, while sweeps over so many subscribers hardly ever end.
  const hub = await startHub(t, { FANFARE_HEARTBEAT: '1ms' })
  const bearer = anyTopic()
  const subscribers = await Promise.all(
    Array.from({ length: 500 }, async (_, n) => {
      const topics = [['**'], ['shop1.**', 'shop2.**', 'shop3.**'], ['shop0.**']][n % 3]!
      return { topics, stream: await openLive(t, streamUrl(hub, topics), { token: bearer }) }
    }),
  )
  const log = await publishConcurrently(hub, {
    publishers: PUBLISHERS,
    each: 50,
    topics: TOPICS,
    random: random(13),
    token: bearer,
  })
  log.push(...(await publishEnd(hub, bearer)))
  let heartbeats = 0
  for (const { topics, stream } of subscribers) {
    await stream.until(() => isAtEnd(stream.events, topics))
    heartbeats += stream.heartbeats
    const ids = stream.ids.map(({ id }) => sequence(id))
    const early = ids.findIndex((id, n) => n > 0 && id < ids[n - 1]!)
    t.equal(
      early,
      -1,
      early === -1 ? 'no id is ahead of a later event' : `${ids[early - 1]!} came before ${ids[early]!}`,
    )
    t.equal(difference(stream.events, due(log, topics)), 'none', topics.join(' '))
  }
  t.ok(heartbeats > subscribers.length, `${heartbeats} heartbeats`)
})
