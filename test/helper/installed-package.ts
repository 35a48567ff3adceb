/** The package as `npm pack` makes it, installed in a folder as an application has it. */
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'

const run = promisify(execFile)
export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** The time limit for `npm pack` on a busy machine, in milliseconds. */
const TIMEOUT = 240_000

/**
 * Packs the package, and installs it beside its dependencies.
 * @param files the files of the application
 * @param more further packages to install
 * @returns the folder of the application
 */
export async function installPackage(
  t: Test,
  files: Record<string, string>,
  more: readonly string[] = [],
): Promise<string> {
  const folder = t.testdir({ 'package.json': '{ "type": "module" }', ...files })
  const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: ROOT,
    timeout: TIMEOUT,
  })
  const answer = JSON.parse(packed.stdout) as { filename: string }[] | Record<string, { filename: string }>
  const [archive] = Object.values(answer)
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, 'fanfare'), { recursive: true })
  await run('tar', ['-xzf', join(folder, archive!.filename), '-C', join(modules, 'fanfare'), '--strip-components=1'])
  const { dependencies } = JSON.parse(readFileSync(join(modules, 'fanfare/package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  for (const name of [...Object.keys(dependencies), ...more]) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  }
  return folder
}
