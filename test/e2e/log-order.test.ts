/** Events arrive in log order, each at most once. A resume misses no event and repeats none. */
import t, { type Test } from 'tap'
import { within } from '../helper/deadline.js'
import { publishBatch } from '../helper/http.js'
import { difference, due, publishConcurrently, sequence, type Logged } from '../helper/oracle.js'
import { startHub } from '../helper/process.js'
import { random } from '../helper/random.js'
import { isAtEnd, publishEnd, PUBLISHERS, selections, TOPICS } from '../helper/selections.js'
import { openLive, openStream, streamUrl, type EventStream, type StreamEvent } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

await t.test('events arrive in log order, each at most once', async (t) => {
  const hub = await startHub(t)
  const bearer = anyTopic()
  const subscribers = await Promise.all(
    selections(160, random(1)).map(async (topics) => ({
      topics,
      stream: await openLive(t, streamUrl(hub, topics), { token: bearer }),
    })),
  )

  const log = await publishConcurrently(hub, {
    publishers: PUBLISHERS,
    each: 150,
    topics: TOPICS,
    random: random(2),
    token: bearer,
  })
  log.push(...(await publishEnd(hub, bearer)))

  t.strictSame(
    log.map(({ id }) => sequence(id)),
    log.map((_, n) => sequence(log[0]!.id) + n),
    'sequence numbers are consecutive',
  )
  for (const { topics, stream } of subscribers) {
    await stream.until(() => isAtEnd(stream.events, topics))
    t.equal(difference(stream.events, due(log, topics)), 'none', topics.join(' '))
  }
})

await t.test('subscribers that disconnect at random and resume get each event once', async (t) => {
  const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '100000', FANFARE_HEARTBEAT: '250ms' })
  const bearer = anyTopic()
  const numbers = random(3)

  /** Reads to the end, on as many connections as needed. */
  async function readAll(
    t: Test,
    topics: string[],
    first: EventStream,
  ): Promise<{ events: StreamEvent[]; connections: number }> {
    const events: StreamEvent[] = []
    let stream = first
    for (let connections = 1; ; connections++) {
      const { length } = events
      await stream.until(() => stream.isClosed || isAtEnd([...events, ...stream.events], topics))
      events.push(...stream.events)
      if (isAtEnd(events, topics)) return { events, connections }
      t.ok(events.length > length || connections === 1, 'each connection read an event before it ended')
      const lastEventId = stream.lastId!
      const byHeader = numbers.below(2) === 0
      stream = await openStream(t, streamUrl(hub, topics, byHeader ? {} : { lastEventId }), {
        token: bearer,
        ...(byHeader ? { lastEventId } : {}),
        limit: 1 + numbers.below(60),
        leave: numbers.below(2) === 0 ? 'reset' : 'close',
      })
    }
  }

  const subscribers = await Promise.all(
    selections(120, random(4)).map(async (topics) => {
      const limit = numbers.below(40)
      const stream = await openStream(t, streamUrl(hub, topics), { token: bearer, limit: limit + 1 })
      await stream.told('open')
      const all = readAll(t, topics, stream)
      all.catch(() => undefined) // awaited below
      return { topics, all }
    }),
  )

  const log = await publishConcurrently(hub, {
    publishers: PUBLISHERS,
    each: 120,
    topics: TOPICS,
    random: random(5),
    token: bearer,
  })
  log.push(...(await publishEnd(hub, bearer)))

  let connections = 0
  for (const { topics, all } of subscribers) {
    const read = await within(all, () => `a subscriber of ${topics.join(' ')} does not reach the end`)
    connections += read.connections
    t.equal(difference(read.events, due(log, topics)), 'none', `${topics.join(' ')} on ${read.connections} connections`)
  }
  t.ok(connections > 5 * subscribers.length, `${connections} connections`)
})

await t.test('many subscribers resume at once from different cursors while publishers run', async (t) => {
  const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '100000' })
  const bearer = anyTopic()
  const numbers = random(9)
  const past: Logged[] = []
  for (let batch = 0; batch < 3; batch++) {
    const events = Array.from({ length: 1_000 }, (_, n) => ({ topic: numbers.pick(TOPICS), data: [batch, n] }))
    const published = await publishBatch(hub, events, bearer)
    past.push(...published.map(({ id, topic }, n) => ({ id, topic, data: JSON.stringify([batch, n]) })))
  }
  const publishing = publishConcurrently(hub, {
    publishers: 4,
    each: 150,
    topics: TOPICS,
    random: random(10),
    token: bearer,
  })
  const subscribers = await Promise.all(
    selections(120, random(12)).map(async (topics, n) => {
      // Some start in groups at one cursor, some alone; some by resume, some by replay.
      const at = n % 3 === 0 ? 0 : numbers.below(past.length)
      const stream = await (n % 12 === 1
        ? openStream(t, streamUrl(hub, topics, { replay: 'all' }), { token: bearer })
        : openStream(t, streamUrl(hub, topics), { token: bearer, lastEventId: past[at]!.id }))
      return { topics, stream, from: n % 12 === 1 ? 0 : at + 1 }
    }),
  )
  const log = [...past, ...(await publishing), ...(await publishEnd(hub, bearer))]
  for (const { topics, stream, from } of subscribers) {
    await stream.until(() => isAtEnd(stream.events, topics))
    t.equal(difference(stream.events, due(log.slice(from), topics)), 'none', `${topics.join(' ')} after ${from}`)
    t.equal(stream.all.filter(({ type }) => type === 'fanfare.live').length, 1, 'one live block')
    const ids = stream.ids.map(({ id }) => sequence(id))
    t.ok(
      ids.every((id, n) => n === 0 || id >= ids[n - 1]!),
      'ids never go back',
    )
  }
})
