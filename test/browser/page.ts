/** Opens pages in a browser, and checks their accessibility and layout. */
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { AxeResults } from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import type { Test } from 'tap'

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const SCREENSHOTS = fileURLToPath(new URL('./screenshots/', import.meta.url))

export interface PageOptions {
  scheme?: 'light' | 'dark'
  width?: number
  height?: number
}

/** Opens a URL in a new tab. An error in the page fails the test. */
export async function openPage(
  t: Test,
  browser: Browser,
  url: string,
  { scheme = 'light', width = 1280, height = 900 }: PageOptions = {},
): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    reducedMotion: 'reduce',
  })
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  page.on('pageerror', (err) => t.fail(`the page: ${err.message}`))
  page.on('console', (message) => {
    if (/Content.Security.Policy/i.test(message.text())) t.fail(`the page: ${message.text()}`)
  })
  await page.goto(url)
  return page
}

/** Returns the faults that axe-core finds in a page (WCAG 2.2 A and AA, and its best practices), one per line. */
async function accessibilityFaults(page: Page): Promise<string[]> {
  // not as a script of the page, whose Content-Security-Policy forbids it
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(`${readFileSync(AXE, 'utf8')};0`)
  const { violations } = await page.evaluate<AxeResults>('axe.run()')
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, any }) => `${id}: ${help}: ${html.slice(0, 120)} ${any[0]?.message ?? ''}`),
  )
}

/** Writes a screenshot of a page. */
async function screenshot(page: Page, name: string, fullPage: boolean): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true })
  // a header that sticks to the top of the window would be in the middle of the picture
  if (fullPage) await page.evaluate(() => window.scrollTo(0, 0))
  await page.screenshot({ path: `${SCREENSHOTS}${name}.png`, fullPage })
}

/**
 * Returns the pixels by which a page is wider than the screen. After a change of the window's size, waits up to 5 s for
 * its scripts to follow.
 */
async function overflowOf(page: Page): Promise<number> {
  const overflow = () => document.documentElement.scrollWidth - document.documentElement.clientWidth
  const fits = () => document.documentElement.scrollWidth === document.documentElement.clientWidth
  await page.waitForFunction(fits, undefined, { timeout: 5_000 }).catch(() => undefined)
  return page.evaluate(overflow)
}

/**
 * Checks that a page is accessible and fits the screen, and writes a screenshot.
 * @param fullPage whether the screenshot shows the whole page; a very long one takes minutes
 */
export async function checkPage(t: Test, page: Page, name: string, fullPage = true): Promise<void> {
  t.strictSame(await accessibilityFaults(page), [], name)
  t.equal(await overflowOf(page), 0, `${name} is not wider than the screen`)
  await screenshot(page, name, fullPage)
}
