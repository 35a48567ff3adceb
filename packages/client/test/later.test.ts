/** Parts of the client whose files cannot be loaded. */
import t from 'tap'
import { findChromium, skipWithout, startChromium } from '../../../test/browser/chromium.js'
import { startHub } from '../../../test/helper/process.js'
import { Collected, anyGrants, clientOf } from './hubs.js'
import { servePages } from './pages.js'
import { later } from '../src/later.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()
const LOST = new TypeError('Failed to fetch dynamically imported module')

/** Returns a load that fails a number of times. */
function failing(times: number): { calls: number; load: () => Promise<string> } {
  const attempts = {
    calls: 0,
    load: () => (++attempts.calls > times ? Promise.resolve('part') : Promise.reject(LOST)),
  }
  return attempts
}

await t.test('a part that cannot be loaded is a hub that cannot be reached', async (t) => {
  const attempts = failing(Infinity)
  await t.rejects(later(attempts.load), { name: 'HubError', code: 'unreachable', status: 0, cause: LOST })
  t.equal(attempts.calls, 1)
})

await t.test('the load of a part is repeated within its time limit', async (t) => {
  const attempts = failing(1)
  t.equal(await later(attempts.load, { timeout: Infinity }), 'part')
  t.equal(attempts.calls, 2)
})

await t.test('no load follows once the signal is aborted', async (t) => {
  const stopping = new AbortController()
  const attempts = failing(Infinity)
  const loading = later(attempts.load, { timeout: Infinity, signal: stopping.signal })
  stopping.abort()
  await t.rejects(loading, { name: 'AbortError' })
  t.equal(attempts.calls, 1)
})

const title = 'a page that cannot load a part for a while loses and repeats no event'
await t.test(title, { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const url = await servePages(t)
  const hub = await startHub(t, { FANFARE_CORS_ORIGINS: url.slice(0, -1) })
  const publisher = clientOf(t, hub.url)
  const page = await browser.newPage()
  const refused = new Collected<string>()
  const thrown: Error[] = []
  page.on('pageerror', (error) => thrown.push(error))
  await page.route(/(changes|publish|request)[^/]*\.js$/, async (route) => {
    refused.add(route.request().url())
    await route.abort()
  })
  await page.goto(url)
  await page.waitForFunction(() => document.title === 'ready')
  await page.evaluate(
    ([hub, token]) => {
      window.begin(hub, { token, tabs: false, maxWait: 100 })
      window.follow('a', {})
    },
    [hub.url, anyGrants()] as const,
  )
  await page.waitForFunction(() => window.states.at(-1)?.status === 'live')
  await page.evaluate(() => {
    window.follow('b', { from: 'start' })
    void window.client.publish('a', { data: 'published by the page' })
  })
  for (const part of ['changes', 'publish']) await refused.until((urls) => urls.some((one) => one.includes(part)))
  await publisher.publish('b', { data: 1 })
  await page.unrouteAll()
  await page.waitForFunction(() => window.received.length > 1)
  await publisher.publish('b', { data: 2 })
  await page.waitForFunction(() => window.received.at(-1)?.data === 2)
  const received = await page.evaluate(() => window.received.map(({ topic, data }) => `${topic} ${String(data)}`))
  t.strictSame(received.sort(), ['a published by the page', 'b 1', 'b 2'])
  t.strictSame(thrown, [], 'no promise is rejected without a handler')
})
