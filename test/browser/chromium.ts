/** The browser of the tests: Chromium on the path or, on Debian as root, installed with apt-get. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chromium, type Browser } from 'playwright-core'
import type { Test } from 'tap'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const INSTALL = 'apt-get install chromium'
/** The time limit for waiting for another installation, in seconds. */
const TIME_LIMIT = 120

/** Returns the path of the browser; `undefined` if there is none and it cannot be installed. */
export function findChromium(): string | undefined {
  return find() ?? (canInstall() && install() ? find() : undefined)
}

/** Returns why the tests are skipped, or `false`. In CI, a missing browser fails them instead. */
export function skipWithout(path: string | undefined): string | false {
  return path === undefined && process.env['CI'] === undefined ? `there is no browser: ${INSTALL}` : false
}

/** Starts the browser with further arguments. It is closed when the test is over. */
export async function startChromium(
  t: Test,
  executablePath: string | undefined,
  more: string[] = [],
): Promise<Browser> {
  if (executablePath === undefined) throw new Error(`there is no browser: ${INSTALL}`)
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [] // chromium refuses to run as root with it
  const browser = await chromium.launch({ executablePath, args: [...args, '--disable-dev-shm-usage', ...more] })
  t.teardown(() => browser.close())
  return browser
}

function find(): string | undefined {
  for (const name of NAMES) {
    const { status, stdout } = spawnSync('which', [name], { encoding: 'utf8' })
    if (status === 0) return stdout.trim()
  }
  return undefined
}

function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version')
}

function install(): boolean {
  const run = (...args: string[]) =>
    spawnSync('apt-get', ['-o', `DPkg::Lock::Timeout=${TIME_LIMIT}`, '-qq', ...args], {
      stdio: 'ignore',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }).status === 0
  const installPackage = () => run('install', '--yes', '--no-install-recommends', 'chromium')
  return installPackage() || (run('update') && installPackage())
}
