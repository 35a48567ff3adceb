/** The browser's EventSource as the transport, with tickets. */
import type { Page } from 'playwright-core'
import t from 'tap'
import { findChromium, skipWithout, startChromium } from '../../../test/browser/chromium.js'
import { poll } from '../../../test/helper/deadline.js'
import { send } from '../../../test/helper/http.js'
import { startHub } from '../../../test/helper/process.js'
import { token } from '../../../test/helper/token.js'
import { anyGrants, clientOf } from './hubs.js'
import { servePages } from './pages.js'

const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

/** Waits until a page has an event, and returns the data of all its events. */
async function dataUntil(page: Page, last: number): Promise<unknown[]> {
  await page.waitForFunction((last) => window.received.at(-1)?.data === last, last)
  return page.evaluate(() => window.received.map(({ data }) => data))
}

await t.test('EventSource', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const url = await servePages(t)
  const hub = await startHub(t, { FANFARE_CORS_ORIGINS: url.slice(0, -1), FANFARE_TICKET_TTL: '1s' })
  const publisher = clientOf(t, hub.url)
  const context = await browser.newContext()
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  await page.goto(url)
  await page.waitForFunction(() => document.title === 'ready')
  const asked = page.waitForRequest(/ticket=/)
  await page.evaluate(
    ([hub, token]) => {
      window.begin(hub, { token, transport: 'event-source', maxWait: 100 })
      window.follow('a', {})
    },
    [hub.url, anyGrants({ subscribe: ['a', 'b'] })] as const,
  )
  const { pathname, search } = new URL((await asked).url())
  const first = pathname + search
  await page.waitForFunction(() => window.states.at(-1)?.status === 'live')
  await publisher.publish('a', { data: 1, type: 'x' })
  t.strictSame(await dataUntil(page, 1), [1])

  await t.test('resumes with a new ticket', async (t) => {
    await poll(
      async () => ((await send(hub, 'HEAD', first)).status === 401 ? true : undefined),
      () => 'the ticket of the first stream does not expire',
    )
    const admin = token({ admin: true })
    t.match(await send(hub, 'DELETE', '/connections?subject=ann', { token: admin }), { body: { closed: 1 } })
    await publisher.publish('a', { data: 2 })
    t.strictSame(await dataUntil(page, 2), [1, 2])
  })

  await t.test('gets further topics, and is told of a refusal', async (t) => {
    await page.evaluate(() => {
      window.follow('b', {})
      window.follow('secret', {})
    })
    await page.waitForFunction(() => window.errors.length > 0)
    t.strictSame(await page.evaluate(() => window.errors), ['not-granted'])
    await page.waitForFunction(() => window.states.at(-1)?.status === 'live')
    await publisher.publish('b', { data: 3 })
    t.strictSame(await dataUntil(page, 3), [1, 2, 3])
  })
})
