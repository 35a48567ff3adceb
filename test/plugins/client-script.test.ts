import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import Fastify from 'fastify'
import t from 'tap'
import fanfare from '../../src/index.js'
import { SECRET } from '../helper/token.js'
import { isProblem, openApp } from '../routes/open-app.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** The maximum size of the file, compressed, in bytes: the core with what it loads later. */
const LIMIT = 12 * 1024

t.setTimeout(240_000)

await t.test('the hub serves its client as one module for pages of every origin', async (t) => {
  const { app } = await openApp(t, { corsOrigins: ['https://app.example'] })
  for (const headers of [{}, { origin: 'https://app.example' }, { origin: 'null' }, { authorization: 'Bearer no' }]) {
    const { statusCode, headers: answered, body } = await app.inject({ url: '/client.js', headers })
    t.equal(statusCode, 200)
    t.match(answered, {
      'content-type': /^(?:text|application)\/javascript; charset=utf-8$/,
      'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
      'cache-control': 'public, max-age=3600',
    })
    t.equal(answered['access-control-allow-credentials'], undefined)
    t.notMatch(body, /\bimport\s*(?:\(|['"{])/, 'the file imports no other file')
    t.ok(gzipSync(body).length < LIMIT, `${gzipSync(body).length} bytes`)
  }
})

await t.test('a cache asks whether the file has changed, and a page may add a version', async (t) => {
  const { app } = await openApp(t)
  const { headers } = await app.inject('/client.js?v=1')
  const again = await app.inject({ url: '/client.js', headers: { 'if-none-match': String(headers.etag) } })
  t.equal(again.statusCode, 304)
  t.equal(again.headers['access-control-allow-origin'], '*')
  const part = await app.inject({ url: '/client.js', headers: { range: 'bytes=99999999-' } })
  t.equal(part.statusCode, 200, 'a script has no parts')
  t.equal((await app.inject({ method: 'HEAD', url: '/client.js' })).statusCode, 200)
  isProblem(t, await app.inject({ method: 'POST', url: '/client.js' }), 405, 'method-not-allowed')
})

await t.test('the file is there without the console, and below the prefix of an application', async (t) => {
  const { app } = await openApp(t, { console: false })
  t.equal((await app.inject('/client.js')).statusCode, 200)
  const application = Fastify()
  t.teardown(() => application.close())
  await application.register(fanfare, { log: 'memory', jwtSecret: SECRET, prefix: '/realtime' })
  t.equal((await application.inject('/realtime/client.js')).statusCode, 200)
  t.equal((await application.inject('/client.js')).statusCode, 404)
})

await t.test('the module exports the client', async (t) => {
  const { app } = await openApp(t)
  const { body } = await app.inject('/client.js')
  const module = (await import(`data:text/javascript,${encodeURIComponent(body)}`)) as Record<string, unknown>
  t.type(module['connect'], 'function')
  t.type(module['HubError'], 'function')
})

await t.test('the packed package has the file', { timeout: 240_000 }, async (t) => {
  const pack = ['pack', '--dry-run', '--ignore-scripts', '--json']
  const { stdout } = await promisify(execFile)('npm', pack, { cwd: ROOT })
  t.match(stdout, '"dist/client/client.js"')
})
