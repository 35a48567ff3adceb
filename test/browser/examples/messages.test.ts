/** The example "messages" in a browser. */
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { publishBatch, request } from '../../helper/http.js'
import { anyTopic } from '../../helper/token.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { goOffline, goOnline, hasStatus, looksWell, startExample, visit } from '../example.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

/** The maximum number of messages on a page. */
const SHOWN = 20

function send(page: Page): Promise<void> {
  return page.getByRole('button', { name: 'Send a message' }).click()
}

/** Waits for a total. Checks that the page shows the newest messages, each once. */
async function counts(t: Test, page: Page, total: number): Promise<void> {
  await page
    .locator('#total')
    .filter({ hasText: new RegExp(`^${total}$`) })
    .waitFor()
  const shown = (await page.locator('ol .number').allTextContents()).map(Number)
  t.strictSame(
    shown,
    Array.from({ length: Math.min(total, SHOWN) }, (_, index) => total - index),
  )
}

await t.test('messages', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const example = await startExample(t, 'messages')
  const page = await visit(t, browser, example)
  let total = 0

  /** Requests messages concurrently. Returns the numbers of the acknowledged messages. */
  async function sendAtOnce(people: number): Promise<number[]> {
    const answers = await Promise.all(
      Array.from({ length: people }, () => request<{ number: number }>(`${example.url}/message`, { method: 'POST' })),
    )
    return answers.filter(({ status }) => status === 201).map(({ body }) => body.number)
  }

  await t.test('an empty page has a text', async (t) => {
    await hasStatus(page, 'Live')
    await page.getByText('No message has been sent yet.').waitFor()
    t.equal(await page.locator('#total').textContent(), '0')
    await looksWell(t, page, 'messages-empty')
  })

  await t.test('every page gets the message', async (t) => {
    const other = await visit(t, browser, example)
    await send(page)
    await counts(t, other, 1)
    await other.getByRole('button', { name: 'Send a message' }).focus()
    for (const key of ['Enter', 'Space']) await other.keyboard.press(key)
    await counts(t, page, 3)
    await counts(t, other, 3)
    t.equal(await page.locator('ol').textContent(), await other.locator('ol').textContent())
    await looksWell(t, page, 'messages')
  })

  await t.test('concurrent requests get different numbers', async (t) => {
    t.strictSame(
      await sendAtOnce(20),
      Array.from({ length: 20 }, (_, index) => 4 + index),
    )
    await counts(t, page, 23)
    const starts = await page.locator('ol li').evaluateAll((items) =>
      items.map((item) => {
        const text = document.createRange()
        text.selectNodeContents(item.lastChild!)
        return text.getBoundingClientRect().left
      }),
    )
    t.equal(new Set(starts).size, 1, 'the texts are aligned, after numbers of one and of two digits')
  })

  await t.test('the hub is killed during requests: each message is stored once', async (t) => {
    const sending = sendAtOnce(15)
    await page.locator('ol li').filter({ hasText: /^24 / }).waitFor() // most likely some of them have arrived, and not all
    await example.hub.kill()
    await example.hub.start()
    const acknowledged = await sending // the others may have reached their time limit
    t.equal(new Set(acknowledged).size, acknowledged.length)
    const [number] = await sendAtOnce(1)
    total = number!
    t.ok(total > 23 + acknowledged.length)
    await counts(t, page, total)
    await hasStatus(page, 'Live')
  })

  await t.test('the page goes offline, reports it to the user, and comes back', async (t) => {
    await goOffline(page, example)
    await hasStatus(page, 'Reconnecting…')
    await send(page)
    await page.getByRole('alert').filter({ hasText: 'The server cannot be reached.' }).waitFor()
    await looksWell(t, page, 'messages-error')
    total += (await sendAtOnce(2)).length
    await goOnline(page, example)
    await counts(t, page, total)
    await send(page)
    await counts(t, page, ++total)
    await page.getByRole('alert').waitFor({ state: 'hidden' })
  })

  await t.test("the total is right beyond the hub's retention, after a reload, and in a second tab", async (t) => {
    const many = Array.from({ length: 1_000 }, (_, index) => ({
      topic: 'messages',
      data: { number: total + 1 + index, text: 'One of many.' },
    }))
    await publishBatch(example.hub.hub, many, anyTopic())
    total += many.length
    await counts(t, page, total)
    await send(page)
    await counts(t, page, ++total)
    await page.reload()
    await counts(t, page, total)
    const tab = await page.context().newPage()
    await tab.goto(example.url)
    await counts(t, tab, total)
    await send(tab)
    await counts(t, page, ++total)
  })
})
