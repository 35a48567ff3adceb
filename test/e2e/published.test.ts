/** Both packages as `npm publish` would send them: their files, their types, their licences, and a first run. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import t, { type Test } from 'tap'
import { licences, notices, refusedLicences } from '../../scripts/licences.js'
import { poll } from '../helper/deadline.js'
import { freePort } from '../helper/free-port.js'
import { pack, type Packed } from '../helper/packed.js'

/** The time limit in milliseconds, which includes the installation of the dependencies by npm. */
const TIMEOUT = 240_000
t.setTimeout(TIMEOUT)
const folder = mkdtempSync(join(tmpdir(), 'fanfare-packed-'))
t.teardown(() => {
  rmSync(folder, { recursive: true, force: true })
})
const [hub, client] = [await pack(folder), await pack(folder, 'packages/client')]

/** Returns the Markdown files of a package. */
function markdown({ folder }: Packed): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'))
}

function deadLinks(packed: Packed): string[] {
  return markdown(packed).flatMap((page) => {
    const prose = readFileSync(join(packed.folder, page), 'utf8').replaceAll(/^ *```[^]*?^ *```/gm, '')
    return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link]) => link!.replace(/#.*/, ''))
      .filter((link) => link !== '' && !/^[a-z]+:/.test(link))
      .filter((link) => !existsSync(join(packed.folder, dirname(page), link)))
      .map((link) => `${page}: ${link}`)
  })
}

for (const packed of [hub, client]) {
  await t.test(packed.name, async (t) => {
    t.ok(markdown(packed).includes('README.md'))
    t.strictSame(deadLinks(packed), [], 'each link of its Markdown leads to a file of the package')
    t.ok(existsSync(join(packed.folder, 'LICENSE')))

    const { messages, pkg } = await publint({ pkgDir: packed.folder, pack: false })
    t.strictSame(
      messages.map((message) => formatMessage(message, pkg, { color: false })),
      [],
      'publint finds nothing',
    )

    const analysis = await checkPackage(createPackageFromTarballData(readFileSync(packed.archive)))
    if (!analysis.types) throw new Error('the package has no types')
    // the package has ES modules only: CommonJS and the resolution of Node 10 are not supported
    const problems = analysis.problems.filter(
      (problem) => !('resolutionKind' in problem) || !['node10', 'node16-cjs'].includes(problem.resolutionKind),
    )
    t.strictSame(
      problems.map((problem) => JSON.stringify(problem)),
      [],
      'its types resolve as its modules do',
    )
  })
}

await t.test('the licences of the dependencies are allowed', async (t) => {
  t.ok(licences().length > 100)
  t.strictSame(refusedLicences(licences()), [])
  t.equal(refusedLicences(licences({ 'node_modules/x': { version: '1.0.0', license: 'GPL-3.0' } })).length, 1)
  t.equal(refusedLicences(licences({ 'node_modules/x': { version: '1.0.0' } })).length, 1, 'a missing one is refused')
  t.strictSame(licences({ 'node_modules/x': { version: '1.0.0', license: 'GPL-3.0', dev: true } }), [])
  for (const { name, text } of notices()) t.match(text, /copyright/i, `the notice of ${name}`)
})

/** Runs a command to its end without the module loader of the test runner, and returns its output. */
async function run(t: Test, cwd: string, command: string, env: Record<string, string> = {}): Promise<string> {
  const child = spawnShell(t, cwd, command, env)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const [exitCode] = (await once(child, 'close')) as [number | null]
  if (exitCode !== 0) throw new Error(`${command} ended with ${exitCode}: ${output}`)
  return output
}

function spawnShell(t: Test, cwd: string, command: string, env: Record<string, string>) {
  const variables = Object.entries({ PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? cwd, ...env })
  const child = spawn('env', ['-i', ...variables.map(([name, value]) => `${name}=${value}`), 'sh', '-c', command], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a process group of its own, which the teardown kills
  })
  t.teardown(() => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // the processes have ended already
    }
  })
  return child
}

await t.test('both packages work in an empty folder', { timeout: TIMEOUT }, async (t) => {
  const app = join(folder, 'app')
  mkdirSync(app)
  writeFileSync(join(app, 'package.json'), '{ "type": "module" }')
  const archives = `'${hub.archive}' '${client.archive}'`
  await run(t, app, `npm install --prefer-offline --ignore-scripts --no-audit --no-fund --silent ${archives}`)

  const env = { PORT: String(await freePort()) }
  const bin = 'node_modules/.bin/fanfare'
  t.match(await run(t, app, `${bin} --version`), /^\d+\.\d+\.\d+/)
  const started = spawnShell(t, app, `exec ${bin}`, env)
  started.stdout.resume()
  started.stderr.resume()
  await poll(
    async () => ((await fetch(`http://127.0.0.1:${env.PORT}/status`).catch(() => undefined))?.ok ? true : undefined),
    () => 'the hub does not listen',
  )
  await run(t, app, `${bin} publish orders.42 '{"total":12}'`, env)
  t.match(await run(t, app, `${bin} subscribe orders.42 --replay all --count 1 --raw`, env), /\{"total":12\}/)

  const script = `import { connect } from 'fanfare-client'
    const token = (await import('node:child_process')).execFileSync(process.execPath, ['${bin}', 'token',
      '--secret-file', 'data/development-secret', '--subscribe', '**', '--expires', '1h'], { encoding: 'utf8' }).trim()
    const hub = connect('http://127.0.0.1:${env.PORT}', { token })
    for await (const { data } of hub.events('orders.42', { from: 'start' })) {
      console.log(data.total)
      break
    }
    hub.close()`
  writeFileSync(join(app, 'client.js'), script)
  t.equal(await run(t, app, 'node client.js'), '12\n', 'the client reads an event')
})
