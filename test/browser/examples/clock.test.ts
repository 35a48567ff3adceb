/** The example "clock" in a browser. */
import type { Page } from 'playwright-core'
import t from 'tap'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { goOffline, goOnline, hasStatus, looksWell, startExample, visit } from '../example.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

/** Returns the numbers that a page shows, oldest first. */
async function numbers(page: Page): Promise<number[]> {
  return (await page.locator('#ticks td:first-child').allTextContents()).map(Number).reverse()
}

/** Waits until the page shows a number of further ticks. */
async function more(page: Page, count: number): Promise<void> {
  const last = (await numbers(page)).at(-1) ?? 0
  await page.waitForFunction((least) => Number(document.querySelector('#ticks td')?.textContent) >= least, last + count)
}

function isWhole(shown: number[]): boolean {
  return shown.length > 0 && shown.every((number, index) => number === shown[0]! + index)
}

await t.test('clock', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const example = await startExample(t, 'clock', { speed: 10 })
  const page = await visit(t, browser, example)

  await t.test('ticks arrive', async (t) => {
    await hasStatus(page, 'Live')
    await more(page, 3)
    t.ok(isWhole(await numbers(page)))
    await looksWell(t, page, 'clock')
  })

  await t.test('a stopped and restarted stream misses no tick', async (t) => {
    await page.getByRole('button', { name: 'Stop' }).click()
    await hasStatus(page, 'Not connected')
    const stopped = await numbers(page)
    const other = await visit(t, browser, example)
    await more(other, 5)
    t.strictSame(await numbers(page), stopped)
    await looksWell(t, page, 'clock-stopped')
    await page.getByRole('button', { name: 'Start' }).click()
    await more(page, 5)
    t.ok(isWhole(await numbers(page)), (await numbers(page)).join())
  })

  await t.test('a second tab and a reload show the last ticks', async (t) => {
    const tab = await page.context().newPage()
    await tab.goto(example.url)
    await more(tab, 6) // five retained ticks and a new one
    await tab.reload()
    await more(tab, 6)
    t.ok(isWhole(await numbers(tab)))
    await tab.close()
  })

  await t.test('the hub is killed and comes back: no tick is missing or repeated', async (t) => {
    await example.hub.kill()
    await hasStatus(page, 'Reconnecting…')
    await looksWell(t, page, 'clock-reconnecting')
    await example.hub.start()
    await hasStatus(page, 'Live')
    await more(page, 3)
    t.ok(isWhole(await numbers(page)), (await numbers(page)).join())
  })

  await t.test('the page goes offline and comes back', async (t) => {
    await goOffline(page, example)
    await hasStatus(page, 'Reconnecting…')
    await goOnline(page, example)
    await hasStatus(page, 'Live')
    await more(page, 3)
    t.ok(isWhole(await numbers(page)), (await numbers(page)).join())
  })
})

await t.test(
  'a note takes the place of ticks that the hub no longer retains',
  { skip: skipWithout(path), timeout: TIMEOUT },
  async (t) => {
    const browser = await startChromium(t, path)
    const example = await startExample(t, 'clock', { speed: 10, settings: { FANFARE_RETAIN_EVENTS: '5' } })
    const page = await visit(t, browser, example)
    const gap = page.getByRole('cell', { name: 'Events are missing here: the hub no longer keeps them.' })
    await more(page, 3)
    await page.getByRole('button', { name: 'Stop' }).click()
    const before = await numbers(page)
    const other = await visit(t, browser, example)
    await more(other, before.at(-1)! + 10)
    await page.getByRole('button', { name: 'Start' }).click()
    await gap.waitFor()
    await more(page, 3)
    const after = await numbers(page)
    t.strictSame(after.slice(0, before.length), before)
    t.ok(Number.isNaN(after[before.length]), 'the note is between the ticks')
    t.ok(isWhole(after.slice(before.length + 1)), after.join())
    t.ok(after[before.length + 1]! > before.at(-1)! + 1)
    t.equal(await gap.count(), 1)
    await looksWell(t, page, 'clock-gap')
  },
)
