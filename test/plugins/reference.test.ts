/** The routes of the OpenAPI document and its page. */
import { readFileSync } from 'node:fs'
import swagger from '@fastify/swagger'
import helmet from '@fastify/helmet'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import fanfare, { type FanfareOptions } from '../../src/index.js'
import type { OpenApi } from '../../src/openapi/open-api.js'
import { STYLE } from '../../src/openapi/page/style.js'
import { SECRET } from '../helper/token.js'
import { isProblem, openApp } from '../routes/open-app.js'

const CSP =
  "default-src 'none';script-src 'self';style-src 'self';img-src 'self' data:;connect-src 'self';base-uri 'none';form-action 'none';frame-ancestors 'none'"
const TYPES = {
  '/openapi.json': 'application/json; charset=utf-8',
  '/docs': 'text/html; charset=utf-8',
  '/docs/reference.css': 'text/css; charset=utf-8',
}

function embed(t: Test, options: FanfareOptions, app = Fastify()): FastifyInstance {
  t.teardown(() => app.close())
  void app.register(fanfare, { log: 'memory', jwtSecret: SECRET, ...options })
  return app
}

await t.test('document and page have the headers of the console, and can be cached', async (t) => {
  const { app } = await openApp(t)
  for (const [url, type] of Object.entries(TYPES)) {
    const answer = await app.inject(url)
    t.equal(answer.statusCode, 200, url)
    t.match(answer.headers, { 'content-type': type, 'content-security-policy': CSP, 'cache-control': 'no-cache' })
    t.match(answer.headers, { 'x-content-type-options': 'nosniff' })
    const etag = String(answer.headers.etag)
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const unchanged = await app.inject({ url, headers: { 'if-none-match': known } })
      t.strictSame([unchanged.statusCode, unchanged.body, unchanged.headers.etag], [304, '', etag], known)
    }
    t.equal((await app.inject({ url, headers: { 'if-none-match': '"x"' } })).statusCode, 200)
    const head = await app.inject({ method: 'HEAD', url })
    t.strictSame([head.statusCode, head.body], [200, ''])
    t.equal(Number(head.headers['content-length']), answer.rawPayload.length)
    isProblem(t, await app.inject({ method: 'POST', url }), 405, 'method-not-allowed')
  }
  t.notOk((await app.inject('/status')).headers['content-security-policy'], 'the API does not have these headers')
})

await t.test('the page has no script, and loads files of the hub only', async (t) => {
  const { app } = await openApp(t)
  const { body } = await app.inject('/docs')
  t.notMatch(body, /<script|<style|style=|javascript:|https?:\/\//)
  const urls = [...body.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, url]) => url!)
  t.strictSame(urls.sort(), ['data:,', 'docs/reference.css', 'openapi.json'])
  t.match(body, /<code class="name">Idempotency-Key<\/code>/)
})

await t.test('the colours of the page are those of the console', (t) => {
  const console = readFileSync(new URL('../../src/console/styles/colors.css', import.meta.url), 'utf8')
  const coloursIn = (css: string) =>
    css.split('prefers-color-scheme: dark').map((part) => [...part.matchAll(/--[\w-]+: #\w+/g)].map(String))
  for (const [theme, colours] of coloursIn(STYLE).entries()) {
    t.ok(colours.length > 5)
    t.strictSame(
      colours.filter((colour) => !coloursIn(console)[theme]!.includes(colour)),
      [],
    )
  }
  t.end()
})

await t.test('the page escapes the text of schemas', async (t) => {
  const { schemaFile } = await import('../hub/typed-topics/schema-file.js')
  const evil = { description: '<script>alert(1)</script> & "x"', properties: { '<b>': { const: "</code>'" } } }
  const { app } = await openApp(t, { schemas: schemaFile(t, { a: evil }) })
  const { body } = await app.inject('/docs')
  t.notMatch(body, /<script|<b>/)
  t.match(body, '&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;x&quot;')
})

await t.test('FANFARE_DOCS turns both off, apart from the console', async (t) => {
  const { app } = await openApp(t, { docs: false })
  for (const url of [...Object.keys(TYPES), '/docs/']) isProblem(t, await app.inject(url), 404, 'not-found')
  t.equal((await app.inject('/')).statusCode, 200)
  const { app: other } = await openApp(t, { console: false })
  t.equal((await other.inject('/docs')).statusCode, 200)
  t.notOk('/' in (await other.inject('/openapi.json')).json<OpenApi>().paths)
})

await t.test('both are below the prefix, which is the server of the document', async (t) => {
  const app = embed(t, { prefix: '/live/:tenant' })
  const document = (await app.inject('/live/one/openapi.json')).json<OpenApi>()
  for (const folder of ['http://app/live/one/', 'http://app/proxy/live/one/'])
    t.equal(new URL(document.servers[0]!.url, `${folder}openapi.json`).href, folder, 'whatever a proxy has removed')
  t.ok('/topics/{topic}/events' in document.paths)
  t.ok('/' in document.paths)
  const moved = await app.inject('/live/one/docs/')
  t.equal(moved.statusCode, 302)
  t.equal(new URL(String(moved.headers.location), 'http://app/live/one/docs/').pathname, '/live/one/docs')
  t.equal((await app.inject('/live/one/docs/reference.css')).statusCode, 200)
  t.equal((await app.inject('/docs')).statusCode, 404)
  t.equal(Object.keys(document)[0], 'openapi')
})

await t.test('without a prefix, an application keeps its own paths', async (t) => {
  const app = embed(t, {})
  app.get('/docs', async () => 'of the application')
  app.get('/openapi.json', async () => 'of the application')
  t.equal((await app.inject('/docs')).body, 'of the application')
  t.equal((await embed(t, { docs: true }).inject('/docs')).headers['content-type'], TYPES['/docs'])
})

await t.test('a router that ignores slashes at the end still serves the page', async (t) => {
  const app = embed(t, { prefix: '/hub' }, Fastify({ routerOptions: { ignoreTrailingSlash: true } }))
  t.equal((await app.inject('/hub/docs')).statusCode, 200)
  t.equal((await app.inject('/hub/docs/')).headers.location, '../docs')
  t.equal((await app.inject('/hub/openapi.json/')).headers.location, '../openapi.json')
})

await t.test('an application may use @fastify/swagger and @fastify/helmet itself', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(helmet)
  await app.register(swagger, { openapi: { openapi: '3.1.0', info: { title: 'The application', version: '1' } } })
  await app.register(fanfare, { log: 'memory', jwtSecret: SECRET, prefix: '/hub' })
  app.get('/own', { schema: { summary: 'of the application' } }, async () => 'own')
  app.get('/docs', async () => 'of the application')
  await app.ready()
  const own = app.swagger() as unknown as OpenApi
  t.equal(own.info.title, 'The application')
  t.ok('/own' in own.paths)
  const document = (await app.inject('/hub/openapi.json')).json<OpenApi>()
  t.equal(document.info.title, 'Fanfare')
  t.notOk('/own' in document.paths)
  t.equal((await app.inject('/hub/docs')).headers['content-security-policy'], CSP)
  t.equal((await app.inject('/docs')).body, 'of the application')
})
