import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { AppSettings } from '../../src/app.js'
import { forwardedPrefix, hasPassedProxy } from '../../src/server/forwarded-prefix.js'
import { isProblem, openApp } from '../routes/open-app.js'

/** Headers that a trusted proxy sets. */
const PROXY = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https', host: 'app.example' }
const text = { 'content-type': 'text/plain' }

/** Returns the prefix that the hub reads from a header. */
async function prefixOf(t: Test, header: string | string[], trustProxy = true) {
  const app: FastifyInstance = Fastify({ trustProxy })
  t.teardown(() => app.close())
  app.get('/', async (request) => ({ prefix: forwardedPrefix(request) ?? null, passed: hasPassedProxy(request) }))
  const headers = { ...PROXY, 'x-forwarded-prefix': header }
  return (await app.inject({ url: '/', headers })).json<{ prefix: string | null; passed: boolean }>()
}

await t.test('the prefix is a path, or several that are joined', async (t) => {
  for (const [header, prefix] of [
    ['/hub', '/hub'],
    ['/hub/', '/hub'],
    ['/', ''],
    ['', ''],
    ['/a, /b', '/a/b'],
    ['/, /b/', '/b'],
    ['/a/b.c~1/%C3%A9', '/a/b.c~1/%C3%A9'],
  ] as const)
    t.strictSame(await prefixOf(t, header), { prefix, passed: true }, header)
})

await t.test('anything else is ignored, such as another host', async (t) => {
  for (const header of ['hub', '//evil.example', '/hub//x', '/a b', '/a?b', '/a#b', '/"', '/%', 'https://x', '/a,//b'])
    t.equal((await prefixOf(t, header)).prefix, null, header)
})

await t.test('the header of a client is ignored', async (t) => {
  t.equal((await prefixOf(t, '/hub', false)).prefix, null)
  const { send } = await openApp(t)
  const headers = { ...PROXY, 'x-forwarded-prefix': '/hub' }
  t.equal(isProblem(t, await send({ url: '/nothing', headers }), 404, 'not-found').type, '/errors/not-found')
})

async function create(t: Test, headers: Record<string, string>, settings: AppSettings = { trustProxy: 1 }) {
  const { send } = await openApp(t, settings)
  return send({ method: 'PUT', url: '/streams/chats/a:b', headers: { ...text, ...headers } })
}

await t.test('every path in an answer begins with the prefix', async (t) => {
  const { send } = await openApp(t, { trustProxy: 1 })
  const headers = { ...PROXY, 'x-forwarded-prefix': '/hub' }
  t.equal(isProblem(t, await send({ url: '/nothing', headers }), 404, 'not-found').type, '/hub/errors/not-found')
  t.match((await send({ method: 'POST', url: '/sessions', headers })).headers['set-cookie'], /; Path=\/hub;/)
  const created = await create(t, headers)
  t.equal(created.headers.location, 'https://app.example/hub/streams/chats/a:b')
})

await t.test('the source of a fork may have the prefix', async (t) => {
  const { send } = await openApp(t, { trustProxy: 1 })
  const headers = { ...PROXY, ...text, 'x-forwarded-prefix': '/hub' }
  await send({ method: 'PUT', url: '/streams/source', headers, payload: 'Hello' })
  for (const [n, from] of ['/hub/streams/source', '/streams/source', '/source', 'source'].entries()) {
    const url = `/streams/fork${n}`
    const forked = await send({ method: 'PUT', url, headers: { ...headers, 'stream-forked-from': from } })
    t.equal(forked.statusCode, 201, from)
    t.equal((await send({ url })).payload, 'Hello')
  }
})

await t.test('behind a proxy that names no prefix, a Location is relative', async (t) => {
  for (const base of ['https://app.example/hub/streams/chats/a:b', 'https://app.example/streams/chats/a:b']) {
    const { location } = (await create(t, PROXY)).headers
    t.equal(location, './a:b')
    t.equal(new URL(String(location), base).href, base)
  }
  const untrusted = await create(t, { ...PROXY, 'x-forwarded-prefix': '/hub' }, {})
  t.equal(untrusted.headers.location, './a:b')
  const direct = await create(t, { host: 'hub.example', 'x-forwarded-prefix': '/hub' }, {})
  t.equal(direct.headers.location, 'http://hub.example/streams/chats/a:b', 'without a proxy it is absolute')
})

await t.test('a cookie has the longest path above the prefix that a cookie can have', async (t) => {
  const { send } = await openApp(t, { trustProxy: 1 })
  for (const [prefix, path] of [
    ['/x/a;b', '/x'],
    ['/x/a;Domain=evil.example/y', '/x'],
    ['/a;b', '/'],
  ] as const) {
    const session = { origin: 'https://app.example', cookie: 'fanfare_token=x' } // which DELETE clears
    const headers = { ...PROXY, ...session, 'x-forwarded-prefix': prefix }
    for (const method of ['POST', 'DELETE'] as const) {
      const { statusCode, headers: answered } = await send({ method, url: '/sessions', headers })
      t.equal(statusCode, 204, `${method} ${prefix}`)
      t.match(answered['set-cookie'], `; Path=${path};`)
      t.notMatch(answered['set-cookie'], /domain/i)
    }
  }
})

await t.test('a Location is relative if the host or the protocol of a proxy cannot be one', async (t) => {
  for (const wrong of [
    { 'x-forwarded-host': 'a b"<>' },
    { 'x-forwarded-host': 'evil.example/path?' },
    { 'x-forwarded-host': 'a.example,' },
    { 'x-forwarded-proto': 'javascript' },
    { 'x-forwarded-proto': 'https://evil.example/#' },
  ]) {
    const { location } = (await create(t, { ...PROXY, 'x-forwarded-prefix': '/hub', ...wrong })).headers
    t.equal(location, './a:b', JSON.stringify(wrong))
  }
})
