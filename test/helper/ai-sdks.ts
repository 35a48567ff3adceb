/**
 * The packages of the AI SDKs that the client fits into. They are no dependencies, since they need Node.js 22: tests
 * install them in a folder of their own.
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { env } from 'node:process'
import { fileURLToPath } from 'node:url'

const CLIENT = fileURLToPath(new URL('../../packages/client/', import.meta.url))
/** The packages and their versions. */
const SDKS = { ai: '7.0.173', 'assistant-stream': '0.3.57', '@tanstack/ai': '0.58.0' }
/** The time limit of an installation, in milliseconds. */
const TIMEOUT = 60_000

/** The names of the packages. */
export const SDK_NAMES = Object.keys(SDKS)

/**
 * Installs the packages in a folder that all tests share.
 * @returns the path of its `node_modules`; `undefined` if the packages cannot be installed
 */
export function installSdks(): string | undefined {
  const packages = Object.entries(SDKS).map(([name, version]) => `${name}@${version}`)
  const shared = join(tmpdir(), `fanfare-${packages.join('-').replaceAll(/[@/]+/g, '-')}`)
  const modules = join(shared, 'node_modules')
  if (existsSync(shared)) return modules
  const folder = mkdtempSync(`${shared}-`)
  writeFileSync(join(folder, 'package.json'), '{}')
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--fetch-retries=0']
  const { status } = spawnSync('npm', ['install', ...options, ...packages], {
    cwd: folder,
    env: { ...env, NODE_OPTIONS: '' }, // without the module loader of the test runner
    stdio: 'ignore',
    timeout: TIMEOUT,
  })
  if (status === 0) {
    try {
      renameSync(folder, shared)
    } catch {
      // another test was faster
    }
  }
  rmSync(folder, { recursive: true, force: true })
  return existsSync(shared) ? modules : undefined
}

/** Makes the packages and `fanfare-client` importable from a folder. */
export function linkSdks(folder: string, modules: string): void {
  const own = join(folder, 'node_modules')
  mkdirSync(own, { recursive: true })
  for (const name of readdirSync(modules)) {
    if (!name.startsWith('.') && !existsSync(join(own, name))) symlinkSync(join(modules, name), join(own, name))
  }
  if (!existsSync(join(own, 'fanfare-client'))) symlinkSync(CLIENT, join(own, 'fanfare-client'))
}
