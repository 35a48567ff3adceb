/** The page of a connection, in a real browser, with a hub in its own process. */
import t from 'tap'
import { openLive, streamUrl } from '../../helper/stream.js'
import { token } from '../../helper/token.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { busyHub, checkBoth, open, TIMEOUT } from './console.js'

t.setTimeout(TIMEOUT)
const path = findChromium()

await t.test('the page of a connection', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)

  await t.test('the button ends the connection', async (t) => {
    const hub = await busyHub(t)
    const stream = await openLive(t, streamUrl(hub, ['orders.1']), { token: token({ sub: 'bob', subscribe: ['**'] }) })
    const id = String(stream.headers['fanfare-connection'])
    const page = await open(t, browser, hub)
    await page.getByRole('link', { name: 'Connections' }).click()
    await page.locator('tbody tr').nth(1).waitFor()
    await page.getByLabel('Subject, address or id').fill('bob')
    await page.locator('tbody tr').nth(1).waitFor({ state: 'detached' })
    await page.locator('tbody').getByRole('link', { name: 'bob' }).click()
    await page.getByRole('heading', { level: 1, name: id }).waitFor()
    await page.locator('.figures', { hasText: 'bob' }).waitFor()
    const dialog = page.getByRole('dialog')
    await page.getByRole('button', { name: 'End…' }).click()
    await dialog.waitFor()
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'End…' }).click()
    await dialog.waitFor()
    await checkBoth(t, page, 'connection-ending')
    await dialog.getByRole('button', { name: 'End the stream' }).click()
    t.match(await stream.told('close'), { reason: 'revoked' })
    await page.getByText(/The stream has ended/).waitFor()
    await checkBoth(t, page, 'connection-ended')
    await page.getByRole('link', { name: 'Connections' }).click()
    await page.getByRole('button', { name: 'Changes' }).click()
    await page.locator('li', { hasText: id }).filter({ hasText: 'closed (revoked)' }).waitFor()
  })
})
