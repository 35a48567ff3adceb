import { spawn, spawnSync } from 'node:child_process'
import type { Test } from 'tap'
import { DEADLINE, within } from './deadline.js'

/** Why tests with `curl` are skipped, or `false`. They are skipped only without curl, outside CI. */
export const skipCurl: string | false =
  process.env['CI'] === undefined && spawnSync('curl', ['--version']).error !== undefined
    ? 'curl is not installed'
    : false

export interface Curl {
  /** The output so far. */
  readonly output: () => string
  /** Waits until the output satisfies the predicate. */
  readonly until: (predicate: (output: string) => boolean) => Promise<string>
  /** Waits until it has ended, and returns its output. */
  readonly ended: () => Promise<string>
}

/** Runs curl with arguments. It is killed when the test is over. */
export function curl(t: Test, ...args: string[]): Curl {
  return curlWithPrefix(t, [], ...args)
}

/** Runs curl with a prefix of the command line, such as that of a namespace. */
export function curlWithPrefix(t: Test, prefix: readonly string[], ...args: string[]): Curl {
  const [program = '', ...rest] = [...prefix, 'curl', '--silent', '--show-error', ...args]
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => void child.kill('SIGKILL'))
  let output = ''
  let isOver = false
  let look: () => void = () => undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    look()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  const over = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      output += error.message
      resolve()
    })
    child.once('close', resolve)
  }).then(() => {
    isOver = true
    look()
  })

  async function until(predicate: (output: string) => boolean): Promise<string> {
    const satisfied = new Promise<void>((resolve, reject) => {
      look = () => {
        if (predicate(output)) resolve()
        else if (isOver) reject(new Error(`curl has ended: ${output}`))
      }
      look()
    })
    await within(satisfied, () => `curl has printed: ${output}`, DEADLINE)
    return output
  }

  async function ended(): Promise<string> {
    await within(over, () => `curl does not exit: ${output}`, DEADLINE)
    return output
  }

  return { output: () => output, until, ended }
}
