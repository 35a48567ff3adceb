/** The package as `npm pack` makes it, installed in a folder as an application has it. */
import { mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { pack, ROOT } from './packed.js'

export { ROOT }

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
  const { folder: packed } = await pack(folder)
  const modules = join(folder, 'node_modules')
  mkdirSync(modules)
  renameSync(packed, join(modules, 'fanfare'))
  const { dependencies } = JSON.parse(readFileSync(join(modules, 'fanfare/package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  for (const name of [...Object.keys(dependencies), ...more]) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  }
  return folder
}
