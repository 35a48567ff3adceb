import t from 'tap'
import { token } from '../helper/token.js'
import { isProblem, openApp } from './open-app.js'
import { hubOf } from '../../src/plugins/hub.js'

const as = (sub?: string) => ({
  authorization: `Bearer ${token({ ...(sub === undefined ? {} : { sub }), subscribe: ['**'] })}`,
})

await t.test('only a subject can acknowledge, read, list and delete its own cursors', async (t) => {
  const { app, send } = await openApp(t)
  for (const data of [1, 2, 3]) await hubOf(app).publish('a', { data })
  const id = (sequence: number) => `${hubOf(app).epoch}-${sequence}`
  const put = (name: string, body: unknown, headers = as('ada')) =>
    send({ method: 'PUT', url: `/cursors/${name}`, payload: body as object, headers })
  const moved = await put('phone', { id: id(2) })
  t.equal(moved.statusCode, 200)
  t.match(moved.json(), { name: 'phone', id: id(2), expiresAt: /^\d{4}-.*Z$/ })
  t.match((await put('phone', { id: id(1) })).json(), { id: id(2) }, 'the cursor does not move backwards')
  await put('laptop', { id: id(0) })
  t.match((await send({ url: '/cursors', headers: as('ada') })).json(), {
    cursors: [
      { name: 'laptop', id: id(0) },
      { name: 'phone', id: id(2) },
    ],
  })
  t.match((await send({ url: '/cursors/phone', headers: as('ada') })).json(), { name: 'phone', id: id(2) })
  t.strictSame((await send({ url: '/cursors', headers: as('grace') })).json(), { cursors: [] })
  isProblem(t, await send({ url: '/cursors/phone', headers: as('grace') }), 404, 'not-found')
  isProblem(t, await send({ method: 'DELETE', url: '/cursors/phone', headers: as('grace') }), 404, 'not-found')
  t.equal((await send({ method: 'DELETE', url: '/cursors/phone', headers: as('ada') })).statusCode, 204)
  isProblem(t, await send({ url: '/cursors/phone', headers: as('ada') }), 404, 'not-found')
})

await t.test('an id beyond the log or of another log cannot be acknowledged', async (t) => {
  const { app, send } = await openApp(t)
  await hubOf(app).publish('a', { data: 1 })
  const put = (body: unknown, name = 'phone', headers: Record<string, string | null> = as('ada')) =>
    send({ method: 'PUT', url: `/cursors/${name}`, payload: body as object, headers })
  for (const id of [
    `${hubOf(app).epoch}-2`,
    `${hubOf(app).epoch}-99999999999999999999`,
    'zzzzzzzz-1',
    '1',
    '',
    `${hubOf(app).epoch}-01`,
  ])
    isProblem(t, await put({ id }), 400, 'invalid-cursor', id)
  for (const body of [{}, { id: 1 }, { id: `${hubOf(app).epoch}-1`, more: 1 }, []])
    isProblem(t, await put(body), 400, 'invalid-request', JSON.stringify(body))
  for (const name of ['a%20b', 'a.b', '%C3%A4', 'x'.repeat(65), '*'])
    isProblem(t, await put({ id: `${hubOf(app).epoch}-1` }, name), 400, 'invalid-request', name)
  isProblem(t, await put({ id: `${hubOf(app).epoch}-1` }, 'phone', { authorization: null }), 401, 'missing-token')
  isProblem(
    t,
    await put({ id: `${hubOf(app).epoch}-1` }, 'phone', as()),
    403,
    'not-granted',
    'a token without a subject',
  )
  isProblem(t, await send({ url: '/cursors', headers: as() }), 403, 'not-granted')
  t.strictSame((await send({ url: '/cursors', headers: as('ada') })).json(), { cursors: [] })
})

await t.test('with a cookie, moving or deleting a cursor needs an allowed origin', async (t) => {
  const { app } = await openApp(t, { corsOrigins: ['https://app.example.com'] })
  await hubOf(app).publish('a', { data: 1 })
  const cookie = `fanfare_token=${token({ sub: 'ada' })}`
  const payload = { id: `${hubOf(app).epoch}-1` }
  for (const method of ['PUT', 'DELETE'] as const) {
    const options = { method, url: '/cursors/phone', ...(method === 'PUT' ? { payload } : {}) }
    isProblem(t, await app.inject({ ...options, headers: { cookie } }), 403, 'foreign-origin')
    isProblem(
      t,
      await app.inject({ ...options, headers: { cookie, origin: 'https://evil.example.com' } }),
      403,
      'foreign-origin',
    )
    t.ok(
      (await app.inject({ ...options, headers: { cookie, origin: 'https://app.example.com' } })).statusCode < 300,
      method,
    )
  }
})

await t.test('the number of cursors per subject is limited for streams and acknowledgements', async (t) => {
  const { app, send } = await openApp(t, { maxCursorsPerSubject: 2 })
  await hubOf(app).publish('a', { data: 1 })
  const put = (name: string) =>
    send({ method: 'PUT', url: `/cursors/${name}`, payload: { id: `${hubOf(app).epoch}-1` }, headers: as('ada') })
  for (const name of ['one', 'two', 'one']) t.equal((await put(name)).statusCode, 200)
  t.match(isProblem(t, await put('three'), 409, 'too-many-cursors').detail, /FANFARE_MAX_CURSORS_PER_SUBJECT/)
  isProblem(
    t,
    await send({ url: '/topics/a/events?cursor=three', headers: { ...as('ada'), accept: 'text/event-stream' } }),
    409,
    'too-many-cursors',
  )
  const head = await send({
    method: 'HEAD',
    url: '/topics/a/events?cursor=three',
    headers: { ...as('ada'), accept: 'text/event-stream' },
  })
  t.equal(head.statusCode, 200, 'HEAD creates no cursor')
  await send({ method: 'DELETE', url: '/cursors/one', headers: as('ada') })
  t.equal((await put('three')).statusCode, 200)
})
