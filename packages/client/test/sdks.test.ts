/** The plug points with the packages that they are for, on a Node.js that these packages support. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { env, execPath, versions } from 'node:process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { installSdks, linkSdks } from '../../../test/helper/ai-sdks.js'
import { within } from '../../../test/helper/deadline.js'
import { startHub } from '../../../test/helper/process.js'
import { anyGrants } from './hubs.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const FOLDER = fileURLToPath(new URL('sdks/', import.meta.url))
/** The file that the compiler checks, and how: with the built types of the client. */
const TYPES = 'types.mts'
const COMPILER = {
  ...{ noEmit: true, strict: true, exactOptionalPropertyTypes: true, skipLibCheck: true },
  ...{ module: 'nodenext', target: 'es2023', types: [] },
  lib: ['es2023', 'dom', 'dom.iterable', 'dom.asynciterable'],
}
/** The time limit of a script on a busy machine, and that of fetching Node.js, in milliseconds. */
const LIMIT = 120_000
const FETCH_LIMIT = 60_000
/** The major version of Node.js that the packages need. */
const NEEDED = 22

/** The environment without the module loader of the test runner. */
const bare = { ...env, NODE_OPTIONS: '' }

/** Returns the path of a Node.js for the packages; `undefined`: there is none. */
function findNode(): string | undefined {
  if (Number.parseInt(versions.node) >= NEEDED) return execPath
  const npx = ['-y', '--fetch-retries=0', 'node@24', '--print', 'process.execPath']
  const { status, stdout } = spawnSync('npx', npx, { env: bare, encoding: 'utf8', timeout: FETCH_LIMIT })
  return status === 0 ? stdout.trim() : undefined
}

const node = findNode()
const modules = node && installSdks()
const skip = modules === undefined && 'the registry of npm cannot be reached'

/** Returns the results that a script prints, one per line. */
async function linesOf(name: string, folder: string, url: string): Promise<unknown[]> {
  copyFileSync(join(FOLDER, `${name}.mjs`), join(folder, `${name}.mjs`))
  const output = await run(folder, [`${name}.mjs`], { HUB: url, TOKEN: anyGrants() })
  const lines = output.trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as unknown)
}

/** Runs Node.js in a folder. Returns its output. @throws if it fails */
async function run(folder: string, args: readonly string[], variables: Record<string, string> = {}): Promise<string> {
  const child = spawn(node!, args, {
    cwd: folder,
    env: { ...bare, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  t.teardown(() => child.kill('SIGKILL'))
  const [code] = (await within(once(child, 'close'), () => `${args[0]}: ${output}${errors}`, LIMIT)) as [number | null]
  if (code !== 0) throw new Error(`${args[0]} ended with ${code}: ${output}${errors}`)
  return output
}

await t.test('the types are those of the SDKs', { skip }, async (t) => {
  const folder = t.testdir({
    'package.json': '{ "type": "module" }',
    'tsconfig.json': JSON.stringify({ compilerOptions: COMPILER, files: [TYPES] }),
  })
  linkSdks(folder, modules!)
  copyFileSync(join(FOLDER, TYPES), join(folder, TYPES))
  t.equal(await run(folder, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.']), '')
})

await t.test('each SDK reads, resumes and stops answers', { skip }, async (t) => {
  const folder = t.testdir({ 'package.json': '{ "type": "module" }' })
  linkSdks(folder, modules!)
  const { url } = await startHub(t)
  const [aiSdk, assistantUi, tanstackAi] = await Promise.all(
    ['ai-sdk', 'assistant-ui', 'tanstack-ai'].map((name) => linesOf(name, folder, url)),
  )
  const chat = ['ready', 'user: Count', 'assistant: One two three four five.']
  t.strictSame(aiSdk, [
    ['whole', chat, chat, chat],
    ['nothing', ['ready']],
    ['stopped', 'ready', 'ready', true],
  ])
  const words = 'w0 w1 w2 w3 w4 '
  const failure = 'failed: no more words'
  t.strictSame(assistantUi, [
    ['whole', words, words, words, words, 'done'],
    ['missing', null, 'missing'],
    ['failed', failure, failure, 'error'],
    ['stopped', true, true],
    ['deleted', 'missing'],
  ])
  const run = `CUSTOMRUN_STARTED${words}RUN_FINISHED`
  t.strictSame(tanstackAi, [
    ['resumed', run],
    ['joined', run],
    ['unknown', 'RUN_ERROR'],
    ['stopped', 'RUN_ERROR', true, 'aborted'],
    ['stopped', 'RUN_ERROR', true, 'aborted'],
  ])
})
