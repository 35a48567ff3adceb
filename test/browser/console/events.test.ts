/** The events of a topic as one list, and the event that is opened beside it, in a real browser. */
import type { Page, Route } from 'playwright-core'
import t from 'tap'
import { publish, publishBatch } from '../../helper/http.js'
import { startHub, type Hub } from '../../helper/process.js'
import { revivingHub } from '../../helper/reviving-hub.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { ann, checkBoth, go, isLive, LIVE, open, rowsOf, TIMEOUT } from './console.js'

t.setTimeout(TIMEOUT)
const path = findChromium()

/** Publishes events whose data are successive numbers. */
function add(hub: Hub, first: number, count: number) {
  const events = Array.from({ length: count }, (_, n) => ({
    topic: 'orders.1',
    type: (first + n) % 10 === 0 ? 'tenth' : 'other',
    data: first + n,
  }))
  return publishBatch(hub, events, ann)
}

function rowWith(page: Page, payload: string) {
  return rowsOf(page).filter({ has: page.getByText(payload, { exact: true }) })
}

async function scrollTo(page: Page, top: number): Promise<void> {
  await page.getByRole('listbox', { name: 'Events' }).evaluate((list, top) => list.scrollTo(0, top), top)
}

await t.test('the events of a topic', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)

  await t.test('the page loads its events once the hub is back, and new ones appear in an empty list', async (t) => {
    const hub = await revivingHub(t, { FANFARE_LOG: `file:${t.testdir()}` })
    await publish(hub.hub, 'orders.1', { data: 'kept' }, ann)
    const page = await open(t, browser, hub)
    await isLive(page)
    await hub.kill()
    await go(page, '#/topics/orders.1')
    const card = page.getByRole('region', { name: 'Events' })
    await card.getByRole('alert').filter({ hasText: 'The hub cannot be reached.' }).waitFor()
    await hub.start()
    await card.getByText('"kept"').waitFor()
    await page.locator(LIVE).waitFor() // the stream is shared, and was waiting when the page began
    t.equal(await card.getByRole('alert').count(), 0)

    await go(page, '#/topics/orders.2')
    await card.getByText(/^No events yet\./).waitFor()
    await page.locator(LIVE).waitFor()
    await publish(hub.hub, 'orders.2', { data: 'the first' }, ann)
    await card.getByText('"the first"').waitFor()
    t.equal(await card.getByText(/^No events yet\./).count(), 0)
  })

  await t.test(
    'history and live events are one list without holes, of which only visible rows are drawn',
    async (t) => {
      const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '5000' })
      await add(hub, 1, 1_000)
      await add(hub, 1_001, 500)
      const page = await open(t, browser, hub)
      await go(page, '#/topics/orders.1')
      await page.locator(LIVE).waitFor()
      await add(hub, 1_501, 1)
      await rowWith(page, '1501').waitFor()
      t.ok((await rowsOf(page).count()) < 80)
      const seen = new Set<number>()
      for (let top = 0; !seen.has(1); top += 400) {
        await scrollTo(page, top)
        await rowsOf(page).nth(5).waitFor()
        const numbers = (await rowsOf(page).locator('code').allTextContents()).map(Number)
        t.strictSame(
          numbers,
          numbers.map((_, index) => numbers[0]! - index),
          'successive events',
        )
        for (const number of numbers) seen.add(number)
        await page.evaluate(() => new Promise(requestAnimationFrame))
      }
      t.equal(seen.size, 1_501)
      await page.locator('.foot', { hasText: /^1,501 events, all since/ }).waitFor()
    },
  )

  await t.test('the list pauses while it is scrolled, and continues at its top', async (t) => {
    const hub = await startHub(t)
    await add(hub, 1, 90)
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    await page.locator(LIVE).waitFor()
    await rowWith(page, '90').waitFor()
    await scrollTo(page, 320)
    await page.getByRole('button', { name: 'Resume' }).waitFor()
    await add(hub, 91, 3)
    await page.getByRole('button', { name: 'Resume (3 new)' }).waitFor()
    t.equal(await rowWith(page, '93').count(), 0)
    await scrollTo(page, 0)
    await rowWith(page, '93').waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    await add(hub, 94, 1)
    await page.getByRole('button', { name: 'Resume (1 new)' }).click()
    await rowWith(page, '94').waitFor()
  })

  await t.test('events are filtered by type and by text', async (t) => {
    const hub = await startHub(t)
    await add(hub, 1, 400)
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    await page.locator(LIVE).waitFor()
    await page.getByLabel('Only events with the text').fill('377')
    await rowWith(page, '377').waitFor()
    await page.locator('.foot', { hasText: /^1 of/ }).waitFor()
    t.equal(await rowsOf(page).count(), 1)
    await page.getByLabel('Only events with the text').fill('')
    await page.getByLabel('Only events of the type').fill('tenth')
    await page.locator('.foot', { hasText: /^40 events, all since/ }).waitFor()
    await rowWith(page, '400').waitFor()
    t.equal(await rowsOf(page).filter({ hasText: 'other' }).count(), 0)
    await page.locator(LIVE).waitFor()
    await add(hub, 401, 10)
    await rowWith(page, '410').waitFor()
    await page.locator('.foot', { hasText: /^41 events/ }).waitFor()
  })

  await t.test('the list goes to a time, from there to newer events, and back to the live ones', async (t) => {
    const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '5000' })
    await add(hub, 1, 50)
    const id = (await add(hub, 51, 1)).at(-1)!.id
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    const time = await rowsOf(page)
      .and(page.locator(`[data-id="${id}"]`))
      .locator('time')
      .getAttribute('datetime')
    // the field has whole seconds: the next events come in a later one
    await page.waitForFunction((after) => Date.now() > after, Math.ceil((Date.parse(time!) + 1) / 1_000) * 1_000)
    await add(hub, 52, 300)
    await rowWith(page, '351').waitFor()
    const local = await page.evaluate((text) => {
      const date = new Date(Math.ceil((Date.parse(text) + 1) / 1_000) * 1_000)
      return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19)
    }, time!)
    await page.getByLabel('Go to the time').fill(local)
    await page.getByRole('button', { name: 'Go', exact: true }).click()
    await rowWith(page, '52').waitFor()
    t.equal(await rowWith(page, '351').count(), 0)
    await page.getByRole('button', { name: 'Load newer events' }).click()
    await page.locator('.foot', { hasText: /^251 events/ }).waitFor() // with 51 older ones, which come by themselves
    await page.getByRole('button', { name: /^Resume/ }).click()
    await rowWith(page, '351').waitFor()
    await add(hub, 352, 1)
    await rowWith(page, '352').waitFor()
    await page.getByLabel('Go to the time').fill('2999-01-01T00:00')
    await page.getByRole('button', { name: 'Go', exact: true }).click()
    await page.getByText('This time is in the future.').waitFor()
  })

  await t.test('older events that come late are not added to a list that has gone elsewhere meanwhile', async (t) => {
    const hub = await startHub(t)
    await add(hub, 1, 400)
    const page = await open(t, browser, hub)
    const asked = new Promise<Route>((resolve) => void page.route(/[?&]before=/, resolve, { times: 1 }))
    await go(page, '#/topics/orders.1')
    await rowWith(page, '400').waitFor()
    const earlier = await page.evaluate(() => {
      const date = new Date(Date.now() - 60_000)
      return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19)
    })
    await page.getByLabel('Go to the time').fill(earlier)
    await scrollTo(page, 1e6)
    const route = await asked
    await page.getByRole('button', { name: 'Go', exact: true }).click()
    // gives a list that does not wait time to go elsewhere: nothing tells the test that it stays
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 100))))
    await route.continue()
    await rowWith(page, '1').waitFor()
    await page.locator('.foot', { hasText: /^100 events, all since/ }).waitFor()
  })

  await t.test('an event is opened beside the list, chosen with arrow keys, copied, and closed with Esc', async (t) => {
    const hub = await startHub(t)
    const deep = { order: { items: [{ sku: 'A' }, { sku: 'B' }], total: 12 }, note: null, paid: true }
    await publish(hub, 'orders.1', { data: deep, type: 'created', attributes: { traceparent: '00-01' } }, ann)
    await publish(hub, 'orders.1', { text: 'two\nlines' }, ann)
    await publish(hub, 'orders.1', { bytes: 'AP8=', type: 'image' }, ann)
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    await rowsOf(page).nth(2).waitFor()
    t.strictSame(await rowsOf(page).locator('code').allTextContents(), ['AP8=', 'two\nlines', JSON.stringify(deep)])
    await rowsOf(page).first().click()
    const detail = page.locator('section.detail')
    await detail.getByRole('heading', { name: 'image' }).waitFor()
    await page.getByRole('listbox', { name: 'Events' }).focus()
    await page.keyboard.press('ArrowDown')
    await detail.getByText('two\nlines').waitFor()
    await page.keyboard.press('End')
    await detail.getByRole('heading', { name: 'created' }).waitFor()
    t.match(await detail.locator('.facts').textContent(), /traceparent00-01/)
    t.equal(await detail.getByText('"A"').isVisible(), false, 'deep members are folded')
    await detail.getByText('"items":').click()
    await checkBoth(t, page, 'event')
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await detail.getByRole('button', { name: 'Copy payload' }).click()
    await detail.getByText('Copied.').waitFor()
    t.strictSame(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())), deep)
    await page.getByRole('listbox', { name: 'Events' }).focus()
    await page.keyboard.press('Escape')
    await detail.waitFor({ state: 'detached' })
    await page.getByRole('heading', { name: 'Publish' }).waitFor()
  })
})
