import t from 'tap'
import { describeStream, rfc3339 } from '../../src/hub/stream-info.js'
import { openHub } from './open-hub.js'

await t.test('a stream is described with its subject, topics, times and counts', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const expiresAt = Date.UTC(2100, 0, 1)
  const { stream } = await subscribe(['b', 'a.*'], { id: 'c', subject: 'ada', expiresAt })
  await hub.publish('b', { text: 'x' })
  const { since, sent, ...rest } = describeStream(stream, 'cursor', 3)
  t.strictSame(rest, {
    id: 'c',
    subject: 'ada',
    address: '127.0.0.1',
    topics: ['a.*', 'b'],
    cursor: 'cursor',
    expiresAt: '2100-01-01T00:00:00.000Z',
    lag: 3,
  })
  t.ok(Math.abs(Date.now() - Date.parse(since)) < 60_000)
  t.ok(sent.bytes > 0)
})

await t.test('a stream without a token has neither subject nor end', async (t) => {
  const { subscribe } = await openHub(t)
  t.match(describeStream((await subscribe(['a'])).stream, 'cursor', 0), { subject: null, expiresAt: null })
  t.equal(rfc3339(undefined), null)
})
