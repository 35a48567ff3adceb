/** The example "inbox" in a browser. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { publishBatch } from '../../helper/http.js'
import { anyTopic } from '../../helper/token.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { goOffline, goOnline, hasStatus, looksWell, startExample, visit, type RunningExample } from '../example.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

/** Signs in on a device. `each`: every device has its own named cursor. */
async function switchOn(page: Page, user: string, device: string, { each = false } = {}): Promise<void> {
  await page.getByLabel('Your name').fill(user)
  await page.getByLabel('This device').fill(device)
  if (each) await page.getByLabel('comes on each of my devices').check()
  await page.getByRole('button', { name: 'Switch on' }).click()
}

async function switchOff(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Switch off' }).click()
  await page.getByLabel('Your name').waitFor()
}

/** Opens a device, switches it on, and waits until it is connected. */
async function device(
  t: Test,
  browser: Browser,
  example: RunningExample,
  user: string,
  name: string,
  options?: { each: boolean },
): Promise<Page> {
  const page = await visit(t, browser, example)
  await switchOn(page, user, name, options)
  await hasStatus(page, 'Live')
  return page
}

async function send(page: Page, to: string, ...texts: string[]): Promise<void> {
  for (const text of texts) {
    await page.getByLabel('To', { exact: true }).fill(to)
    await page.getByLabel('Text').fill(text)
    await page.keyboard.press('Enter')
    await page.getByText(`Sent to ${to}.`).waitFor()
  }
}

async function shows(page: Page, text: string): Promise<void> {
  await page.locator('#messages').getByText(text, { exact: true }).waitFor()
}

/** Returns the texts of the messages that a page shows, oldest first. */
async function texts(page: Page): Promise<string[]> {
  return (await page.locator('#messages p').allTextContents()).reverse()
}

