/** The example "chat" in a browser. */
import type { Page } from 'playwright-core'
import t from 'tap'
import { poll } from '../../helper/deadline.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { goOffline, goOnline, hasStatus, looksWell, startExample, visit } from '../example.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

async function comeIn(page: Page, name: string): Promise<void> {
  await page.getByLabel('Your name').fill(name)
  await page.keyboard.press('Enter')
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text)
  await page.keyboard.press('Enter')
}

async function goTo(page: Page, room: string): Promise<void> {
  await page.getByRole('navigation').getByText(room).click()
  await page.getByRole('heading', { name: room }).waitFor()
}

/** Returns the messages that a page shows, as `name: text`. */
async function said(page: Page): Promise<string[]> {
  return page
    .locator('#log p:not(.note)')
    .evaluateAll((lines) =>
      lines.map((line) => `${line.querySelector('strong')!.textContent}: ${line.querySelector('span')!.textContent}`),
    )
}

async function shows(page: Page, text: string): Promise<void> {
  await page.getByRole('log').getByText(text, { exact: true }).waitFor()
}

/** Returns the joins and leaves that a page shows. */
async function notes(page: Page): Promise<string[]> {
  return page.locator('#log .note span').allTextContents()
}

async function hasPeople(page: Page, ...names: string[]): Promise<void> {
  await page.waitForFunction(
    (expected) => [...document.querySelectorAll('#people li')].map((item) => item.textContent).join() === expected,
    names.join(),
  )
}

