import http from 'node:http'
import t, { type Test } from 'tap'
import { within } from '../helper/deadline.js'
import { token } from '../helper/token.js'
import { isProblem, listen, openApp, type OpenApp } from '../routes/open-app.js'
import { hubOf } from '../../src/plugins/hub.js'

const bearer = (sub?: string) =>
  `Bearer ${token({ ...(sub === undefined ? {} : { sub }), subscribe: ['**'], publish: ['**'] })}`

/** A clock that the test sets. */
function stopClock(t: Test): { now: number } {
  const clock = { now: performance.now() }
  t.intercept(performance, 'now', { value: () => clock.now })
  return clock
}

/** Publishes a number of times in one turn. Returns the number of accepted requests. */
async function burst({ send }: OpenApp, count: number, authorization: string, url = '/events'): Promise<number> {
  const payload = url === '/events' ? { events: [{ topic: 'a', data: 1 }] } : { data: 1 }
  const answers = await Promise.all(
    Array.from({ length: count }, () => send({ method: 'POST', url, payload, headers: { authorization } })),
  )
  return answers.filter(({ statusCode }) => statusCode === 201).length
}

await t.test('the rate of a subject is limited over both routes', async (t) => {
  const clock = stopClock(t)
  const open = await openApp(t, { publishRate: 5 })
  t.equal(await burst(open, 3, bearer('u1')), 3)
  t.equal(await burst(open, 3, bearer('u1'), '/topics/a/events'), 2)
  const response = await open.send({
    method: 'POST',
    url: '/events',
    payload: { events: [{ topic: 'a', data: 1 }] },
    headers: { authorization: bearer('u1') },
  })
  t.match(isProblem(t, response, 429, 'rate-limited').detail, /FANFARE_PUBLISH_RATE/)
  t.equal(response.headers['retry-after'], '1')
  t.equal(hubOf(open.app).head, 5, 'refused events are not stored')
  t.equal(await burst(open, 5, bearer('u2')), 5, 'other subjects are not limited')
  t.equal(
    (
      await open.send({
        method: 'GET',
        url: '/topics/a/events',
        headers: { accept: 'application/json', authorization: bearer('u1') },
      })
    ).statusCode,
    200,
    'reading is not limited',
  )
  clock.now += 1_000
  t.equal(await burst(open, 6, bearer('u1')), 5, 'a second later the full rate is available')
  clock.now += 400
  t.equal(await burst(open, 6, bearer('u1')), 2, 'unused rate returns gradually')
})

await t.test('without a subject the limit applies to the address', async (t) => {
  stopClock(t)
  const open = await openApp(t, { publishRate: 2, trustProxy: 1 })
  const from = async (address: string, count: number) => {
    const answers = await Promise.all(
      Array.from({ length: count }, () =>
        open.send({
          method: 'POST',
          url: '/topics/a/events',
          payload: { data: 1 },
          headers: { authorization: bearer(), 'x-forwarded-for': address },
        }),
      ),
    )
    return answers.filter(({ statusCode }) => statusCode === 201).length
  }
  t.equal(await from('192.0.2.1', 3), 2)
  t.equal(await from('192.0.2.2', 3), 2)
  t.equal(
    await burst(open, 2, bearer('address 192.0.2.1')),
    2,
    'a subject with the name of an address has its own limit',
  )
})

await t.test('an invalid token is refused before the rate counts', async (t) => {
  const open = await openApp(t, { publishRate: 1 })
  for (let n = 0; n < 3; n++)
    isProblem(
      t,
      await open.send({ method: 'POST', url: '/events', payload: {}, headers: { authorization: 'Bearer nonsense' } }),
      401,
      'malformed-token',
    )
})

await t.test('without the setting the rate is unlimited', async (t) => {
  const open = await openApp(t)
  t.equal(await burst(open, 50, bearer('u1')), 50)
})

await t.test('a refused upload is answered at once, even if it never ends', async (t) => {
  const open = await openApp(t, { publishRate: 1 })
  const url = await listen(open.app)
  await burst(open, 1, bearer('u1'))
  const sending = http.request(`${url}/events`, {
    method: 'POST',
    agent: false,
    headers: { authorization: bearer('u1'), 'content-type': 'application/x-ndjson' },
  })
  t.teardown(() => void sending.destroy())
  sending.on('error', () => undefined)
  sending.write('{"topic":"a","data":1}\n')
  const response = await within(
    new Promise<http.IncomingMessage>((resolve) => sending.once('response', resolve)),
    () => 'no answer',
  )
  t.equal(response.statusCode, 429)
  t.equal(hubOf(open.app).head, 1)
})
