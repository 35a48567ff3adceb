/** The follower of the stream of the events. */
import t from 'tap'
import { event } from '../../../src/log/contract/events.js'
import { FiniteNames } from '../../../src/log/finite-names.js'
import { Followers } from '../../../src/log/followers.js'
import { NO_EVENTS, type LogDelta, type Retention } from '../../../src/log/log.js'
import { JetStream } from '../../../src/log/nats/jetstream.js'
import { addToBatch, messageId, Subjects, toMessage } from '../../../src/log/nats/messages.js'
import { eventStream, provideStream } from '../../../src/log/nats/stream-config.js'
import { StreamFollower } from '../../../src/log/nats/stream-follower.js'
import type { NewEvent } from '../../../src/model/event.js'
import { NatsLink } from '../../../src/nats/nats-link.js'
import { poll } from '../../helper/deadline.js'
import { administer, skipNats, startNats } from '../../helper/nats.js'

const RETENTION: Retention = { events: 1_000, age: 3_600_000, bytes: 1024 ** 3, dedupWindow: 60_000 }

await t.test('on a NATS server', { skip: skipNats }, async (t) => {
  const server = await startNats(t)

  /** Returns a follower of a new stream, and the deltas that it tells. */
  async function follow(marks: (follower: StreamFollower) => Promise<void> = () => Promise.resolve()) {
    const options = server.options()
    const stream = options.prefix
    const link = await NatsLink.open(options, 'test')
    t.teardown(() => link.close())
    const jetstream = new JetStream(link, 5_000)
    const subjects = new Subjects(stream)
    const followers = new Followers()
    const deltas: LogDelta[] = []
    followers.add((delta) => void deltas.push(delta), { head: 0, mark: 0 })
    const begun: number[] = []
    const notices: string[] = []
    const follower: StreamFollower = new StreamFollower({
      link,
      jetstream,
      stream,
      subjects,
      retention: RETENTION,
      finite: new FiniteNames(),
      followers,
      learnPurges: () => marks(follower),
      onBegin: ({ head }) => void begun.push(head),
      onNotice: (message) => void notices.push(message),
    })
    t.teardown(() => follower.stop())
    const provide = async () => (await provideStream(jetstream, eventStream(stream, RETENTION, 1))).info
    const store = async (stored: NewEvent): Promise<void> => {
      const { subject, payload, headers } = toMessage(subjects, stored)
      await link.connection.request(subject, payload, { headers, timeout: 5_000 })
    }
    return { follower, deltas, begun, provide, store, stream, notices, link, subjects, jetstream }
  }

  await t.test('the index has what the stream had, and then each new event', async (t) => {
    const { follower, deltas, begun, provide, store } = await follow()
    await provide()
    await store(event('a', { id: 'x' }))
    await follower.begin(await provide())
    t.strictSame(begun, [1])
    t.equal(follower.index.head, 1)
    t.equal(follower.ids.find(messageId('a', 'x')), 1)
    await store(event('b'))
    await follower.reach(2)
    t.strictSame(
      deltas.flatMap(({ events }) => events.map(({ sequence, topic }) => [sequence, topic])),
      [[2, 'b']],
    )
  })

  await t.test('a stream is settled once it has carried out a change, which concurrent calls share', async (t) => {
    const { follower, provide, store, jetstream } = await follow()
    await follower.begin(await provide())
    let changes = 0
    let isStalled = false
    const purge = jetstream.purge.bind(jetstream)
    jetstream.purge = (...given) => {
      changes++
      return isStalled ? Promise.reject(new Error('timeout')) : purge(...given)
    }
    await store(event('a'))
    await Promise.all([follower.settle(), follower.settle(), follower.settle()])
    t.equal(follower.index.head, 1)
    t.equal(changes, 1)
    isStalled = true
    await t.rejects(follower.settle(), { message: 'timeout' }, 'the answers of a stalled stream are not trusted')
  })

  await t.test('a stream that replaces another one has its own epoch, events and ids', async (t) => {
    const { follower, deltas, provide, store, stream } = await follow()
    await follower.begin(await provide())
    await store(event('a', { id: 'x' }))
    await follower.reach(1)
    const { epoch, index } = follower
    await administer(server, `STREAM.DELETE.${stream}`)
    await follower.begin(await provide())
    t.not(follower.epoch, epoch)
    t.equal(follower.ids.find(messageId('a', 'x')), undefined)
    t.equal(follower.index.head, 0)
    t.ok(follower.index.history.mark > index.history.mark)
    t.match(deltas.at(-1), { replaced: { epoch: follower.epoch, head: 0, mark: follower.index.history.mark } })
    await store(event('a', { id: 'y' }))
    await follower.reach(1)
    t.match(deltas.at(-1), { events: [{ sequence: 1, id: 'y' }] })
  })

  await t.test('a purge trims the events that it names, and says how many', async (t) => {
    const { follower, deltas, provide, store } = await follow()
    await follower.begin(await provide())
    for (const topic of ['a', 'b', 'a']) await store(event(topic))
    follower.purge('a', { epoch: follower.epoch, until: 3 }, 7) // the events may not have arrived yet
    t.equal(await follower.purgedBy(7), 2)
    t.equal(await follower.purgedBy(8), 0, 'there was no such purge')
    await poll(
      async () => (deltas.some(({ trims }) => trims.length > 0) ? true : undefined),
      () => 'the followers are not told of the trim',
    )
    follower.purge('b', { epoch: 'another', until: 3 }, 8)
    t.equal(follower.index.retained.statsOf('b')?.events, 1, 'a purge of another stream trims nothing')
    follower.tell(NO_EVENTS)
    t.equal(deltas.filter(({ events }) => events.length > 0).length, 3)
  })

  await t.test('the other events of a batch whose last event was purged are kept', async (t) => {
    const { follower, provide, stream, link, subjects } = await follow(async (follower) => {
      follower.purge('a', { epoch: follower.epoch, until: 2 }, 1)
    })
    const info = await provide()
    for (const [n, topic] of ['b', 'a'].entries()) {
      const message = toMessage(subjects, event(topic))
      addToBatch(message, 'batch', n + 1, n === 1)
      await link.connection.request(message.subject, message.payload, { headers: message.headers, timeout: 5_000 })
    }
    await administer(server, `STREAM.PURGE.${stream}`, { filter: `${stream}.t.a` })
    await follower.begin(info)
    await follower.reach(2)
    t.equal(follower.index.head, 1)
    t.equal(follower.index.retained.statsOf('b')?.events, 1)
  })

  for (const isPurged of [true, false]) {
    const name = isPurged
      ? 'purged by a hub are lost to their topic only'
      : 'deleted by other tools may be of any topic'
    await t.test(`messages that never arrive because they were ${name}`, async (t) => {
      const { follower, deltas, provide, store, stream, notices } = await follow(async (follower) => {
        if (isPurged) follower.purge('a', { epoch: follower.epoch, until: 2 }, 1)
      })
      await provide()
      await store(event('b'))
      const info = await provide()
      for (const topic of ['a', 'b']) await store(event(topic))
      await administer(server, `STREAM.PURGE.${stream}`, { filter: `${stream}.t.a` })
      await follower.begin(info)
      await follower.reach(3)
      t.equal(follower.index.head, 3)
      t.equal(notices.length, isPurged ? 0 : 1)
      t.strictSame(
        deltas.flatMap(({ trims }) => trims.map(({ topic, until }) => [topic, until])),
        isPurged
          ? [['a', 2]]
          : [
              [undefined, 2],
              ['b', 2],
            ],
      )
      t.equal(follower.index.retained.statsOf('b')?.events, 2)
    })
  }
})
