/** The memory of a process, also without a free file descriptor. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { residentMemory } from '../../src/hub/resident-memory.js'

const run = promisify(execFile)

await t.test('the memory is told in bytes', (t) => {
  const bytes = residentMemory()
  t.ok(bytes > 10 * 1024 * 1024 && bytes < 16 * 1024 ** 3, `${bytes} bytes`)
  t.end()
})

/** Reads the memory, uses up all file descriptors, and reads it again. */
const PROGRAM = `
import { openSync } from 'node:fs'
import { residentMemory } from ${JSON.stringify(new URL('../../src/hub/resident-memory.ts', import.meta.url).href)}
const first = residentMemory()
let code
while (code === undefined) {
  try {
    openSync('/dev/null')
  } catch (error) {
    code = error.code
  }
}
console.log(JSON.stringify({ code, first, second: residentMemory() }))
`

const canLimit = process.platform === 'linux'
await t.test(
  'a process without a free file descriptor gets the result of the last reading',
  { skip: canLimit ? false : 'other systems read the memory without a file' },
  async (t) => {
    const node = [process.execPath, '--import=tsx', '--input-type=module', '--eval', PROGRAM]
    const { stdout } = await run('sh', ['-c', 'ulimit -n 200; exec "$@"', 'sh', ...node])
    const { code, first, second } = JSON.parse(stdout) as Record<string, unknown>
    t.equal(code, 'EMFILE')
    t.equal(second, first)
  },
)
