/** Finite topics of two hubs with a log on NATS. */
import t from 'tap'
import { NatsCluster } from '../../../src/cluster/nats.js'
import type { Message } from '../../../src/hub/finite/finite-topic.js'
import { poll } from '../../helper/deadline.js'
import { skipNats, startNats } from '../../helper/nats.js'
import { openHubOn } from '../../hub/open-hub.js'
import { open } from './open-log.js'

const TEXT = { contentType: 'text/plain' }

const say = (...texts: string[]): { messages: Message[] } => ({
  messages: texts.map((payload) => ({ kind: 'text', payload })),
})

await t.test('two hubs write and read the same finite topics', { skip: skipNats }, async (t) => {
  const server = await startNats(t)
  const nats = server.options()
  const retention = { events: 100, age: 3_600_000, bytes: 1024 ** 3, dedupWindow: 60_000 }
  const logs = [await open(t, nats, { retention }), await open(t, nats, { retention })]
  const hubs = []
  for (const log of logs) hubs.push((await openHubOn(t, log, { cluster: await NatsCluster.open(nats) })).hub.finite)
  const [one, other] = hubs as [(typeof hubs)[0], (typeof hubs)[0]]

  const creations = await Promise.all([one, other].map((finite) => finite.create('a.b', TEXT)))
  t.equal(creations.filter(({ created }) => created).length, 1)
  const texts = Array.from({ length: 1_500 }, (_, n) => `${n};`)
  await one.append('a.b', say(...texts.slice(0, 700)))
  await other.append('a.b', say(...texts.slice(700, 1_400)))
  await Promise.all(
    [one, other, one].map((finite) =>
      finite.append('a.b', { ...say(...texts.slice(1_400)), producer: { id: 'p', epoch: 0, seq: 0 } }),
    ),
  )
  for (const finite of [one, other]) {
    const { messages } = await finite.read('a.b', 0, Infinity)
    t.equal(messages.map(({ payload }) => payload).join(''), texts.join(''), 'more than a subject keeps')
  }
  await other.create('fork', { fork: { source: 'a.b' } }, { ...say('end'), end: 'done' })
  t.match(await one.read('fork', 0, 1), { messages: [{ payload: '0;' }], topic: { status: 'done' } })

  await other.cancel('a.b')
  await t.rejects(one.append('a.b', say('x')), { code: 'cancelled' })
  await one.delete('a.b')
  t.match(await other.get('a.b'), { isDeleted: true })
  await other.delete('fork')
  await poll(
    async () => ((await logs[0]!.records.list('finite/')).length === 0 ? true : undefined),
    () => 'the records stay',
  )
  t.match(await one.create('a.b', TEXT, say('new')), { created: true, topic: { size: 3 } })
  t.match(await other.read('a.b', 0, Infinity), { messages: [{ payload: 'new' }] })
})
