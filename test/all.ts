/**
 * Runs all tests, or those of its arguments: each file in a process of its own. `npm test` runs this file, and
 * `npx tap run <file>` a single test.
 *
 * The tests are compiled first, since Node 20 loads every module through another thread while there is a hook for
 * TypeScript: without it, a test of the whole hub begins in a quarter of the time.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { compiledPath, compileTests } from '../scripts/compile-tests.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

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

compileTests()
t.setTimeout(0)
t.jobs = Number(process.env['TAP_JOBS']) // as .taprc says, or the command line
const files = process.argv.slice(2)
for (const file of files.length > 0 ? files : allTests()) {
  const [args, env] = commandOf(file)
  const timeout = Number(process.env['TAP_TIMEOUT']) * 1_000
  void t.spawn(
    process.execPath,
    args,
    { at: null, stack: '', buffered: true, timeout, cwd: ROOT, env, externalID: file },
    file,
  )
}
