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

  // the search for faults takes seconds on a page of this length: each scheme and each width once
  for (const [scheme, width] of [
    ['light', 1440],
    ['dark', 390],
  ] as const) {
    await t.test(`is accessible and fits the screen (${scheme}, ${width} pixels)`, async (t) => {
      const page = await openPage(t, browser, `${hub.url}/docs`, { scheme, width })
      await page.getByRole('heading', { level: 1, name: /^Fanfare API/ }).waitFor()
      await page.locator('#publishEvent summary').click()
      await page.locator('#schema-EventBody summary').click()
      await page.locator('#publishEvent h3').scrollIntoViewIfNeeded()
      await checkPage(t, page, `docs-${scheme}-${width}`, false)
      const other = width === 390 ? 1440 : 390
      await page.setViewportSize({ width: other, height: 900 })
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
      t.ok(overflow <= 0, `${other} pixels`)
    })
  }

  await t.test('links lead to operations, schemas and errors', async (t) => {
    const page = await openPage(t, browser, `${hub.url}/docs`)
    const broken = await page.evaluate(() =>
      [...document.querySelectorAll<HTMLAnchorElement>('a[href^="#"]')]
        .map(({ hash }) => decodeURIComponent(hash.slice(1)))
        .filter((id) => !document.getElementById(id)),
    )
    t.strictSame(broken, [])
    await page.getByRole('navigation').getByRole('link', { name: 'POST Publish one event' }).click()
    await page.locator('#publishEvent:target').getByRole('heading', { level: 3 }).waitFor()
    t.match(await page.locator('section:has(> #typed-topics)').innerText(), /orders\.\*\s+created/)
    t.ok(await page.evaluate(() => document.styleSheets[0]!.cssRules.length > 10), 'the style sheet is loaded')
  })
})