await t.test('chat', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const example = await startExample(t, 'chat', { settings: { FANFARE_PRESENCE_GRACE: '4s' } })
  const [ann, bob] = [await visit(t, browser, example), await visit(t, browser, example)]
  const messages: string[] = []

  async function saysBob(text: string): Promise<void> {
    await say(bob, text)
    await shows(bob, text)
    messages.push(`bob: ${text}`)
  }

  await t.test('a user enters, and an invalid name is refused', async (t) => {
    await comeIn(ann, 'Ann Lee')
    await ann.getByRole('alert').filter({ hasText: 'A name has 1 to 32 letters' }).waitFor()
    t.equal(await ann.getByLabel('Your name').inputValue(), 'Ann Lee')
    await looksWell(t, ann, 'chat-sign-in')
    await comeIn(ann, 'ann')
    await hasStatus(ann, 'Live')
    await hasPeople(ann, 'ann')
    await ann.getByText('There are no messages yet.').waitFor()
    await looksWell(t, ann, 'chat-empty')
  })

  await t.test('the page shows who enters', async () => {
    await comeIn(bob, 'bob')
    await shows(ann, 'bob has come in.')
    for (const page of [ann, bob]) await hasPeople(page, 'ann', 'bob')
  })

  await t.test('a typing notice is shown until the message arrives', async (t) => {
    await bob.getByLabel('Message', { exact: true }).pressSequentially('he')
    await ann.getByText('bob is typing…').waitFor()
    await saysBob('<b>hello</b>\nAnn')
    await shows(ann, '<b>hello</b>\nAnn')
    await ann.getByText('bob is typing…').waitFor({ state: 'detached' })
    await bob.getByLabel('Message', { exact: true }).pressSequentially('a') // another notice at once
    await ann.getByText('bob is typing…').waitFor()
    await say(ann, 'hello Bob')
    messages.push('ann: hello Bob')
    await shows(bob, 'hello Bob')
    for (const page of [ann, bob]) t.strictSame(await said(page), messages)
  })

  await t.test('an invalid message or room is refused, and stays in its field', async (t) => {
    const alert = ann.locator('#say').getByRole('alert')
    await say(ann, 'x'.repeat(1_025))
    await alert.filter({ hasText: 'at most 1024 are allowed' }).waitFor()
    t.equal((await ann.getByLabel('Message', { exact: true }).inputValue()).length, 1_025)
    await ann.getByLabel('Another room').fill('no room')
    await ann.keyboard.press('Enter')
    await ann.locator('#go').getByRole('alert').filter({ hasText: 'A name has 1 to 32 letters' }).waitFor()
    await looksWell(t, ann, 'chat-refused')
  })

  await t.test("a token cannot publish in another user's name", async (t) => {
    const [request] = await Promise.all([bob.waitForRequest(/\/topics\//), saysBob('it is me')])
    const { authorization = '' } = await request.allHeaders()
    const { status } = await fetch(`${example.hub.url}/topics/rooms.lobby.ann/events`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: '{"type":"message","text":"no"}',
    })
    t.equal(status, 403)
    await shows(ann, 'it is me')
  })

  await t.test('rooms are independent, and a returning user sees the missed messages', async (t) => {
    await goTo(ann, 'garden')
    await hasPeople(ann, 'ann')
    t.strictSame(await said(ann), [])
    await saysBob('are you gone?')
    await shows(bob, 'ann has left.')
    await hasPeople(bob, 'bob')
    await ann.getByLabel('Another room').fill('lobby')
    await ann.keyboard.press('Enter')
    await shows(ann, 'are you gone?')
    t.strictSame(await said(ann), messages)
    await hasPeople(bob, 'ann', 'bob')
  })

  await t.test('a reload is not a leave, and a second tab is not a second person', async (t) => {
    await ann.reload()
    await shows(ann, 'are you gone?')
    const tab = await ann.context().newPage()
    await tab.goto(example.url)
    await comeIn(tab, 'ann')
    await shows(tab, 'are you gone?')
    await hasPeople(tab, 'ann', 'bob')
    t.strictSame(await said(tab), messages)
    await tab.close()
    await hasPeople(bob, 'ann', 'bob')
  })

  await t.test('the page goes offline and comes back', async (t) => {
    await goOffline(ann, example)
    await Promise.all([hasStatus(ann, 'Reconnecting…'), hasStatus(bob, 'Reconnecting…')])
    await example.client.publish('rooms.lobby.bob', { type: 'message', text: 'into the void' })
    messages.push('bob: into the void')
    await goOnline(ann, example)
    for (const page of [ann, bob]) {
      await shows(page, 'into the void')
      t.strictSame(await said(page), messages)
    }
  })

  await t.test('the hub is killed: a message fails, and is sent again when the hub is back', async (t) => {
    await example.hub.kill()
    await hasStatus(ann, 'Reconnecting…')
    await say(ann, 'is anybody here?')
    await ann.locator('#say').getByRole('alert').filter({ hasText: 'The hub cannot be reached.' }).waitFor()
    t.equal(await ann.getByLabel('Message', { exact: true }).inputValue(), 'is anybody here?')
    await looksWell(t, ann, 'chat-reconnecting')
    await example.hub.start()
    await ann.getByRole('button', { name: 'Send' }).click()
    messages.push('ann: is anybody here?')
    for (const page of [ann, bob]) {
      await shows(page, 'is anybody here?')
      await hasStatus(page, 'Live')
      t.strictSame(await said(page), messages)
      await hasPeople(page, 'ann', 'bob')
    }
    await looksWell(t, ann, 'chat')
  })

  await t.test('the hub hangs: a message fails, and is stored once when the hub continues', async (t) => {
    const text = 'can you hear me?'
    example.hub.hub.signal('SIGSTOP')
    await say(ann, text)
    await ann.locator('#say').getByRole('alert').filter({ hasText: 'The hub cannot be reached.' }).waitFor()
    t.equal(await ann.getByLabel('Message', { exact: true }).inputValue(), text)
    example.hub.hub.signal('SIGCONT')
    await ann.getByRole('button', { name: 'Send' }).click()
    messages.push(`ann: ${text}`)
    await shows(bob, text)
    await saysBob('yes')
    await shows(ann, 'yes')
    for (const page of [ann, bob]) t.strictSame(await said(page), messages)
  })
})

await t.test('streams that are lost together', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const example = await startExample(t, 'chat', { settings: { FANFARE_PRESENCE_GRACE: '1s' } })

  /** Opens the page of a user who has entered. */
  async function person(name: string): Promise<Page> {
    const page = await visit(t, browser, example)
    await comeIn(page, name)
    await hasStatus(page, 'Live')
    return page
  }

  const ann = await person('ann')
  await hasPeople(ann, 'ann')
  const [bob, eve] = [await person('bob'), await person('eve')]
  for (const page of [ann, bob]) await hasPeople(page, 'ann', 'bob', 'eve')
  t.strictSame(await notes(ann), ['bob has come in.', 'eve has come in.'])

  await t.test('the hub is killed: only users who do not reconnect have left', async (t) => {
    await ann.clock.install()
    await ann.clock.pauseAt(Date.now() + 1_000)
    await example.hub.kill()
    await hasStatus(ann, 'Reconnecting…')
    await eve.context().close()
    await bob.context().setOffline(true)
    await example.hub.start()
    // From here on the clock of this page moves only until it is connected: it waits for the other users.
    await poll(
      async () => {
        await ann.clock.runFor(500)
        return (await ann.locator('#status').textContent()) === 'Live' ? true : undefined
      },
      () => 'the page does not reconnect',
    )
    await hasPeople(ann, 'ann')
    await bob.context().setOffline(false)
    const fay = await person('fay')
    for (const page of [ann, bob, fay]) await hasPeople(page, 'ann', 'bob', 'fay')
    t.equal((await notes(ann)).length, 2, 'no join or leave is shown yet')
    await ann.clock.fastForward(10_000)
    await ann.clock.resume()
    await shows(ann, 'fay has come in.')
    t.strictSame((await notes(ann)).slice(2), ['eve has left.', 'fay has come in.'])
    await fay.context().close()
    await shows(ann, 'fay has left.') // at once, by the hub's event
    await shows(bob, 'eve has left.')
    t.notOk((await notes(bob)).includes('ann has come in.'))
  })

  await t.test('hub and server restart with another secret: the page replaces its token', async (t) => {
    await example.restartWith('another secret, at least thirty-two characters long')
    for (const page of [ann, bob]) await hasStatus(page, 'Live')
    await say(bob, 'here again')
    for (const page of [ann, bob]) await shows(page, 'here again')
    t.equal(await bob.locator('#say [role="alert"]').textContent(), '')
    for (const page of [ann, bob]) await hasPeople(page, 'ann', 'bob')
  })
})
