/** Tabs of a browser that share one connection, and hand it over. */
import type { BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { findChromium, skipWithout, startChromium } from '../../../test/browser/chromium.js'
import { poll } from '../../../test/helper/deadline.js'
import { startHub, type Hub } from '../../../test/helper/process.js'
import { random as seeded } from '../../../test/helper/random.js'
import { anyGrants, clientOf } from './hubs.js'
import { servePages } from './pages.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

interface TabOptions {
  sub?: string
  tabs?: boolean
  from?: string
}

/** Opens a tab that collects the events of `a.*`, and waits until it is live. */
async function openTab(context: BrowserContext, url: string, hub: Hub, options: TabOptions = {}): Promise<Page> {
  const { sub = 'ann', tabs = true, from } = options
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  await page.goto(url)
  await page.waitForFunction(() => document.title === 'ready')
  await page.evaluate(
    ([hub, token, tabs, from]) => {
      window.begin(hub, { token, tabs, maxWait: 100 })
      window.follow('a.*', from === undefined ? {} : { from })
    },
    [hub.url, anyGrants({ sub }), tabs, from] as const,
  )
  await page.waitForFunction(() => window.states.at(-1)?.status === 'live')
  return page
}

async function streams(hub: Hub): Promise<number> {
  const answer = await fetch(`${hub.url}/status`)
  return ((await answer.json()) as { clients: number }).clients
}

async function hasStreams(hub: Hub, number: number): Promise<void> {
  let found = -1
  await poll(
    async () => ((found = await streams(hub)) === number ? true : undefined),
    () => `${found} streams`,
  )
}

/** Waits until a tab has an event, and returns the data of all its events. */
async function dataUntil(page: Page, last: number): Promise<unknown[]> {
  await page.waitForFunction((last) => window.received.at(-1)?.data === last, last)
  return page.evaluate(() => window.received.map(({ data }) => data))
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => from + n)

await t.test('tabs', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const url = await servePages(t)
  const open = async (t: Test): Promise<BrowserContext> => {
    const context = await browser.newContext()
    t.teardown(() => context.close())
    return context
  }
  const start = (t: Test): Promise<Hub> => startHub(t, { FANFARE_CORS_ORIGINS: url.slice(0, -1) })

  await t.test('of the same user share one connection, others and `tabs: false` do not', async (t) => {
    const [hub, context] = await Promise.all([start(t), open(t)])
    const publisher = clientOf(t, hub.url)
    const tabs = [await openTab(context, url, hub), await openTab(context, url, hub)]
    t.equal(await streams(hub), 1)
    tabs.push(await openTab(context, url, hub, { sub: 'bob' }))
    t.equal(await streams(hub), 2)
    tabs.push(await openTab(context, url, hub, { tabs: false }))
    t.equal(await streams(hub), 3)
    for (const data of range(0, 20)) await publisher.publish('a.1', { data })
    for (const tab of tabs) t.strictSame(await dataUntil(tab, 19), range(0, 20))
  })

  await t.test('hand the connection over without a gap or a repeat', async (t) => {
    const [hub, context] = await Promise.all([start(t), open(t)])
    const publisher = clientOf(t, hub.url)
    const first = await openTab(context, url, hub)
    const second = await openTab(context, url, hub)
    const third = await openTab(context, url, hub)
    await publisher.publish('a.1', { data: 0 })
    for (const tab of [first, second, third]) await dataUntil(tab, 0)
    const publishing = (async () => {
      for (const data of range(1, 200)) await publisher.publish('a.1', { data })
    })()
    await first.close()
    await dataUntil(second, 199)
    await publishing
    for (const tab of [second, third]) t.strictSame(await dataUntil(tab, 199), range(0, 200))
    await hasStreams(hub, 1)
  })

  await t.test('with other topics get their own events, also those of the past', async (t) => {
    const [hub, context] = await Promise.all([start(t), open(t)])
    const publisher = clientOf(t, hub.url)
    for (const data of range(0, 10)) await publisher.publish('a.1', { data })
    const first = await openTab(context, url, hub)
    const second = await openTab(context, url, hub, { from: 'start' })
    await second.evaluate(() => {
      window.follow('b', {})
      window.follow('not a topic', {})
    })
    await second.waitForFunction(() => window.errors[0] === 'invalid-pattern')
    await hasStreams(hub, 1)
    await publisher.publish('a.1', { data: 10 })
    t.strictSame(await dataUntil(first, 10), [10])
    t.strictSame(await dataUntil(second, 10), range(0, 11))
    await poll(
      async () => ((await publisher.publish('b', { data: 11 })).subscribers === 1 ? true : undefined),
      () => 'nobody is subscribed to b',
    )
    await second.waitForFunction(() => window.received.at(-1)?.topic === 'b')
  })

  for (const seed of [1, 2]) {
    await t.test(`that open and close at random get each event once, in order: seed ${seed}`, async (t) => {
      const random = seeded(seed)
      const [hub, context] = await Promise.all([start(t), open(t)])
      const publisher = clientOf(t, hub.url)
      let data = 0
      let isOver = false as boolean
      const publishing = (async () => {
        while (!isOver) {
          await publisher.publish(`a.${data % 3}`, { data })
          data++
        }
      })()
      const tabs: Page[] = []
      for (let step = 0; step < 12; step++) {
        if (tabs.length > 1 && random.below(2) === 1) {
          const [tab] = tabs.splice(random.below(tabs.length), 1)
          await tab!.close({ runBeforeUnload: random.below(2) === 1 })
        } else tabs.push(await openTab(context, url, hub, random.below(2) === 1 ? { from: 'start' } : {}))
      }
      isOver = true
      await publishing
      await publisher.publish('a.0', { data })
      for (const tab of tabs) {
        const found = await dataUntil(tab, data)
        t.strictSame(found, range(found[0] as number, data + 1), `${found.length} events`)
      }
      await hasStreams(hub, 1)
    })
  }
})
