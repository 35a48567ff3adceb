/** The example "nests" in a browser. */
import { rmSync } from 'node:fs'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { request } from '../../helper/http.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { goOffline, goOnline, hasStatus, looksWell, startExample, visit } from '../example.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

/** Fills in the form, and submits it with the keyboard. */
async function post(page: Page, momma: string, eggs = '3', temperature = '38.5'): Promise<void> {
  await page.getByLabel('Momma').fill(momma)
  await page.getByLabel('Eggs').fill(eggs)
  await page.getByLabel('Temperature').fill(temperature)
  await page.keyboard.press('Enter')
}

/** Waits for the last of these nests. Checks that the table has each nest once, newest first. */
async function shows(t: Test, page: Page, mommas: string[]): Promise<void> {
  const cells = page.locator('tbody td:first-child')
  await cells
    .first()
    .filter({ hasText: mommas.at(-1)! })
    .waitFor()
  t.strictSame((await cells.allTextContents()).reverse(), mommas)
}

/** Waits until the form is empty again. */
async function isAccepted(page: Page): Promise<void> {
  await page.waitForFunction(() => [...document.querySelectorAll('input')].every(({ value }) => value === ''))
  await page.getByRole('alert').waitFor({ state: 'hidden' })
}

async function isRefused(page: Page, reason: string): Promise<void> {
  await page.getByRole('alert').filter({ hasText: reason }).waitFor()
}

async function hasClients(page: Page, count: string): Promise<void> {
  await page.getByText(count, { exact: true }).waitFor()
}

await t.test('nests', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const example = await startExample(t, 'nests')
  const folder = t.testdirName
  const page = await visit(t, browser, example)
  const found: string[] = []

  await t.test('an empty page has a text', async (t) => {
    await hasStatus(page, 'Live')
    await page.getByText('No nest has been found yet.').waitFor()
    await hasClients(page, '1 client')
    await looksWell(t, page, 'nests-empty')
  })

  await t.test('every page shows a posted nest', async (t) => {
    const other = await visit(t, browser, example)
    await hasStatus(other, 'Live')
    await hasClients(page, '2 clients')
    found.push('Robin', '<b>Wren</b>')
    await post(page, 'Robin')
    await shows(t, other, ['Robin'])
    await isAccepted(page)
    t.ok(
      await page.getByLabel('Momma').evaluate((field) => field === document.activeElement),
      'the first field has the focus again',
    )
    await post(other, '<b>Wren</b>', '0', '-1')
    await shows(t, page, found)
    await shows(t, other, found)
    t.strictSame(await page.locator('tbody td:last-child').allTextContents(), ['-1 °C', '38.5 °C'])
    await looksWell(t, page, 'nests')
    await other.context().close()
    await hasClients(page, '1 client')
  })

  await t.test('an invalid nest is refused with the reason, and stays in the form', async (t) => {
    await post(page, '   ', '12', '40')
    await isRefused(page, 'Momma has to be a name of 1 to 40 characters.')
    t.equal(await page.getByLabel('Eggs').inputValue(), '12')
    await looksWell(t, page, 'nests-error')
    await page.getByLabel('Momma').fill('Swallow')
    await page.keyboard.press('Enter')
    found.push('Swallow')
    await shows(t, page, found)
    await isAccepted(page)
    for (const [nest, reason] of [
      [{ momma: 'x'.repeat(41), eggs: 1, temperature: 1 }, /^Momma/],
      [{ momma: 'Jay', eggs: 1.5, temperature: 1 }, /^Eggs have to be a whole number from 0 to 100\.$/],
      [{ momma: 'Jay', eggs: 1 }, /temperature/],
      [{ momma: 'Jay', eggs: 1, temperature: null }, /temperature/],
      [
        { momma: 'Jay', eggs: 1, temperature: 1, color: 'blue' },
        /^A nest is momma, eggs and temperature, and nothing else\.$/,
      ],
      [[], /^A nest is momma/],
    ] as const) {
      const { status, body } = await request<{ message: string }>(`${example.url}/nest`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(nest),
      })
      t.equal(status, 400)
      t.match(body.message, reason)
    }
  })

  await t.test('a post without an answer is sent again, and stored once', async (t) => {
    await page.route(
      '**/nest',
      async (route) => {
        await route.fetch()
        await route.abort()
      },
      { times: 1 },
    )
    await post(page, 'Magpie')
    await isRefused(page, 'The server cannot be reached.')
    t.equal(await page.getByLabel('Momma').inputValue(), 'Magpie')
    await page.getByRole('button', { name: 'Add the nest' }).click()
    await isAccepted(page)
    await post(page, 'Owl', '3', '-1e-7')
    found.push('Magpie', 'Owl')
    await shows(t, page, found)
    t.equal(await page.locator('tbody td:last-child').first().textContent(), '0 °C')
  })

  await t.test('a second tab and a reload have the full table at once', async (t) => {
    const tab = await page.context().newPage()
    await tab.goto(example.url)
    await shows(t, tab, found)
    await tab.reload()
    await shows(t, tab, found)
    await tab.close()
  })

  await t.test('the hub is killed and comes back: no nest is missing or repeated', async (t) => {
    await example.hub.kill()
    await hasStatus(page, 'Reconnecting…')
    await post(page, 'Stork')
    await isRefused(page, 'The hub cannot be reached.')
    await page.locator('#clients').waitFor({ state: 'detached' })
    await looksWell(t, page, 'nests-hub-down')
    await example.hub.start()
    await example.client.publish('nests', { data: { momma: 'Heron', eggs: 4, temperature: 36 } })
    await page.getByRole('button', { name: 'Add the nest' }).click()
    found.push('Heron', 'Stork')
    await shows(t, page, found)
    await hasStatus(page, 'Live')
    await hasClients(page, '1 client')
  })

  await t.test('the page goes offline and comes back', async (t) => {
    await goOffline(page, example)
    await hasStatus(page, 'Reconnecting…')
    for (const momma of ['Finch', 'Crow']) {
      await example.client.publish('nests', { data: { momma, eggs: 2, temperature: 39 } })
      found.push(momma)
    }
    await goOnline(page, example)
    await shows(t, page, found)
  })

  await t.test('a refused stream is reported, and can be opened again', async (t) => {
    await page.route('**/events?*', (route) =>
      route.fulfill({
        status: 403,
        headers: { 'access-control-allow-origin': '*' },
        json: { code: 'not-granted', detail: 'The stream is not allowed.' },
      }),
    )
    await page.reload()
    await hasStatus(page, 'Not connected')
    await page.getByRole('alert').filter({ hasText: 'The stream is not allowed.' }).waitFor()
    await looksWell(t, page, 'nests-refused')
    await page.unroute('**/events?*')
    await page.getByLabel('Momma').fill('Lark')
    await page.getByRole('button', { name: 'Connect again' }).click()
    await shows(t, page, found)
    t.equal(await page.getByLabel('Momma').inputValue(), 'Lark')
  })

  await t.test('the hub has lost its log: the page starts over with the events of the new one', async (t) => {
    await example.hub.kill()
    rmSync(folder, { recursive: true })
    await example.hub.start()
    await example.client.publish('nests', { data: { momma: 'Gull', eggs: 1, temperature: 37 } })
    await shows(t, page, ['Gull'])
  })
})
