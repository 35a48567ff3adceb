/**
 * Runs all tests, or those of its arguments: each file in a process of its own. `npm test` runs this file, and
 * `npx tap run <file>` a single test.
 *
 * Tests that take minutes come last. With `TEST_SECONDS`, the time for all tests, those for which no time is left are
 * skipped.
 *
 * The tests are compiled first, since Node 20 loads every module through another thread while there is a hook for
 * TypeScript: without it, a test of the whole hub begins in a quarter of the time.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { compiledPath, compileTests } from '../scripts/compile-tests.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The tests that take minutes. */
const LONG = new RegExp(
  `^test/(at-length/|${[
    'browser/console/(events|nodes|outage|pages)',
    'docs/guides',
    'e2e/(damaged-store|full-disk|log-contract|types)',
  ].join('|')})`,
)
/** The time that one of them may need on a slow machine, in seconds. */
const LONG_TIME = 320

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

async function run(file: string): Promise<void> {
  const [args, env] = commandOf(file)
  const timeout = Number(process.env['TAP_TIMEOUT']) * 1_000
  const options = { at: null, stack: '', buffered: true, timeout, cwd: ROOT, env, externalID: file }
  await t.spawn(process.execPath, args, options, file)
}

/** Returns the time that is left, in seconds. */
function timeLeft(): number {
  return Number(process.env['TEST_SECONDS'] ?? Infinity) - performance.now() / 1_000
}

compileTests()
t.setTimeout(0)
t.jobs = Number(process.env['TAP_JOBS']) // as .taprc says, or the command line
const chosen = process.argv.slice(2)
const files = chosen.length > 0 ? chosen : allTests()
await Promise.all(files.filter((file) => !LONG.test(file)).map(run))

const long = files.filter((file) => LONG.test(file))
/** Runs long tests one after the other, as long as there is time. */
async function runLong(): Promise<void> {
  for (let file: string | undefined; (file = long.shift()) !== undefined;) {
    if (timeLeft() > LONG_TIME) await run(file)
    else await t.test(file, { skip: 'no time is left on this machine' }, () => undefined)
  }
}
await Promise.all(Array.from({ length: t.jobs }, runLong))
