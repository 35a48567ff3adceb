/** `npm run audit` with registries of our own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { bareNode } from '../helper/bare-node.js'
import { freePort } from '../helper/free-port.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const ADVISORY = {
  id: 1,
  url: 'https://example.com/advisory',
  title: 'A fault of the tests',
  severity: 'high',
  vulnerable_versions: '*',
  cwe: [],
  cvss: { score: 8, vectorString: null },
}

/**
 * Runs the audit against a registry that answers in this way.
 * @param packument the description of a package, which npm asks for if there are advisories
 */
async function audit(
  t: Test,
  status: number,
  advisories: unknown,
  packument: unknown = {},
): Promise<{ exitCode: number | null; output: string }> {
  const server = createServer((request, response) => {
    request.resume()
    const body = request.method === 'POST' ? advisories : packument
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  return run(t, (server.address() as AddressInfo).port)
}

/** Runs the audit against the registry on a port. */
async function run(t: Test, port: number): Promise<{ exitCode: number | null; output: string }> {
  const registry = `--registry=http://127.0.0.1:${port}`
  const [program, args] = bareNode(['--import=tsx', 'scripts/audit.ts', registry], { HOME: t.testdir({}) })
  const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const [exitCode] = (await once(child, 'close')) as [number | null]
  return { exitCode, output }
}

await t.test('a known vulnerability is a failure that names the package', async (t) => {
  const version = { name: 'fastify', version: '5.12.8' }
  const packument = { name: 'fastify', versions: { '5.12.8': version }, 'dist-tags': { latest: '5.12.8' } }
  const { exitCode, output } = await audit(t, 200, { fastify: [ADVISORY] }, packument)
  t.equal(exitCode, 1)
  t.match(output, 'audit: fastify (high): A fault of the tests, https://example.com/advisory')
})

await t.test('no known vulnerability is no failure', async (t) => {
  const { exitCode, output } = await audit(t, 200, {})
  t.equal(exitCode, 0)
  t.equal(output, 'audit: no vulnerability of a dependency is known\n')
})

await t.test('advisories without a description of their package are a failure', async (t) => {
  const { exitCode, output } = await audit(t, 200, { fastify: [ADVISORY] })
  t.equal(exitCode, 1)
  t.match(output, /^audit: failed: .+\n$/)
})

await t.test('a registry that answers no audit is one line', async (t) => {
  const { exitCode, output } = await audit(t, 405, {})
  t.equal(exitCode, 0)
  t.match(output, /^audit: skipped, the registry answers no audit: 405 .+\n$/)
})

await t.test('a registry that cannot be reached is one line', async (t) => {
  const { exitCode, output } = await run(t, await freePort())
  t.equal(exitCode, 0)
  t.match(output, /^audit: skipped, the registry answers no audit: .*ECONNREFUSED.*\n$/)
})
