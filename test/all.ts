/**
 * Runs all tests, or those of its arguments: each file in a process of its own. `npm test` runs this file, and
 * `npx tap run <file>` a single test.
 *
 * The tests of `test/at-length` come last. With `TEST_SECONDS`, the time for all tests, they are skipped on a machine
 * that is too slow for them.
 *
 * The tests are compiled first, since Node 20 loads every module through another thread while there is a hook for
 * TypeScript: without it, a test of the whole hub begins in a quarter of the time.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { compiledPath, compileTests } from '../scripts/compile-tests.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The time that the tests of `test/at-length` need together on a slow machine, in seconds. */
const LONG = 400

/** Returns the paths of all tests, which are relative to the package. */
function allTests(): string[] {
  return ['packages/client/test', 'test'].flatMap((folder) =>
    readdirSync(ROOT + folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts'))
      .sort()
      .map((name) => `${folder}/${name}`),
  )
}

/** Returns the arguments and the environment of a test. `t.mockImport` needs the hooks that this process has. */
function commandOf(file: string): [args: string[], env: NodeJS.ProcessEnv] {
  const { execArgv, env } = process
  if (readFileSync(ROOT + file, 'utf8').includes('t.mockImport')) return [[...execArgv, ROOT + file], env]
  return [['--enable-source-maps', compiledPath(file)], { ...env, NODE_OPTIONS: '' }]
}

/** Runs tests, as many at once as .taprc or the command line says. */
async function run(files: readonly string[]): Promise<void> {
  const timeout = Number(process.env['TAP_TIMEOUT']) * 1_000
  const running = files.map((file) => {
    const [args, env] = commandOf(file)
    const options = { at: null, stack: '', buffered: true, timeout, cwd: ROOT, env, externalID: file }
    return t.spawn(process.execPath, args, options, file)
  })
  await Promise.all(running)
}

compileTests()
t.setTimeout(0)
t.jobs = Number(process.env['TAP_JOBS'])
const chosen = process.argv.slice(2)
const files = chosen.length > 0 ? chosen : allTests()
const isLong = (file: string) => file.startsWith('test/at-length/')
await run(files.filter((file) => !isLong(file)))
const long = files.filter(isLong)
const left = Number(process.env['TEST_SECONDS'] ?? Infinity) - performance.now() / 1_000
if (left > LONG) await run(long)
else for (const file of long) void t.test(file, { skip: 'no time is left on this machine' }, () => undefined)
