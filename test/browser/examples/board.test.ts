/** The example "board" in a browser. */
import type { Page } from 'playwright-core'
import t from 'tap'
import type { Value } from '../../../examples/board/widgets.js'
import { request } from '../../helper/http.js'
import { token } from '../../helper/token.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { goOffline, goOnline, hasStatus, looksWell, startExample, visit, type RunningExample } from '../example.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

/** A pace so slow that each widget publishes only its first value during the test. */
const STILL = 0.001

const TITLES = [
  'Temperature',
  'Visitors',
  'Queue length',
  'Headline',
  'Departures',
  'Cup of coffee',
  'Wind',
  'Battery',
  'Last orders',
  'Front door',
]

async function publish({ client }: RunningExample, name: string, value: Value): Promise<void> {
  await client.publish(`board.${name}`, { data: value })
}

/** Waits until a widget shows a value. */
async function shows(page: Page, title: string, text: string): Promise<void> {
  await page.getByRole('article', { name: title }).filter({ hasText: text }).waitFor()
}

/** Waits until a widget shows any value. */
async function hasValue(page: Page, title: string): Promise<void> {
  await page.getByRole('article', { name: title }).filter({ hasNotText: 'Waiting…' }).waitFor()
}

/** Waits until the stream has a number of topics. Returns its id. */
async function connectionWith(page: Page, topics: number): Promise<string> {
  await page.waitForFunction((count) => document.querySelector('#topics')?.textContent === String(count), topics)
  return (await page.locator('#connection').textContent())!
}

function on(page: Page): Promise<string[]> {
  return page
    .getByRole('switch', { checked: true })
    .evaluateAll((switches) => switches.map((input) => input.closest('label')!.textContent))
}

