/** The client in Firefox: its streams, Web Locks, BroadcastChannel and EventSource are others than Chromium's. */
import type { BrowserContext, Page } from 'puppeteer-core'
import t, { type Test } from 'tap'
import type { ConnectOptions, SubscribeOptions } from 'fanfare-client'
import { findFirefox, skipWithoutFirefox, startFirefox } from '../../../test/browser/firefox.js'
import { poll } from '../../../test/helper/deadline.js'
import { startHub } from '../../../test/helper/process.js'
import { revivingHub } from '../../../test/helper/reviving-hub.js'
import { anyGrants, clientOf } from './hubs.js'
import { servePages } from './pages.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findFirefox()

/** Waits until a condition holds in a page. Hidden tabs draw no frames, so the page cannot wait itself. */
async function until(page: Page, condition: string): Promise<void> {
  await poll(
    async () => ((await page.evaluate(condition)) === true ? true : undefined),
    () => condition,
  )
}

/** Opens a tab that collects the events of `a.*`, and waits until it is live. */
async function openTab(
  context: BrowserContext,
  url: string,
  hub: string,
  { tokens = [anyGrants()], ...options }: Omit<ConnectOptions, 'token'> & { tokens?: string[] } = {},
  subscribing: SubscribeOptions = {},
): Promise<Page> {
  const page = await context.newPage()
  await page.goto(url)
  await until(page, "document.title === 'ready'")
  await page.evaluate(
    (hub, tokens, options, subscribing) => {
      window.begin(hub, { maxWait: 100, ...options }, tokens)
      window.follow('a.*', subscribing)
    },
    hub,
    tokens,
    options,
    subscribing,
  )
  await until(page, "window.states.at(-1)?.status === 'live'")
  return page
}

/** Waits until a tab has an event, and returns the data of all its events. */
async function dataUntil(page: Page, last: number): Promise<unknown[]> {
  await until(page, `window.received.at(-1)?.data === ${last}`)
  return page.evaluate(() => window.received.map(({ data }) => data))
}

async function streams(hub: string): Promise<number> {
  return ((await (await fetch(`${hub}/status`)).json()) as { clients: number }).clients
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => from + n)

await t.test('Firefox', { skip: skipWithoutFirefox(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startFirefox(t, path)
  const url = await servePages(t)
  const settings = { FANFARE_CORS_ORIGINS: url.slice(0, -1) }
  const open = async (t: Test): Promise<BrowserContext> => {
    const context = await browser.createBrowserContext()
    t.teardown(() => context.close())
    return context
  }

  await t.test('tabs share one connection, and hand it over without a gap or a repeat', async (t) => {
    const [{ url: hub }, context] = await Promise.all([startHub(t, settings), open(t)])
    const publisher = clientOf(t, hub)
    const first = await openTab(context, url, hub)
    const others = [await openTab(context, url, hub), await openTab(context, url, hub)]
    t.equal(await streams(hub), 1)
    await publisher.publish('a.1', { data: 0 })
    for (const tab of [first, ...others]) t.strictSame(await dataUntil(tab, 0), [0])
    const publishing = (async () => {
      for (const data of range(1, 200)) await publisher.publish(`a.${data % 3}`, { data })
    })()
    await first.close()
    await publishing
    for (const tab of others) t.strictSame(await dataUntil(tab, 199), range(0, 200))
    t.equal(await streams(hub), 1)
  })

  await t.test('the hub is killed and comes back: each event arrives once, in order', async (t) => {
    const [hub, context] = await Promise.all([
      revivingHub(t, { ...settings, FANFARE_LOG: `file:${t.testdir()}` }),
      open(t),
    ])
    const publisher = clientOf(t, hub.url)
    await publisher.publish('a.1', { data: 0 })
    const tabs = [
      await openTab(context, url, hub.url, {}, { from: 'start' }),
      await openTab(context, url, hub.url, { tabs: false }, { from: 'start' }),
    ]
    await hub.kill()
    for (const tab of tabs) await until(tab, "window.states.at(-1)?.status === 'waiting'")
    await hub.start()
    for (const data of range(1, 11)) await publisher.publish('a.1', { data })
    for (const tab of tabs) t.strictSame(await dataUntil(tab, 10), range(0, 11))
  })

  await t.test('a token is renewed on the same stream', async (t) => {
    const [{ url: hub }, context] = await Promise.all([startHub(t, settings), open(t)])
    const publisher = clientOf(t, hub)
    const exp = Math.ceil(Date.now() / 1_000) + 3
    const page = await openTab(context, url, hub, { tokens: [anyGrants({ exp }), anyGrants()] })
    await poll(
      async () => (Date.now() > exp * 1_000 ? true : undefined),
      () => 'the first token does not expire',
    )
    await publisher.publish('a.1', { data: 1 })
    t.strictSame(await dataUntil(page, 1), [1])
    t.strictSame(await page.evaluate(() => window.states.map(({ status }) => status).slice(-1)), ['live'])
    const paths = await page.evaluate(() =>
      performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname),
    )
    t.equal(paths.filter((path) => path.endsWith('/token')).length, 1)
    t.equal(paths.filter((path) => path === '/events').length, 0, 'the first stream is still open')
  })

  await t.test('an EventSource continues with a new ticket after the hub has ended it', async (t) => {
    const [{ url: hub }, context] = await Promise.all([startHub(t, settings), open(t)])
    const publisher = clientOf(t, hub)
    const page = await openTab(context, url, hub, { transport: 'event-source' })
    await publisher.publish('a.1', { data: 1, type: 'created' })
    t.strictSame(await dataUntil(page, 1), [1])
    const { status } = await fetch(`${hub}/connections?subject=ann`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${anyGrants({ admin: true })}` },
    })
    t.equal(status, 200)
    await publisher.publish('a.2', { data: 2 })
    t.strictSame(await dataUntil(page, 2), [1, 2])
  })
})
