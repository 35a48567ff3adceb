/**
 * Signing in, the rights of a token in the console, and its storage, in a real browser, with a hub in its own process.
 */
import Fastify from 'fastify'
import type { Request, Route } from 'playwright-core'
import t from 'tap'
import fanfare from '../../../src/index.js'
import { send } from '../../helper/http.js'
import { startHub } from '../../helper/process.js'
import { SECRET, token } from '../../helper/token.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { openPage } from '../page.js'
import { admin, ann, busyHub, checkBoth, go, isLive, LIVE, open, rowsOf, TIMEOUT } from './console.js'

t.setTimeout(TIMEOUT)
const path = findChromium()

await t.test('signing in', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)

  await t.test('a user signs in with the form and signs out', async (t) => {
    const hub = await startHub(t)
    const page = await openPage(t, browser, hub.url)
    const field = page.getByLabel('Token')
    t.ok(await field.evaluate((element) => element === document.activeElement), 'the field has the focus')
    for (const [wrong, words] of [
      ['nonsense', /token/i],
      [token({ subscribe: ['**'], exp: 1 }), /expired/],
      ['ü', /not a token/],
    ] as const) {
      await field.fill(wrong)
      await page.keyboard.press('Enter')
      await page.getByRole('alert').filter({ hasText: words }).waitFor()
    }
    await field.fill(admin)
    await page.keyboard.press('Enter')
    await isLive(page)
    await page.reload()
    await isLive(page)
    const other = await page.context().newPage()
    await other.goto(hub.url)
    await other.getByLabel('Token').waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token').waitFor()
    await page.reload()
    await page.getByLabel('Token').waitFor()
    t.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0, "the browser's storage is empty")
  })

  await t.test('the link of a development start signs in, and the URL loses its token at once', async (t) => {
    const hub = await startHub(t, { FANFARE_JWT_SECRET: '' })
    const link = hub
      .logs()
      .map((line) => line['console'])
      .find((value) => typeof value === 'string')
    t.match(link, new RegExp(`^${hub.url}/#token=`))
    const page = await openPage(t, browser, link!)
    await isLive(page)
    t.equal(page.url(), `${hub.url}/`)
    await page.goBack().catch(() => null)
    t.notMatch(page.url(), /token/)
  })

  await t.test('another link in the same tab signs in again, and the stats continue', async (t) => {
    const hub = await startHub(t)
    const page = await open(t, browser, hub)
    await isLive(page)
    await go(page, `#token=${token({ sub: 'other', subscribe: ['**'], admin: true })}`)
    await page.waitForFunction(() => !location.hash.includes('token'))
    await isLive(page)
    await hub.kill()
    await page.locator('header .badge.down').waitFor()
  })

  await t.test('a late refusal of a request of an earlier session does not end the next one', async (t) => {
    const hub = await startHub(t)
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    await page.locator(LIVE).waitFor()
    const posted = new Promise<Route>((resolve) => {
      void page.route('**/topics/orders.1/events', async (route) => {
        if (route.request().method() === 'POST') resolve(route)
        else await route.continue()
      })
    })
    await page.getByRole('button', { name: 'Publish' }).click()
    const route = await posted
    await go(page, `#token=${token({ sub: 'other', subscribe: ['**'], admin: true })}`)
    await page.waitForFunction(() => !location.hash.includes('token'))
    await isLive(page)
    const answered = page.waitForEvent('requestfinished', (request) => request.method() === 'POST')
    await route.fulfill({ status: 401, contentType: 'application/problem+json', body: '{"detail":"It is too late."}' })
    await answered
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))))
    t.equal(await page.getByLabel('Token').count(), 0, 'the user is still signed in')
    await isLive(page)
  })

  await t.test("without an admin's token the page shows what the token may see, and nothing is red", async (t) => {
    const hub = await busyHub(t)
    const page = await openPage(t, browser, `${hub.url}/#token=${ann}`)
    const card = page.getByRole('region', { name: 'Your token' })
    await card.getByText('**').first().waitFor()
    t.match(await card.textContent(), /Subjectann.*May subscribe to\*\*.*May publish to\*\*.*presence ofnothing/)
    await page.getByRole('link', { name: 'orders.1' }).waitFor()
    t.strictSame(await page.getByRole('navigation').getByRole('link').allTextContents(), ['Overview', 'Topics'])
    t.equal(await page.getByRole('alert').count(), 0)
    t.equal(await page.locator('.badge, .notice').count(), 0)
    await checkBoth(t, page, 'own')
    await page.getByRole('link', { name: 'orders.1' }).click()
    await page.locator(LIVE).waitFor()
    t.equal(await page.getByRole('alert').count(), 0)
    t.equal(await page.getByRole('button', { name: 'Purge…' }).count(), 0)
  })

  await t.test('the console works below the prefix of an application', async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(fanfare, { prefix: '/live/hub', log: 'memory', jwtSecret: SECRET })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const page = await openPage(t, browser, `${url}/live/hub#token=${admin}`)
    await isLive(page)
    t.equal(page.url(), `${url}/live/hub/`)
    await go(page, '#/topics/orders.1')
    await page.locator(LIVE).waitFor()
    await page.getByRole('button', { name: 'Publish' }).click()
    await rowsOf(page).getByText('{"total":12}').waitFor()
  })

  await t.test('one stream carries every subscription, and the token is in no address', async (t) => {
    const hub = await startHub(t)
    const page = await openPage(t, browser, hub.url)
    const streams: Request[] = []
    page.on('request', (request) => {
      if (new URL(request.url()).pathname === '/events') streams.push(request)
    })
    await page.getByLabel('Token').fill(admin)
    await page.keyboard.press('Enter')
    await isLive(page)
    await go(page, '#/topics/orders.1')
    await page.locator(LIVE).waitFor()
    const { body } = await send<{ connections: unknown[] }>(hub, 'GET', '/connections', { token: admin })
    t.equal(body.connections.length, 1)
    t.not(streams.length, 0)
    for (const request of streams) {
      t.equal(await request.headerValue('authorization'), `Bearer ${admin}`)
      t.notOk(request.url().includes(admin))
    }
  })

  await t.test(
    'the page has the token only in open snippets while it is shown, and copied commands have it always',
    async (t) => {
      const hub = await startHub(t)
      const page = await open(t, browser, hub)
      await go(page, '#/topics/orders.1')
      const panel = page.locator('details', { hasText: 'Try it: publish' })
      await panel.waitFor()
      t.notMatch(await page.content(), new RegExp(admin))
      await panel.locator('summary').click()
      const curl = panel.locator('pre').first()
      await curl.filter({ hasText: `Bearer ${admin}` }).waitFor()
      t.match(await curl.textContent(), `${hub.url}/topics/orders.1/events`)
      await panel.getByRole('button', { name: 'Hide the token' }).click()
      await curl.filter({ hasText: 'Bearer $TOKEN' }).waitFor()
      t.notMatch(await page.content(), new RegExp(admin))
      await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
      await panel.getByRole('button', { name: 'Copy curl' }).click()
      await panel.getByText('Copied.').waitFor()
      const copied = await page.evaluate(() => navigator.clipboard.readText())
      t.ok(copied.includes(`Bearer ${admin}`))
    },
  )

  await t.test('the page reports a token without grants', async (t) => {
    const hub = await busyHub(t)
    const page = await openPage(t, browser, `${hub.url}/#token=${token({ sub: 'guest' })}`)
    await page.getByRole('region', { name: 'Your token' }).getByText('nothing').first().waitFor()
    await go(page, '#/topics/orders.1')
    await page.getByRole('status').filter({ hasText: 'orders.1' }).waitFor()
    t.equal(await page.getByRole('alert').count(), 0)
    await checkBoth(t, page, 'topic-refused')
  })
})
