/**
 * Every page: accessibility, screen sizes, empty states and titles, in a real browser, with a hub in its own process.
 */
import t from 'tap'
import { publish } from '../../helper/http.js'
import { startHub } from '../../helper/process.js'
import { openLive, streamUrl } from '../../helper/stream.js'
import { token } from '../../helper/token.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { checkPage, openPage } from '../page.js'
import { admin, ann, busyHub, checkBoth, go, isLive, open, TIMEOUT } from './console.js'

t.setTimeout(TIMEOUT)
const path = findChromium()

await t.test('every page', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)

  for (const [scheme, widths] of [
    ['light', [1440, 768, 390]],
    ['dark', [1440, 768, 390]],
  ] as const) {
    await t.test(`every page is accessible (${scheme})`, async (t) => {
      const hub = await busyHub(t)
      const { headers } = await openLive(t, streamUrl(hub, ['orders.1']), { token: ann })
      const publishing = setInterval(
        () => void publish(hub, 'orders.1', { data: { total: 12 }, type: 'created' }, ann).catch(() => undefined),
        100,
      )
      t.teardown(() => clearInterval(publishing))
      for (const width of widths) {
        const out = await openPage(t, browser, hub.url, { scheme, width })
        await out.getByLabel('Token').fill('nonsense')
        await out.keyboard.press('Enter')
        await out.getByRole('alert').waitFor()
        await checkPage(t, out, `sign-in-${scheme}-${width}`)
        const page = await open(t, browser, hub, { scheme, width })
        await isLive(page)
        const pages: [name: string, fragment: string, ready: string][] = [
          ['topics', '#/topics', '.topic'],
          ['topic', '#/topics/orders.1', '.event-rows .row:nth-child(5)'],
          ['connections', '#/connections', '.data'],
          ['connection', `#/connections/${String(headers['fanfare-connection'])}`, '.figures'],
          ['nodes', '#/nodes', 'tbody tr'],
          ['overview', '#/', '.figures'],
        ]
        for (const [name, fragment, ready] of pages) {
          await go(page, fragment)
          await page.locator(ready).first().waitFor()
          for (const summary of await page.locator('summary').all()) await summary.click()
          await checkPage(t, page, `${name}-${scheme}-${width}`)
        }
      }
    })
  }

  await t.test('tables fit the screen, even with long names', async (t) => {
    const hub = await busyHub(t)
    const long = `a.${'long-name-of-a-topic.'.repeat(9)}`.slice(0, 190)
    await publish(hub, long, { data: 1 }, ann)
    await openLive(t, streamUrl(hub, [long, 'orders.1', 'news']), {
      token: token({ sub: `somebody-${'long'.repeat(20)}`, subscribe: ['**'] }),
    })
    for (const width of [390, 900, 1440]) {
      const page = await open(t, browser, hub, { width })
      await isLive(page)
      for (const [name, text] of [
        ['topics', long],
        ['connections', 'somebody-long'],
      ] as const) {
        await go(page, `#/${name}`)
        await page.locator('.data a', { hasText: text }).waitFor()
        const hidden = await page.locator('.data').evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)
        t.equal(hidden, 0, `${name}, ${width} pixels wide`)
        await checkPage(t, page, `${name}-long-${width}`)
      }
    }
  })

  await t.test('empty pages have a text', async (t) => {
    const page = await open(t, browser, await startHub(t))
    await isLive(page)
    for (const [name, fragment, words] of [
      ['overview-empty', '#/', 'Events kept'],
      ['topics-empty', '#/topics', 'The log holds no events.'],
      ['topic-empty', '#/topics/orders.1', 'No events yet. Publish one with the form'],
    ] as const) {
      await go(page, fragment)
      await page.getByText(words).waitFor()
      await checkBoth(t, page, name)
    }
    await go(page, '#/connections')
    await page.getByLabel('Subject, address or id').fill('nobody')
    await page.getByText('No stream matches.').waitFor()
    await checkBoth(t, page, 'connections-empty')
  })

  await t.test('every page has its own title', async (t) => {
    const page = await openPage(t, browser, (await startHub(t)).url)
    await page.getByLabel('Token').fill(admin)
    t.equal(await page.title(), 'Sign in · Fanfare')
    await page.keyboard.press('Enter')
    for (const [fragment, title] of [
      ['#/', 'Overview'],
      ['#/topics', 'Topics'],
      ['#/topics/orders.1', 'orders.1'],
      ['#/connections', 'Connections'],
      ['#/connections/one', 'Connection one'],
      ['#/nodes', 'Nodes'],
    ] as const) {
      await go(page, fragment)
      await page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor()
      await page.waitForFunction((wanted) => document.title === wanted, `${title} · Fanfare`)
    }
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token').waitFor()
    t.equal(await page.title(), 'Sign in · Fanfare')
  })
})
