import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { bareNode } from '../helper/bare-node.js'

const run = promisify(execFile)

/** V8 reports unknown flags on stderr and continues. */
await t.test('this version of Node supports the V8 flag of the start command', async (t) => {
  const code = "import('./src/commands/memory.ts').then((memory) => memory.disablePretenuring())"
  const [program, args] = bareNode(['--import', 'tsx', '--eval', code])
  t.strictSame(await run(program, args), { stdout: '', stderr: '' })
  const [, unknown] = bareNode(['--eval', "require('v8').setFlagsFromString('--no-such-flag')"])
  t.match(await run(program, unknown), { stderr: /no-such-flag/ }, 'an unknown flag is reported')
})
