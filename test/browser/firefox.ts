/**
 * Firefox as users have it: on the path or, on Debian as root, installed with apt-get. WebDriver BiDi drives it.
 * playwright-core cannot do that: it sends commands that an extended support release does not know.
 */
import { launch, type Browser } from 'puppeteer-core'
import type { Test } from 'tap'
import { findOrInstall } from '../helper/apt.js'

const INSTALL = 'apt-get install firefox-esr'

/** Returns the path of Firefox; `undefined` if there is none and it cannot be installed. */
export function findFirefox(): string | undefined {
  return findOrInstall(['firefox-esr', 'firefox'], 'firefox-esr')
}

/** Returns why the tests are skipped, or `false`. In CI, a missing Firefox fails them instead. */
export function skipWithoutFirefox(path: string | undefined): string | false {
  return path === undefined && process.env['CI'] === undefined ? `there is no Firefox: ${INSTALL}` : false
}

/** Starts Firefox. It is closed when the test is over. */
export async function startFirefox(t: Test, executablePath: string | undefined): Promise<Browser> {
  if (executablePath === undefined) throw new Error(`there is no Firefox: ${INSTALL}`)
  const browser = await launch({ browser: 'firefox', executablePath })
  t.teardown(() => browser.close())
  return browser
}
