/** The page of a topic: live events, history and publishing, in a real browser, with a hub in its own process. */
import t from 'tap'
import { publish, send } from '../../helper/http.js'
import { startHub } from '../../helper/process.js'
import { revivingHub } from '../../helper/reviving-hub.js'
import { openLive, streamUrl } from '../../helper/stream.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { ann, busyHub, checkBoth, go, LIVE, open, rowsOf, shownIds, TIMEOUT } from './console.js'

t.setTimeout(TIMEOUT)
const path = findChromium()

await t.test('the page of a topic', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)

  await t.test('the page shows an event that it published', async (t) => {
    const hub = await busyHub(t)
    const page = await open(t, browser, hub)
    await page.getByRole('link', { name: 'Topics' }).click()
    await page.getByRole('link', { name: 'news' }).waitFor()
    await page.getByLabel('Name contains, or pattern').fill('orders.')
    await page.getByRole('link', { name: 'news' }).waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Topic', exact: true }).click()
    await page.locator('tbody a').first().filter({ hasText: 'orders.4' }).waitFor() // sorted in reverse
    await page.getByRole('link', { name: 'orders.1' }).click()
    const live = page.getByRole('listbox', { name: 'Events' })
    await page.locator(LIVE).waitFor()
    await page.getByRole('textbox', { name: 'Type (optional)' }).fill('a type of its own')
    await page.getByRole('textbox', { name: 'Payload' }).fill('{"hello": "wörld"}')
    await page.getByRole('button', { name: 'Publish' }).click()
    await live.getByText('{"hello":"wörld"}').waitFor()
    await live.getByText('a type of its own').waitFor()
    await page.getByText(/^Published as \S+, sent to 1 subscriber\.$/).waitFor()

    await page.getByRole('radio', { name: 'Text' }).check()
    await page.getByLabel('Ephemeral').check()
    await page.getByRole('textbox', { name: 'Payload' }).fill('gone at once')
    await page.getByRole('button', { name: 'Publish' }).click()
    await rowsOf(page).filter({ hasText: 'gone at once' }).getByText('ephemeral').waitFor()

    await page.getByRole('radio', { name: 'JSON' }).check()
    await page.getByRole('button', { name: 'Publish' }).click()
    await page.getByRole('alert').filter({ hasText: 'not valid JSON' }).waitFor()
    await page.getByRole('textbox', { name: 'Payload' }).fill('1')
    await page.getByRole('textbox', { name: 'Type (optional)' }).fill('fanfare.mine')
    await page.getByRole('button', { name: 'Publish' }).click()
    await page.getByRole('alert').filter({ hasText: /type/ }).waitFor()

    await openLive(t, streamUrl(hub, ['orders.1']), { token: ann })
    await page.locator('#presence ~ ul').getByText('{"name":"Ann"}').waitFor()
  })

  await t.test("the snippets of a topic's page fit together: one publishes, the other one receives", async (t) => {
    const hub = await startHub(t)
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    const script = async (title: string) => {
      const panel = page.locator('details', { hasText: `Try it: ${title}` })
      await panel.locator('summary').click()
      await panel.getByRole('group', { name: 'JavaScript' }).filter({ hasNotText: '$TOKEN' }).waitFor()
      return `(async () => { ${await panel.getByRole('group', { name: 'JavaScript' }).textContent()}\n})()`
    }
    const logged: string[] = []
    page.on('console', (message) => logged.push(message.text()))
    await page.evaluate(await script('subscribe'))
    const heard = page.waitForEvent('console', { predicate: (message) => message.text().startsWith('created ') })
    await page.evaluate(await script('publish'))
    t.match((await heard).text(), /^created \S+ \{"total":12\}$/)
    const plain = page.waitForEvent('console', { predicate: (message) => message.text().startsWith('message ') })
    await page.getByRole('button', { name: 'Publish' }).click()
    await plain
    t.match(logged.join('\n'), /^201 /m)
  })

  await t.test('a double click publishes once', async (t) => {
    const hub = await startHub(t)
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    await page.locator(LIVE).waitFor()
    await page.getByRole('button', { name: 'Publish' }).dblclick()
    await page.getByText(/^Published as/).waitFor()
    await publish(hub, 'orders.1', { data: 'after' }, ann)
    await rowsOf(page).getByText('"after"').waitFor()
    t.equal(await rowsOf(page).count(), 2)
  })

  await t.test('a name in the address is quoted in the snippets', async (t) => {
    const hub = await startHub(t)
    const page = await open(t, browser, hub)
    await go(page, `#/topics/${encodeURIComponent("'-alert(1)-'$(id)`\"")}`)
    const panel = page.locator('details', { hasText: 'Try it: subscribe' })
    await panel.locator('summary').click()
    const text = (await panel.getByRole('group').allTextContents()).join('\n')
    t.match(text, '/topics/%27-alert%281%29-%27%24%28id%29%60%22/events')
    t.notMatch(text, 'alert(1)')
  })

  await t.test('heartbeats are not shown as events', async (t) => {
    const hub = await startHub(t, { FANFARE_HEARTBEAT: '50ms' })
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    await page.locator(LIVE).waitFor()
    const beside = await openLive(t, streamUrl(hub, ['orders.1']), { token: ann })
    await beside.until(() => beside.heartbeats >= 3)
    await publish(hub, 'orders.1', { data: 'the only one' }, ann)
    await rowsOf(page).getByText('the only one').waitFor()
    t.equal((await shownIds(page)).length, 1)
  })

  await t.test('an admin purges the topic after a confirmation', async (t) => {
    const hub = await busyHub(t)
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    await rowsOf(page).first().waitFor()
    await page.getByRole('button', { name: 'Purge…' }).click()
    await page.getByRole('dialog', { name: 'Purge orders.1?' }).getByText('all 12 events').waitFor()
    await checkBoth(t, page, 'purge')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    t.ok(await page.getByRole('button', { name: 'Purge…' }).evaluate((one) => one === document.activeElement))
    t.ok((await rowsOf(page).count()) > 0)
    await page.getByRole('button', { name: 'Purge…' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Purge', exact: true }).click()
    await page.getByRole('status').filter({ hasText: '12 events purged.' }).waitFor()
    await page.getByText(/^No events yet\./).waitFor()
  })

  await t.test('a finite topic shows its state, and is stopped after a confirmation', async (t) => {
    const hub = await startHub(t)
    const headers = { 'content-type': 'text/plain' }
    await send(hub, 'PUT', '/streams/chats/r7', { token: ann, headers })
    await fetch(`${hub.url}/streams/chats/r7`, {
      method: 'POST',
      headers: { ...headers, authorization: `Bearer ${ann}` },
      body: 'Hello',
    })
    const page = await open(t, browser, hub)
    await go(page, '#/topics/chats.r7')
    const card = page.getByRole('region', { name: 'Stream that ends' })
    for (const text of ['open', '5 B', 'text/plain', 'ann']) await card.getByText(text, { exact: true }).waitFor()
    await rowsOf(page).getByText('Hello').waitFor()
    t.equal(await page.getByRole('button', { name: 'Publish' }).count(), 0)
    t.equal(await page.getByRole('button', { name: 'Purge…' }).count(), 0)
    await card.getByRole('button', { name: 'Stop…' }).click()
    await page.getByRole('dialog').waitFor()
    await checkBoth(t, page, 'stop')
    await page.getByRole('dialog').getByRole('button', { name: 'Stop', exact: true }).click()
    await card.getByText('cancelled', { exact: true }).waitFor()
    t.equal(await card.getByRole('button').count(), 0)
    const late = await send(hub, 'POST', '/streams/chats/r7', { token: ann, headers: { 'stream-closed': 'true' } })
    t.equal(late.headers.get('fanfare-status'), 'cancelled')
  })

  await t.test('a gap is shown', async (t) => {
    const hub = await revivingHub(t, { FANFARE_LOG: 'memory' })
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    await page.locator(LIVE).waitFor()
    await hub.kill()
    await page.locator('#events ~ .badge.down').waitFor()
    await hub.start()
    await page.getByText('This topic: there is a gap: the hub has begun a new log.').waitFor()
    await checkBoth(t, page, 'gap')
    await page.getByRole('button', { name: 'Dismiss' }).last().click()
    await page.getByText('This topic: there is a gap').waitFor({ state: 'detached' })
  })
})
