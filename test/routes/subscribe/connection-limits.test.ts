import t, { type Test } from 'tap'
import type { AppSettings } from '../../../src/app.js'
import { hubOf } from '../../../src/plugins/hub.js'
import { requireFreeStream } from '../../../src/routes/subscribe/connection-limits.js'
import { anybody } from '../../hub/anybody.js'
import { openLive, openStream } from '../../helper/stream.js'
import { token } from '../../helper/token.js'
import { isProblem, listen, openApp, until } from '../open-app.js'

const bearer = (sub?: string) => token({ ...(sub === undefined ? {} : { sub }), subscribe: ['**'] })

/** Starts an application, and returns functions that open streams like `EventSource` and like other clients. */
async function start(t: Test, settings: AppSettings) {
  const { app, send } = await openApp(t, settings)
  const url = `${await listen(app)}/topics/a/events`
  return {
    app,
    open: (token: string, headers: Record<string, string> = {}) => openLive(t, url, { token, headers }),
    /** Returns the reason of a stream that ends at once. */
    refusal: async (token: string, headers: Record<string, string> = {}) => {
      const stream = await openStream(t, url, { token, headers })
      await stream.until(() => stream.all.some(({ type }) => type === 'fanfare.close'))
      t.equal(stream.all.length, 1, 'no other block is sent')
      const { reason, retry } = JSON.parse(stream.all[0]!.data) as { reason: string; retry: number }
      t.strictSame(stream.retries, [retry])
      return reason
    },
    send,
  }
}

await t.test('the number of streams per subject is limited', async (t) => {
  const { app, open, refusal } = await start(t, { maxConnectionsPerSubject: 2 })
  const first = await open(bearer('u1'))
  await open(bearer('u1'))
  t.equal(await refusal(bearer('u1')), 'busy')
  await open(bearer('u2'))
  for (let n = 0; n < 3; n++) await open(bearer()) // without a subject
  first.destroy()
  await until(() => hubOf(app).connections.ofSubject('u1') === 1)
  await open(bearer('u1'))
  t.equal(hubOf(app).connections.size, 6)
})

await t.test('the number of streams per address is limited if the setting is on', async (t) => {
  const { app, open, refusal } = await start(t, { maxConnectionsPerAddress: 2 })
  await open(bearer('u1'))
  const second = await open(bearer('u2'), { 'x-forwarded-for': '192.0.2.1' })
  t.equal(await refusal(bearer('u3'), { 'x-forwarded-for': '192.0.2.2' }), 'busy', 'an untrusted header has no effect')
  second.destroy()
  await until(() => hubOf(app).connections.size === 1)
  await open(bearer('u3'))

  const proxied = await start(t, { maxConnectionsPerAddress: 1, trustProxy: 1 })
  await proxied.open(bearer(), { 'x-forwarded-for': '192.0.2.1' })
  await proxied.open(bearer(), { 'x-forwarded-for': '192.0.2.2' })
  t.equal(await proxied.refusal(bearer(), { 'x-forwarded-for': '192.0.2.1' }), 'busy')
})

await t.test('the refusal names the setting', async (t) => {
  const { app, subscribe } = await openApp(t)
  await subscribe('a')
  const limits = { maxConnections: 9, maxConnectionsPerSubject: 9, maxConnectionsPerAddress: 9 }
  const nowhere = { ofSubject: 0, fromAddress: 0 }
  const somebody = { address: '127.0.0.1', principal: { ...anybody, subject: 'u1' } }
  t.doesNotThrow(() => requireFreeStream(hubOf(app), limits, somebody, nowhere))
  t.throws(() => requireFreeStream(hubOf(app), { ...limits, maxConnections: 1 }, somebody, nowhere), {
    code: 'too-many-connections',
    status: 503,
    retryAfter: 10,
  })
  t.throws(
    () => requireFreeStream(hubOf(app), { ...limits, maxConnections: 1 }, somebody, nowhere),
    /FANFARE_MAX_CONNECTIONS\b/,
  )
  t.throws(
    () => requireFreeStream(hubOf(app), { ...limits, maxConnectionsPerAddress: 1 }, somebody, nowhere),
    /FANFARE_MAX_CONNECTIONS_PER_ADDRESS/,
  )
  t.throws(
    () => requireFreeStream(hubOf(app), { ...limits, maxConnectionsPerSubject: 0 }, somebody, nowhere),
    /FANFARE_MAX_CONNECTIONS_PER_SUBJECT/,
  )
  t.throws(
    () => requireFreeStream(hubOf(app), limits, somebody, { ofSubject: 9, fromAddress: 0 }),
    /FANFARE_MAX_CONNECTIONS_PER_SUBJECT/,
    'streams of other processes count',
  )
  t.throws(
    () => requireFreeStream(hubOf(app), limits, somebody, { ofSubject: 0, fromAddress: 8 }),
    /FANFARE_MAX_CONNECTIONS_PER_ADDRESS/,
    'streams of other processes count',
  )
  t.doesNotThrow(
    () => requireFreeStream(hubOf(app), { ...limits, maxConnectionsPerAddress: 0 }, somebody, nowhere),
    '0 means no limit',
  )
})

await t.test('a page of history does not count as a stream', async (t) => {
  const { open, send } = await start(t, { maxConnectionsPerSubject: 1 })
  await open(bearer('u1'))
  t.equal(
    (
      await send({
        method: 'GET',
        url: '/topics/a/events',
        headers: { accept: 'application/json', authorization: `Bearer ${bearer('u1')}` },
      })
    ).statusCode,
    200,
  )
  isProblem(
    t,
    await send({
      method: 'GET',
      url: '/topics/a/events',
      headers: { accept: 'text/html', authorization: `Bearer ${bearer('u1')}` },
    }),
    406,
    'not-acceptable',
  )
})
