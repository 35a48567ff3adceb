/** The complete application of docs/embedding.md, used over HTTP. */
import t from 'tap'
import { startApplication } from '../helper/docs-application.js'
import { openStream, type EventStream } from '../helper/stream.js'

function told({ events }: EventStream): string[] {
  return events.map(({ type, data }) => `${String(type)} ${(JSON.parse(data) as { item: string }).item}`)
}

await t.test('the complete application of the docs works', { timeout: 120_000 }, async (t) => {
  const application = await startApplication(t)
  t.equal((await fetch(`${application.url}/token`)).status, 401, 'a request without a login gets no token')
  t.match(
    await (await fetch(application.url)).text(),
    /new EventSource\('\/realtime\/topics\/users\.' \+ user \+ '\.orders\/events\?'/,
  )

  const ann = await application.logIn('ann')
  const bob = await application.logIn('bob')
  const orders = `${application.url}/realtime/topics/users.ann.orders/events`
  t.equal((await fetch(orders, { headers: { cookie: bob.hub } })).status, 403, "another user's orders cannot be read")
  const stream = await openStream(t, `${orders}?replay=all`, { headers: { cookie: ann.hub } })
  t.equal((await application.post('/orders', { cookie: ann.own }, { item: 'milk' })).status, 200)
  await stream.count(2)
  t.strictSame(told(stream), ['placed milk', 'confirmed milk'])

  t.equal(await application.stop(), 0)
  await stream.closed
  await application.start()
  const again = await application.logIn('ann')
  const resumed = await openStream(t, orders, { headers: { cookie: again.hub }, lastEventId: stream.events[1]!.id! })
  await application.post('/orders', { cookie: again.own }, { item: 'bread' })
  await resumed.count(2)
  t.strictSame(
    told(resumed),
    ['placed bread', 'confirmed bread'],
    'page and worker resume, and no order is confirmed twice',
  )
  t.equal(await application.stop(), 0)
  t.notMatch(application.output, /"level":(50|60)/, 'no error is logged')
})
