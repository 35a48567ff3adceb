/** The example "assistant" in a browser. */
import type { Locator, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { wordsFor } from '../../../examples/assistant/model.js'
import { poll } from '../../helper/deadline.js'
import { request } from '../../helper/http.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { hasStatus, looksWell, startExample, visit } from '../example.js'
import { checkPage } from '../page.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

/** Words in the first half of each answer. */
const MIDDLE = 'each word is one message'

async function ask(page: Page, question: string): Promise<Locator> {
  await page.getByLabel('Question', { exact: true }).fill(question)
  await page.keyboard.press('Enter')
  return exchange(page, question)
}

/** Returns a question with its answer. */
function exchange(page: Page, question: string): Locator {
  return page.getByRole('article').filter({ has: page.getByText(question, { exact: true }) })
}

function answer(of: Locator): Promise<string | null> {
  return of.locator('.answer').textContent()
}

/** Waits until an answer is half written. */
async function inTheMiddle(of: Locator): Promise<void> {
  await of.filter({ hasText: MIDDLE }).waitFor()
  await of.getByRole('button', { name: 'Stop' }).waitFor()
}

/** Waits for the end of an answer, and checks that it has each word once. */
async function isWhole(t: Test, of: Locator, question: string): Promise<void> {
  await of.waitFor()
  await of.locator('button').waitFor({ state: 'hidden' }) // Stop, or Go on
  t.equal(await answer(of), wordsFor(question).join(''))
  t.equal(await of.locator('.state').textContent(), '')
}

await t.test('assistant', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const example = await startExample(t, 'assistant', { speed: 2 })
  const page = await visit(t, browser, example)
  const tab = await page.context().newPage()
  await tab.goto(example.url)

  await t.test('an empty chat has a text, and an invalid question is refused', async (t) => {
    await hasStatus(page, 'Live')
    await page.getByText('Ask anything.').waitFor()
    await looksWell(t, page, 'assistant-empty')
    for (const question of ['  ', 'x'.repeat(301)]) {
      await ask(page, question)
      await page.getByRole('alert').filter({ hasText: 'A question has 1 to 300 characters.' }).waitFor()
      t.equal(await page.getByLabel('Question', { exact: true }).inputValue(), question)
      await page.reload()
    }
    t.equal(await page.getByRole('article').count(), 0)
  })

  await t.test('a page that is reloaded in the middle, and a second tab, show the whole answer', async (t) => {
    const question = 'Why is the sky blue?'
    await inTheMiddle(await ask(page, question))
    await page.reload()
    await inTheMiddle(exchange(page, question))
    await inTheMiddle(exchange(tab, question))
    for (const one of [page, tab]) await isWhole(t, exchange(one, question), question)
    await page.reload()
    await isWhole(t, exchange(page, question), question)
  })

  await t.test('Stop in the second tab stops the writer, and the answer goes on in both', async (t) => {
    const question = 'How long is a river?'
    await inTheMiddle(await ask(page, question))
    await exchange(tab, question).getByRole('button', { name: 'Stop' }).focus()
    await tab.keyboard.press('Enter')
    for (const one of [page, tab]) await exchange(one, question).filter({ hasText: 'Stopped.' }).waitFor()
    const stopped = (await answer(exchange(tab, question)))!
    t.equal(await answer(exchange(page, question)), stopped)
    const whole = wordsFor(question).join('')
    t.ok(whole.startsWith(stopped) && stopped.length < whole.length, 'it has the words up to then')
    await exchange(page, question).getByRole('button', { name: 'Go on' }).click()
    for (const one of [page, tab]) await isWhole(t, exchange(one, question), question)
  })

  await t.test('the hub is killed in the middle: the answer becomes whole, with each word once', async (t) => {
    const question = 'What is behind the moon?'
    await inTheMiddle(await ask(page, question))
    await example.hub.kill()
    await hasStatus(page, 'Reconnecting…')
    await ask(page, 'Are you there?')
    await page.getByRole('alert').filter({ hasText: 'The hub cannot be reached.' }).waitFor()
    t.equal(await page.getByLabel('Question', { exact: true }).inputValue(), 'Are you there?')
    await exchange(page, question).getByRole('button', { name: 'Stop' }).click()
    await exchange(page, question).filter({ hasText: 'The hub cannot be reached.' }).waitFor()
    await example.hub.start()
    for (const one of [page, tab]) await isWhole(t, exchange(one, question), question)
    await page.getByRole('button', { name: 'Ask' }).click()
    await isWhole(t, exchange(page, 'Are you there?'), 'Are you there?')
  })

  await t.test('the server dies in the middle: the hub ends the answer, and the page asks for the rest', async (t) => {
    const question = 'Who wrote this?'
    await inTheMiddle(await ask(page, question))
    await example.stop()
    await ask(page, 'Nobody?')
    await page.getByRole('alert').filter({ hasText: 'The server cannot be reached.' }).waitFor()
    await example.start()
    await exchange(page, question).filter({ hasText: 'Interrupted: the server that wrote it has died.' }).waitFor()
    const interrupted = (await answer(exchange(page, question)))!
    t.ok(interrupted.length < wordsFor(question).join('').length)
    await looksWell(t, page, 'assistant')
    await exchange(page, question).getByRole('button', { name: 'Go on' }).click()
    await inTheMiddle(exchange(page, question))
    await checkPage(t, page, 'assistant-writing')
    for (const one of [page, tab]) await isWhole(t, exchange(one, question), question)
  })

  await t.test('a token reads and stops only the answers of its own chat', async (t) => {
    const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
      request<{ token: string }>(url, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
      })
    const [chat, other] = [crypto.randomUUID(), crypto.randomUUID()]
    const id = crypto.randomUUID()
    await post(`${example.url}/questions`, { chat, id, question: 'Where?', start: 0 })
    const stream = `${example.hub.url}/streams/chats/${chat}/${id}/0`
    const headersOf = async (owner: string) => {
      const { token } = (await post(`${example.url}/login`, { user: owner })).body
      return { authorization: `Bearer ${token}` }
    }
    t.equal((await request(stream, { headers: await headersOf(other) })).status, 403)
    t.equal((await post(`${stream}/cancel`, undefined, await headersOf(other))).status, 403)
    const headers = await headersOf(chat)
    t.equal((await post(stream, 'word', headers)).status, 403, 'a page cannot write')
    t.equal((await post(`${stream}/cancel`, undefined, headers)).status, 200)
    const status = await poll(
      async () => (await request(stream, { headers })).headers.get('fanfare-status') ?? undefined,
      () => 'the stream does not end',
    )
    t.equal(status, 'cancelled')
  })

  await t.test('New chat begins an empty one', async () => {
    await page.getByRole('button', { name: 'New chat' }).click()
    await page.getByText('Ask anything.').waitFor()
    await hasStatus(page, 'Live')
  })
})
