/** The example "notifications" in a browser. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { goOffline, goOnline, hasStatus, looksWell, startExample, visit } from '../example.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

async function signIn(page: Page, name: string): Promise<void> {
  await page.getByLabel('Your name').fill(name)
  await page.keyboard.press('Enter')
}

/** Returns the numbers of the notifications that a page shows, oldest first. */
async function numbers(page: Page): Promise<number[]> {
  const texts = await page.locator('#news .words').allTextContents()
  return texts
    .map((text) => /number (\d+)/.exec(text))
    .filter((found) => found !== null)
    .map((found) => Number(found[1]))
    .reverse()
}

async function shows(page: Page, text: string): Promise<void> {
  await page.locator('#news').getByText(text, { exact: true }).waitFor()
}

async function connection(page: Page): Promise<string | null> {
  return page.locator('#connection').textContent()
}

async function renewals(page: Page): Promise<number> {
  return Number(await page.locator('#renewals').textContent())
}

/** Waits until a page's token has been renewed a number of further times. */
async function renewed(page: Page, count: number): Promise<void> {
  await page.waitForFunction(
    (least) => Number(document.querySelector('#renewals')?.textContent) >= least,
    (await renewals(page)) + count,
  )
}

await t.test('notifications', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const example = await startExample(t, 'notifications', { speed: 6 }) // a token is valid for five seconds
  const page = await visit(t, browser, example)
  let published = 0

  /** Publishes to Ann, about ten times per second, until it is stopped. */
  function publishing(): () => Promise<void> {
    const ending = new AbortController()
    const done = (async () => {
      while (!ending.signal.aborted) {
        await publishOne()
        await delay(100) // a pace at which events come in every state of the page
      }
    })()
    return async () => {
      ending.abort()
      await done
    }
  }

  async function publishOne(): Promise<void> {
    const data = { from: 'bob', text: `number ${published + 1}`, time: new Date().toISOString() }
    await example.client.publish('users.ann.notifications', { type: 'notification', data }, { timeout: TIMEOUT })
    published++
  }

  /** Checks that the page shows every published notification, once and in order. */
  async function isWhole(t: Test, page: Page): Promise<void> {
    await shows(page, `bob: number ${published}`)
    t.strictSame(
      await numbers(page),
      Array.from({ length: published }, (_, n) => n + 1),
    )
  }

  await t.test('a user signs in, and an invalid name is refused', async (t) => {
    await signIn(page, 'Ann Lee')
    await page.getByRole('alert').filter({ hasText: 'A name has 1 to 32 letters' }).waitFor()
    t.equal(await page.getByLabel('Your name').inputValue(), 'Ann Lee')
    await looksWell(t, page, 'notifications-sign-in')
    await signIn(page, 'ann')
    await hasStatus(page, 'Live')
    await page.getByText('Nothing yet.').waitFor()
    await looksWell(t, page, 'notifications-empty')
  })

  await t.test('events of both types arrive', async (t) => {
    await page.getByLabel('Text').fill('<b>hello</b>')
    await page.keyboard.press('Enter')
    await shows(page, 'ann: <b>hello</b>')
    await page.getByLabel('You are').selectOption('busy')
    await page.getByRole('button', { name: 'Update' }).click()
    await shows(page, 'You are busy.')
    t.equal(await page.locator('#activity').textContent(), ', busy')
    t.equal(await page.getByLabel('Text').inputValue(), '')
  })

  await t.test('an invalid notification is refused, and stays in the form', async (t) => {
    const alert = page.locator('#notify').getByRole('alert')
    await page.getByLabel('Text').fill('x'.repeat(501))
    await page.keyboard.press('Enter')
    await alert.filter({ hasText: 'A notification has 1 to 500 characters.' }).waitFor()
    t.equal((await page.getByLabel('Text').inputValue()).length, 501)
    await page.getByLabel('Text').fill('hello')
    await page.keyboard.press('Enter')
    await alert.filter({ hasText: /./ }).waitFor({ state: 'detached' })
    await shows(page, 'ann: hello')
  })

  await t.test('the token is renewed repeatedly on the same connection, and no event is missing', async (t) => {
    const before = await connection(page)
    const stop = publishing()
    await renewed(page, 3)
    await stop()
    await isWhole(t, page)
    t.equal(await connection(page), before)
    t.equal(await page.locator('#log').getByText('Reconnecting…').count(), 0)
  })

  await t.test('a second tab is signed in too, and shows the retained events', async (t) => {
    const tab = await page.context().newPage()
    await tab.goto(example.url)
    await hasStatus(tab, 'Live')
    await shows(tab, `bob: number ${published}`)
    await publishOne()
    await shows(tab, `bob: number ${published}`)
    await isWhole(t, page)
    await tab.close()
  })

  await t.test('another user gets only their own events', async (t) => {
    const other = await visit(t, browser, example)
    await signIn(other, 'bob')
    await hasStatus(other, 'Live')
    await page.getByLabel('To', { exact: true }).fill('bob')
    await page.getByLabel('Text').fill('are you there?')
    await page.keyboard.press('Enter')
    await shows(other, 'ann: are you there?')
    t.equal(await other.locator('#news li').count(), 1)
    t.equal(await page.locator('#news').getByText('are you there?').count(), 0)
  })

  await t.test('the hub is killed and comes back: the page catches up with a valid token', async (t) => {
    const stop = publishing()
    await example.hub.kill()
    await hasStatus(page, 'Reconnecting…')
    await example.hub.start()
    await hasStatus(page, 'Live')
    await stop()
    await isWhole(t, page)
  })

  await t.test('the page goes offline and comes back', async (t) => {
    await goOffline(page, example)
    await hasStatus(page, 'Reconnecting…')
    await publishOne()
    await goOnline(page, example)
    await hasStatus(page, 'Live')
    await isWhole(t, page)
  })

  await t.test(
    "the example's server is down until the token expires: the page continues with a new token",
    async (t) => {
      const before = await connection(page)
      const away = ['**/login', '**/notifications']
      for (const address of away) await page.route(address, (route) => route.abort())
      await page.getByLabel('Text').fill('hello again')
      await page.keyboard.press('Enter')
      await page.getByRole('alert').filter({ hasText: 'The server cannot be reached.' }).waitFor()
      t.equal(await page.getByLabel('Text').inputValue(), 'hello again')
      await page.getByText('The hub ended the stream: expired').waitFor()
      await page.locator('#end', { hasText: 'has ended' }).waitFor()
      await publishOne()
      await page.getByText('Reconnecting… The server cannot be reached.').first().waitFor()
      await looksWell(t, page, 'notifications-away')
      for (const address of away) await page.unroute(address)
      await hasStatus(page, 'Live')
      await isWhole(t, page)
      t.not(await connection(page), before)
      await looksWell(t, page, 'notifications')
    },
  )

  await t.test('a reload keeps the user, and signing out applies to all tabs', async () => {
    await page.reload()
    await shows(page, `bob: number ${published}`)
    const tab = await page.context().newPage()
    await tab.goto(example.url)
    await hasStatus(tab, 'Live')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Your name').waitFor()
    await tab.getByLabel('Your name').waitFor()
    await tab.close()
  })
})
