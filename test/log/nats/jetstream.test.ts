import t from 'tap'
import type { NatsLink } from '../../../src/nats/nats-link.js'
import { JetStream } from '../../../src/log/nats/jetstream.js'

/** A stream whose answers to the requests for its state are given in order. A single server names no leader. */
function prepare(states: { leader?: string; last: number }[], purge: () => object = () => ({ success: true })) {
  const requests: string[] = []
  const connection = {
    request: async (subject: string) => {
      requests.push(subject.slice('$JS.API.STREAM.'.length))
      if (!subject.startsWith('$JS.API.STREAM.INFO.')) return { json: purge }
      const { leader, last } = states.shift()!
      return { json: () => ({ state: { last_seq: last }, ...(leader === undefined ? {} : { cluster: { leader } }) }) }
    },
  }
  return { jetstream: new JetStream({ connection } as unknown as NatsLink, 1_000), requests }
}

await t.test('the confirmed state of a stream is the one after a change', async (t) => {
  for (const leader of ['n1', undefined]) {
    const named = leader === undefined ? {} : { leader }
    const { jetstream, requests } = prepare([
      { ...named, last: 1 },
      { ...named, last: 2 },
    ])
    t.equal((await jetstream.confirmedInfo('s')).state.last_seq, 2)
    t.strictSame(requests, ['INFO.s', 'PURGE.s', 'INFO.s'])
  }
})

await t.test('a new leader may know less than the one that has carried out the change', async (t) => {
  const { jetstream } = prepare([
    { leader: 'n1', last: 2 },
    { leader: 'n2', last: 1 },
  ])
  await t.rejects(jetstream.confirmedInfo('s'), { message: /another server leads the stream/ })
})

await t.test('a stream that does not carry out the change has no confirmed state', async (t) => {
  const { jetstream, requests } = prepare([{ leader: 'n1', last: 2 }], () => {
    throw new Error('timeout')
  })
  await t.rejects(jetstream.confirmedInfo('s'), { message: 'timeout' })
  t.strictSame(requests, ['INFO.s', 'PURGE.s'])
})
