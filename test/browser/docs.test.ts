/** The reference of the API at /docs, in a real browser, with a hub in its own process. */
import t from 'tap'
import { startHub } from '../helper/process.js'
import { schemaFile } from '../hub/typed-topics/schema-file.js'
import { findChromium, skipWithout, startChromium } from './chromium.js'
import { checkPage, openPage } from './page.js'

const TIMEOUT = 120_000
t.setTimeout(TIMEOUT)
const path = findChromium()

await t.test('the reference of the API', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const schemas = schemaFile(t, {
    'orders.*': { types: { created: { type: 'object', properties: { total: { type: 'integer' } } }, '*': true } },
  })
  const hub = await startHub(t, { FANFARE_SCHEMAS: schemas })

  await t.test('is accessible and fits the screen', async (t) => {
    for (const scheme of ['light', 'dark'] as const) {
      for (const width of [1440, 390]) {
        const page = await openPage(t, browser, `${hub.url}/docs`, { scheme, width })
        await page.getByRole('heading', { level: 1, name: /^Fanfare API/ }).waitFor()
        await checkPage(t, page, `docs-${scheme}-${width}`, false)
        await page.locator('#publishEvent summary').click()
        await page.locator('#publishEvent').scrollIntoViewIfNeeded()
        await page.locator('#schema-EventBody summary').click()
        await checkPage(t, page, `docs-open-${scheme}-${width}`, false)
      }
    }
  })

  await t.test('links lead to operations, schemas and errors', async (t) => {
    const page = await openPage(t, browser, `${hub.url}/docs`)
    const broken = await page.evaluate(() =>
      [...document.querySelectorAll<HTMLAnchorElement>('a[href^="#"]')]
        .map(({ hash }) => decodeURIComponent(hash.slice(1)))
        .filter((id) => !document.getElementById(id)),
    )
    t.strictSame(broken, [])
    await page.getByRole('navigation').getByRole('link', { name: 'POST Publish one event' }).click()
    await page.locator('#publishEvent').getByRole('heading', { level: 3 }).waitFor()
    t.ok(page.url().endsWith('/docs#publishEvent'))
    await page.locator('#typed-topics').scrollIntoViewIfNeeded()
    t.match(
      await page
        .locator('section', { has: page.locator('#typed-topics') })
        .last()
        .innerText(),
      /orders\.\*\s+created/,
    )
    t.equal(await page.evaluate(() => document.styleSheets[0]!.cssRules.length > 10), true)
  })
})
