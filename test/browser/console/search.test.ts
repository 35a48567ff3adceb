/** The search in the header, in a real browser, with a hub in its own process. */
import type { Locator } from 'playwright-core'
import t from 'tap'
import { openLive, streamUrl } from '../../helper/stream.js'
import { token } from '../../helper/token.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { busyHub, checkBoth, isLive, open, TIMEOUT } from './console.js'

t.setTimeout(TIMEOUT)
const path = findChromium()

await t.test('the search', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)

  await t.test('a slash goes to it, arrows choose, Enter opens, and Esc leaves', async (t) => {
    const hub = await busyHub(t)
    const { headers } = await openLive(t, streamUrl(hub, ['news']), {
      token: token({ sub: 'ordelia', subscribe: ['**'] }),
    })
    const id = String(headers['fanfare-connection'])
    const page = await open(t, browser, hub)
    await isLive(page)
    await page.keyboard.press('/')
    const field = page.getByRole('search').getByRole('combobox')
    t.ok(await field.evaluate((element) => element === document.activeElement))
    await page.keyboard.type('ORD')
    const results = page.getByRole('listbox', { name: 'Results' }).getByRole('option')
    await results.filter({ hasText: 'ordelia' }).waitFor()
    t.strictSame(await results.allTextContents(), [
      ...Array.from({ length: 5 }, (_, n) => `Topic orders.${n}`),
      'Topic ORD',
      'Subject ordelia',
    ])
    await checkBoth(t, page, 'search')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'orders.1' }).waitFor()

    await page.keyboard.press('/')
    await page.keyboard.type('news')
    await page.keyboard.press('Enter') // before there is a result
    await page.getByRole('heading', { level: 1, name: 'news' }).waitFor()

    await page.keyboard.press('/')
    await pressEnterAtOnce(field, 'orders.3')
    await page.getByRole('heading', { level: 1, name: 'orders.3' }).waitFor()

    await page.keyboard.press('/')
    await page.keyboard.type('ordelia')
    await results.filter({ hasText: 'Subject' }).waitFor()
    await page.keyboard.press('ArrowUp')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Connections' }).waitFor()
    await page.locator('tbody tr', { hasText: 'ordelia' }).waitFor()
    t.equal(await page.locator('tbody tr').count(), 1)

    await page.keyboard.press('/')
    await page.keyboard.type(id.slice(-10))
    await results.filter({ hasText: id }).click()
    await page.getByRole('heading', { level: 1, name: `Connection ${id}` }).waitFor()

    await page.keyboard.press('/')
    await page.keyboard.type('no such thing')
    await results.filter({ hasText: 'Nothing found.' }).waitFor()
    await page.keyboard.press('Escape')
    t.equal(await field.inputValue(), '')
    await page.keyboard.press('Escape')
    t.notOk(await field.evaluate((element) => element === document.activeElement))
  })
})

/** Types a text and presses Enter in one task of the page, before the page can draw. */
async function pressEnterAtOnce(field: Locator, text: string): Promise<void> {
  await field.evaluate((input: HTMLInputElement, text) => {
    input.value = text
    input.dispatchEvent(new InputEvent('input', { bubbles: true }))
    input.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }))
  }, text)
}