await t.test('inbox', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const example = await startExample(t, 'inbox')
  const bob = await visit(t, browser, example)

  await t.test('a user switches a device on, and an invalid name is refused', async (t) => {
    await switchOn(bob, 'Bob Lee', 'laptop')
    await bob.getByRole('alert').filter({ hasText: 'A name has 1 to 32 letters' }).waitFor()
    t.equal(await bob.getByLabel('Your name').inputValue(), 'Bob Lee')
    await looksWell(t, bob, 'inbox-sign-in')
    await switchOn(bob, 'bob', 'laptop')
    await hasStatus(bob, 'Live')
    await bob.getByText('No message has come yet.').waitFor()
    await looksWell(t, bob, 'inbox-empty')
  })

  await t.test('an invalid message is refused, and stays in the form', async (t) => {
    const alert = bob.locator('#send').getByRole('alert')
    await bob.getByLabel('To', { exact: true }).fill('Ann Lee')
    await bob.getByLabel('Text').fill('x'.repeat(1_001))
    await bob.keyboard.press('Enter')
    await alert.filter({ hasText: 'A name has 1 to 32 letters' }).waitFor()
    await bob.getByLabel('To', { exact: true }).fill('ann')
    await bob.keyboard.press('Enter')
    await alert.filter({ hasText: 'A message has 1 to 1,000 characters.' }).waitFor()
    t.equal((await bob.getByLabel('Text').inputValue()).length, 1_001)
  })

  await t.test('earlier messages arrive on the first device, and new ones wait for the next device', async (t) => {
    await send(bob, 'ann', 'one', '<b>two</b>')
    const phone = await device(t, browser, example, 'ann', 'phone')
    await shows(phone, '<b>two</b>')
    t.strictSame(await texts(phone), ['one', '<b>two</b>'])
    await switchOff(phone)

    await send(bob, 'ann', 'three')
    const laptop = await device(t, browser, example, 'ann', 'laptop')
    await shows(laptop, 'three')

    await send(bob, 'ann', 'four')
    await shows(laptop, 'four')
    await switchOn(phone, 'ann', 'phone')
    await hasStatus(phone, 'Live')
    await send(bob, 'ann', 'five')
    for (const page of [phone, laptop]) await shows(page, 'five')
    t.strictSame((await texts(phone)).slice(0, 2), ['one', '<b>two</b>'], 'the device still has its messages')
    t.strictSame((await texts(laptop)).slice(-3), ['three', 'four', 'five'])
    t.strictSame(await texts(bob), [], 'another user gets none of them')
  })

  await t.test('repeated messages are shown once', async (t) => {
    const phone = await device(t, browser, example, 'eve', 'phone')
    await phone.route('**/cursors/**', (route) => route.abort()) // the messages are not acknowledged yet
    const sent: string[] = []
    const ending = new AbortController()
    const sending = (async () => {
      while (!ending.signal.aborted) {
        const text = `number ${sent.length + 1}`
        await example.client.publish('inbox.eve', { data: { from: 'bob', text, time: new Date().toISOString() } })
        sent.push(text)
        await delay(100) // a pace at which events come in every state of the page
      }
    })()
    await shows(phone, 'number 5')
    await phone.reload()
    await phone.locator('#doubles', { hasText: /[1-9]/ }).waitFor()
    ending.abort()
    await sending
    await shows(phone, sent.at(-1)!)
    t.strictSame(await texts(phone), sent)
  })

  await t.test('many waiting messages all arrive and survive a reload, and the form stays above them', async (t) => {
    const sent = Array.from({ length: 300 }, (_, index) => `number ${index + 1}`)
    const time = new Date().toISOString()
    await publishBatch(
      example.hub.hub,
      sent.map((text) => ({ topic: 'inbox.gil', data: { from: 'bob', text, time } })),
      anyTopic(),
    )
    const phone = await device(t, browser, example, 'gil', 'phone')
    await shows(phone, sent.at(-1)!)
    t.strictSame(await texts(phone), sent)
    await phone.reload()
    await hasStatus(phone, 'Live')
    t.strictSame(await texts(phone), sent)
    await phone.setViewportSize({ width: 390, height: 844 })
    const [form, messages] = [
      await phone.locator('#send').boundingBox(),
      await phone.locator('#messages').boundingBox(),
    ]
    t.ok(form!.y + form!.height < messages!.y)
  })

  await t.test('with its own named cursor each device gets every message', async (t) => {
    const phone = await device(t, browser, example, 'dan', 'phone', { each: true })
    await send(bob, 'dan', 'one')
    await shows(phone, 'one')
    const laptop = await phone.context().newPage() // a second tab is another device, in the same browser
    await laptop.goto(example.url)
    await switchOn(laptop, 'dan', 'laptop', { each: true })
    await shows(laptop, 'one')
    await laptop.close()
    await send(bob, 'dan', 'two', 'three')
    await shows(phone, 'three')
    const again = await phone.context().newPage()
    await again.goto(example.url)
    await switchOn(again, 'dan', 'laptop', { each: true })
    await shows(again, 'three')
    for (const page of [phone, again]) t.strictSame(await texts(page), ['one', 'two', 'three'])
  })

  await t.test('the hub is killed and comes back: messages sent meanwhile arrive once', async (t) => {
    const phone = await device(t, browser, example, 'fay', 'phone')
    await send(bob, 'fay', 'before')
    await shows(phone, 'before')
    await example.hub.kill()
    for (const page of [phone, bob]) await hasStatus(page, 'Reconnecting…')
    await bob.getByLabel('Text').fill('meanwhile')
    await bob.keyboard.press('Enter')
    await bob.getByRole('alert').filter({ hasText: 'The hub cannot be reached.' }).waitFor()
    t.equal(await bob.getByLabel('Text').inputValue(), 'meanwhile')
    await looksWell(t, bob, 'inbox-reconnecting')
    await example.hub.start()
    await bob.getByRole('button', { name: 'Send' }).click()
    await shows(phone, 'meanwhile')
    t.strictSame(await texts(phone), ['before', 'meanwhile'])
    t.equal(await phone.locator('#doubles').textContent(), '0', 'the stream resumes by id')

    await goOffline(phone, example)
    await hasStatus(phone, 'Reconnecting…')
    await send(bob, 'fay', 'offline')
    await goOnline(phone, example)
    await shows(phone, 'offline')
    t.strictSame(await texts(phone), ['before', 'meanwhile', 'offline'])

    await phone.reload()
    await hasStatus(phone, 'Live')
    t.strictSame(await texts(phone), ['before', 'meanwhile', 'offline'])
    await send(phone, 'bob', 'Thank you.')
    await shows(bob, 'Thank you.')
    await looksWell(t, phone, 'inbox')
  })

  await t.test('the hub hangs: the form reports it, and the message arrives once when the hub continues', async (t) => {
    const phone = await device(t, browser, example, 'hal', 'phone')
    example.hub.hub.signal('SIGSTOP')
    await bob.getByLabel('To', { exact: true }).fill('hal')
    await bob.getByLabel('Text').fill('are you there?')
    await bob.keyboard.press('Enter')
    await bob.getByRole('alert').filter({ hasText: 'The hub cannot be reached.' }).waitFor()
    t.equal(await bob.getByLabel('Text').inputValue(), 'are you there?')
    example.hub.hub.signal('SIGCONT')
    await bob.getByRole('button', { name: 'Send' }).click()
    await bob.getByText('Sent to hal.').waitFor()
    await send(bob, 'hal', 'the last one')
    await shows(phone, 'the last one')
    t.strictSame(await texts(phone), ['are you there?', 'the last one'])
  })
})
