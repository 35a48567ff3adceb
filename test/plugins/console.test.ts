import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import helmet from '@fastify/helmet'
import files from '@fastify/static'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import fanfare, { type FanfareOptions } from '../../src/index.js'
import { SECRET } from '../helper/token.js'
import { isProblem, openApp } from '../routes/open-app.js'

const ROOT = fileURLToPath(new URL('../../dist/console/', import.meta.url))
/** The maximum size of all files, compressed, in bytes. */
const LIMIT = 100 * 1024

function embed(t: Test, options: FanfareOptions): FastifyInstance {
  const app = Fastify()
  t.teardown(() => app.close())
  void app.register(fanfare, { log: 'memory', jwtSecret: SECRET, ...options })
  return app
}

/** The URLs of the files that the page loads. */
function resourcesOf(html: string): string[] {
  return [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url!)
}

await t.test('the console has headers that allow only its own files', async (t) => {
  const { app } = await openApp(t)
  const page = await app.inject('/')
  t.equal(page.statusCode, 200)
  t.equal(page.headers['content-type'], 'text/html; charset=utf-8')
  t.equal(page.headers['cache-control'], 'no-cache')
  t.equal(
    page.headers['content-security-policy'],
    "default-src 'none';script-src 'self';style-src 'self';img-src 'self' data:;connect-src 'self';base-uri 'none';form-action 'none';frame-ancestors 'none'",
  )
  t.match(page.headers, { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' })
  t.notMatch(page.body, /<style|style=|<script(?![^>]*src=)/, 'the page has no inline scripts or styles')
  const resources = resourcesOf(page.body)
  t.ok(resources.length >= 3, resources.join(' '))
  for (const url of resources) {
    const resource = await app.inject(new URL(url, 'http://hub/').pathname)
    t.equal(resource.statusCode, 200, url)
    t.match(resource.headers, {
      'cache-control': 'public, max-age=31536000, immutable',
      'x-content-type-options': 'nosniff',
    })
  }
  t.notOk((await app.inject('/status')).headers['content-security-policy'], 'the API does not have these headers')
  isProblem(t, await app.inject('/assets/nothing.js'), 404, 'not-found')
  isProblem(t, await app.inject({ method: 'POST', url: '/' }), 405, 'method-not-allowed')
})

await t.test('the console can be disabled', async (t) => {
  const { app } = await openApp(t, { console: false })
  isProblem(t, await app.inject('/'), 404, 'not-found')
  isProblem(t, await app.inject('/index.html'), 404, 'not-found')
})

await t.test('the console is below the prefix', async (t) => {
  const app = embed(t, { prefix: '/live/hub' })
  app.get('/', async () => 'the application')
  const moved = await app.inject('/live/hub')
  t.equal(moved.statusCode, 302)
  t.equal(new URL(String(moved.headers.location), 'http://app/live/hub').href, 'http://app/live/hub/')
  const page = await app.inject('/live/hub/')
  t.equal(page.statusCode, 200)
  for (const url of resourcesOf(page.body)) {
    t.match(url, /^\.\//, 'relative')
    t.equal((await app.inject(new URL(url, 'http://app/live/hub/').pathname)).statusCode, 200, url)
  }
  const own = await app.inject('/')
  t.equal(own.body, 'the application')
  t.notOk(own.headers['content-security-policy'])
})

await t.test('without a prefix, an application keeps its own front page', async (t) => {
  const app = embed(t, {})
  app.get('/', async () => 'the application')
  t.equal((await app.inject('/')).body, 'the application')
  t.equal((await embed(t, { console: true }).inject('/')).headers['content-type'], 'text/html; charset=utf-8')
})

await t.test('an application may use the same plugins', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(helmet, { contentSecurityPolicy: { directives: { defaultSrc: ["'self'"] } } })
  await app.register(files, { root: ROOT, prefix: '/files/' })
  await app.register(fanfare, { log: 'memory', jwtSecret: SECRET, prefix: '/hub' })
  t.match((await app.inject('/hub/')).headers['content-security-policy'], /^default-src 'none';/)
  t.match((await app.inject('/files/index.html')).headers['content-security-policy'], /^default-src 'self';/)
})

await t.test('the console is small', (t) => {
  const sizes = readdirSync(ROOT, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => gzipSync(readFileSync(`${entry.parentPath}/${entry.name}`)).length)
  const size = sizes.reduce((sum, one) => sum + one, 0)
  t.ok(size > 10_000 && size < LIMIT, `${size} bytes compressed`)
  t.end()
})
