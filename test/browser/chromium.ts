/**
 * The browser of the tests: Chromium on the path or, on Debian as root, installed with apt-get. Its headless shell
 * takes less CPU time.
 */
import { chromium, type Browser } from 'playwright-core'
import type { Test } from 'tap'
import { findOrInstall } from '../helper/apt.js'

const NAMES = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const PACKAGE = 'chromium-headless-shell'
const INSTALL = `apt-get install ${PACKAGE}`

/** Returns the path of the browser; `undefined` if there is none and it cannot be installed. */
export function findChromium(): string | undefined {
  return findOrInstall(NAMES, PACKAGE)
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
