/** The list of connections and revocations, in a real browser, with a hub in its own process. */
import t from 'tap'
import { openLive, streamUrl } from '../../helper/stream.js'
import { token } from '../../helper/token.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { busyHub, checkBoth, go, isLive, open, TIMEOUT } from './console.js'

t.setTimeout(TIMEOUT)
const path = findChromium()

await t.test('connections', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)

  await t.test('a row has address and age, and its button ends the stream after a confirmation', async (t) => {
    const hub = await busyHub(t)
    const stream = await openLive(t, streamUrl(hub, ['news']), { token: token({ sub: 'bob', subscribe: ['**'] }) })
    const page = await open(t, browser, hub)
    await isLive(page)
    await go(page, '#/connections')
    const row = page.locator('tbody tr', { hasText: 'bob' })
    await row.waitFor()
    t.equal(await row.locator('[data-label="Address"]').textContent(), '127.0.0.1')
    t.match(await row.locator('[data-label="Age"]').textContent(), /^\d+ s$/)
    t.equal(await page.locator('th[aria-sort="descending"]').textContent(), 'Lag ↓')
    await row.getByRole('button', { name: /^End / }).click()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await row.getByRole('button', { name: /^End / }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'End the stream' }).click()
    t.match(await stream.told('close'), { reason: 'revoked' })
    await row.waitFor({ state: 'detached' })
  })

  await t.test('a subject is revoked until a time, and the revocation is lifted', async (t) => {
    const hub = await busyHub(t)
    const bob = token({ sub: 'bob', subscribe: ['**'] })
    const stream = await openLive(t, streamUrl(hub, ['news']), { token: bob })
    const page = await open(t, browser, hub)
    await isLive(page)
    await go(page, '#/connections')
    await page.getByRole('button', { name: 'Revocations' }).click()
    await page.getByText(/^No token is revoked\./).waitFor()
    await page.getByRole('button', { name: 'Revoke…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Revoke tokens' })
    await dialog.getByLabel('Subject (sub)').fill('bob')
    await dialog.getByRole('button', { name: '1 hour' }).click()
    await checkBoth(t, page, 'revoke')
    await dialog.getByRole('button', { name: 'Revoke', exact: true }).click()
    t.match(await stream.told('close'), { reason: 'revoked' })
    const row = page.locator('tbody tr', { hasText: 'bob' })
    await row.waitFor()
    await checkBoth(t, page, 'revocations')
    const status = async () =>
      (await fetch(`${hub.url}/topics`, { headers: { authorization: `Bearer ${bob}` } })).status
    t.equal(await status(), 401)
    await row.getByRole('button', { name: 'Lift…' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Lift', exact: true }).click()
    await row.waitFor({ state: 'detached' })
    t.equal(await status(), 200)
  })
})