await t.test('board', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const example = await startExample(t, 'board', { speed: STILL })
  const page = await visit(t, browser, example)
  const switchOf = (title: string) => page.getByRole('switch', { name: title })

  await t.test('the page starts with three widgets, with their newest values, on one connection', async (t) => {
    await hasStatus(page, 'Live')
    for (const title of ['Temperature', 'Departures', 'Headline']) await hasValue(page, title)
    await page.getByText(/The board started at/).waitFor()
    await connectionWith(page, 4)
    t.equal(await page.locator('#changes').textContent(), '0 times')
    const {
      body: { clients },
    } = await request<{ clients: number }>(`${example.hub.url}/status`)
    t.equal(clients, 1)
    await looksWell(t, page, 'board')
  })

  await t.test('switches work by keyboard, and a widget shows its newest value at once', async (t) => {
    const before = await connectionWith(page, 4)
    await publish(example, 'queue', '41')
    await publish(example, 'queue', '42')
    await switchOf('Queue length').focus()
    await page.keyboard.press('Space')
    await shows(page, 'Queue length', '42')
    t.equal(await connectionWith(page, 5), before, 'the connection is the same')
    await publish(example, 'queue', '43')
    await shows(page, 'Queue length', '43')
    t.equal(await page.locator('#changes').textContent(), 'once')

    await page.keyboard.press('Space')
    await connectionWith(page, 4)
    t.equal(await page.getByRole('article', { name: 'Queue length' }).count(), 0)
    await publish(example, 'queue', '44')
    await switchOf('Queue length').check()
    await shows(page, 'Queue length', '44')
    t.equal(await connectionWith(page, 5), before)
  })

  await t.test('a reload keeps the selection, and a second tab has its own', async (t) => {
    await page.reload()
    await shows(page, 'Queue length', '44')
    t.strictSame(await on(page), ['Temperature', 'Queue length', 'Headline', 'Departures'])
    const tab = await page.context().newPage()
    await tab.goto(`${example.url}/?on=queue,wind`)
    await shows(tab, 'Queue length', '44')
    await hasValue(tab, 'Wind')
    await tab.getByRole('switch', { name: 'Wind' }).uncheck()
    await connectionWith(tab, 2)
    t.strictSame(await on(tab), ['Queue length'])
    await switchOf('Wind').check() // the first tab still has its own connection
    await hasValue(page, 'Wind')
    await tab.close()
  })

  await t.test('another user selects all ten widgets', async (t) => {
    const other = await visit(t, browser, example)
    for (const title of TITLES) await other.getByRole('switch', { name: title }).check()
    for (const title of TITLES) await hasValue(other, title)
    await connectionWith(other, 11)
    await looksWell(t, other, 'board-all')
    for (const title of TITLES) await other.getByRole('switch', { name: title }).uncheck()
    await connectionWith(other, 1)
    await other.getByText('Nothing is switched on.').waitFor()
    await looksWell(t, other, 'board-empty')
    await other.reload()
    await connectionWith(other, 1)
    t.strictSame(await on(other), [])
  })

  await t.test('the hub is killed and comes back: the new connection has the current selection', async (t) => {
    const before = await connectionWith(page, 6)
    await example.hub.kill()
    await hasStatus(page, 'Reconnecting…')
    await switchOf('Headline').uncheck()
    await switchOf('Battery').check()
    await looksWell(t, page, 'board-reconnecting')
    await example.hub.start()
    await publish(example, 'queue', '45') // most likely before the page has reconnected
    await shows(page, 'Queue length', '45')
    await hasValue(page, 'Battery')
    t.not(await connectionWith(page, 6), before)
    await publish(example, 'headline', 'Nobody listens')
    await publish(example, 'battery', '12 %')
    await shows(page, 'Battery', '12 %')
    t.equal(await page.getByText('Nobody listens').count(), 0)
  })

  await t.test('the page goes offline and comes back', async () => {
    await goOffline(page, example)
    await hasStatus(page, 'Reconnecting…')
    await publish(example, 'queue', '46')
    await goOnline(page, example)
    await shows(page, 'Queue length', '46')
    await connectionWith(page, 6)
    await hasStatus(page, 'Live')
  })

  await t.test(
    'the hub is down when the page is opened: the page reports it, and continues when the hub is back',
    async (t) => {
      await example.hub.kill()
      const late = await visit(t, browser, { ...example, url: `${example.url}/?on=queue` })
      await late.getByRole('alert').filter({ hasText: 'The hub cannot be reached.' }).waitFor()
      await looksWell(t, late, 'board-unreachable')
      await example.hub.start()
      await shows(late, 'Queue length', '46')
      t.equal(await late.locator('#reason').textContent(), '')
    },
  )

  await t.test('a refused widget is switched off again, with the reason', async (t) => {
    const stranger = await browser.newContext()
    t.teardown(() => stranger.close())
    const tab = await stranger.newPage()
    const few = token({ sub: 'stranger', subscribe: ['board.notice', 'board.queue'] })
    await tab.route('**/login', (route) => route.fulfill({ json: { token: few } }))
    await tab.goto(`${example.url}/?on=queue,wind`)
    await tab
      .getByRole('alert')
      .filter({ hasText: /do not cover "board\.wind"/ })
      .waitFor()
    await shows(tab, 'Queue length', '46')
    t.strictSame(await on(tab), ['Queue length'])
    await looksWell(t, tab, 'board-refused')
  })
})

await t.test('values arrive by themselves', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const example = await startExample(t, 'board', { speed: 20 })
  const page = await visit(t, browser, { ...example, url: `${example.url}/?on=visitors` })
  const visitors = page.getByRole('article', { name: 'Visitors' }).locator('.value')
  await hasValue(page, 'Visitors')
  const first = Number((await visitors.textContent())!.replaceAll(',', ''))
  await page.waitForFunction(
    (least) =>
      Number(document.querySelector('[aria-label="Visitors"] .value')!.textContent.replaceAll(',', '')) > least,
    first,
  )
})
