/** The example "facts" in a browser. */
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { goOffline, goOnline, hasStatus, looksWell, startExample, visit } from '../example.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

/** Fills in the form, and submits it with the keyboard. */
async function post(page: Page, info: string, source = 'Somebody'): Promise<void> {
  await page.getByRole('textbox', { name: 'Fact' }).fill(info)
  await page.getByLabel('Source').fill(source)
  await page.keyboard.press('Enter')
}

/** Waits for the last of these facts. Checks that the page shows each fact once, newest first. */
async function shows(t: Test, page: Page, facts: string[]): Promise<void> {
  const quotes = page.locator('blockquote')
  await quotes
    .first()
    .filter({ hasText: facts.at(-1)! })
    .waitFor()
  t.strictSame((await quotes.allTextContents()).reverse(), facts)
}

await t.test('facts', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const example = await startExample(t, 'facts')
  const page = await visit(t, browser, example)
  const facts: string[] = []

  await t.test('an empty page has a text', async (t) => {
    await hasStatus(page, 'Live')
    await page.getByText('No fact has been posted yet.').waitFor()
    await page.getByText('1 client', { exact: true }).waitFor()
    await looksWell(t, page, 'facts-empty')
  })

  await t.test('every page shows a posted fact', async (t) => {
    const other = await visit(t, browser, example)
    await page.getByText('2 clients', { exact: true }).waitFor()
    facts.push('A day on Venus is longer than its year.', 'Two lines,\nand <i>no</i> markup: ' + 'very'.repeat(30))
    await post(page, facts[0]!, 'An astronomer')
    await shows(t, other, facts.slice(0, 1))
    await post(other, facts[1]!)
    await shows(t, page, facts)
    await page.getByText('— An astronomer').waitFor()
    await looksWell(t, page, 'facts')
  })

  await t.test('an invalid fact is refused with the reason, and stays in the form', async (t) => {
    await post(page, 'Honey does not spoil.', ' ')
    await page.getByRole('alert').filter({ hasText: 'The source has to be a text of 1 to 100 characters.' }).waitFor()
    t.equal(await page.getByRole('textbox', { name: 'Fact' }).inputValue(), 'Honey does not spoil.')
    await looksWell(t, page, 'facts-error')
    await page.getByLabel('Source').fill('A beekeeper')
    await page.getByRole('button', { name: 'Post the fact' }).click()
    facts.push('Honey does not spoil.')
    await shows(t, page, facts)
    await page.getByRole('alert').waitFor({ state: 'hidden' })
  })

  await t.test('a second tab and a reload have the full list at once', async (t) => {
    const tab = await page.context().newPage()
    await tab.goto(example.url)
    await shows(t, tab, facts)
    await tab.reload()
    await shows(t, tab, facts)
    await tab.close()
  })

  await t.test('the hub is killed and comes back: no fact is missing or repeated', async (t) => {
    await example.hub.kill()
    await hasStatus(page, 'Reconnecting…')
    await example.hub.start()
    await post(page, 'Octopuses have three hearts.')
    facts.push('Octopuses have three hearts.')
    await shows(t, page, facts)
    await hasStatus(page, 'Live')
  })

  await t.test('the page goes offline, reports it to the user, and comes back', async (t) => {
    await goOffline(page, example)
    await hasStatus(page, 'Reconnecting…')
    await post(page, 'Bananas are berries.')
    await page.getByRole('alert').filter({ hasText: 'The server cannot be reached.' }).waitFor()
    await looksWell(t, page, 'facts-offline')
    await example.client.publish('facts', { data: { info: 'Strawberries are not.', source: 'A botanist' } })
    await goOnline(page, example)
    await page.getByRole('button', { name: 'Post the fact' }).click()
    facts.push('Strawberries are not.', 'Bananas are berries.')
    await shows(t, page, facts)
  })
})
