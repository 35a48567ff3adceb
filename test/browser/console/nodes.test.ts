/** The page of the processes of a hub, in a real browser, with hubs in their own processes on one folder. */
import type { Locator, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { poll } from '../../helper/deadline.js'
import { publish, send } from '../../helper/http.js'
import { startHub, type Hub } from '../../helper/process.js'
import { openLive, streamUrl } from '../../helper/stream.js'
import type { Node } from '../../../src/schemas/node.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { checkPage, openPage } from '../page.js'
import { admin, ann, checkBoth, go, isLive, open, TIMEOUT } from './console.js'

t.setTimeout(TIMEOUT)
const path = findChromium()

async function nodesOf(hub: Hub): Promise<Node[]> {
  return (await send<Node[]>(hub, 'GET', '/nodes', { token: admin })).body
}

/** Starts a hub on a folder, and finds its name. */
async function join(t: Test, folder: string, others: string[] = []): Promise<{ hub: Hub; node: string }> {
  const hub = await startHub(t, { FANFARE_LOG: `file:${folder}` })
  const node = await poll(
    async () => {
      const nodes = await nodesOf(hub)
      if (nodes.length !== others.length + 1) return undefined
      return nodes.find(({ node }) => !others.includes(node))?.node
    },
    () => 'the process does not join the others',
  )
  return { hub, node }
}

/** Returns the row of a process. */
function rowOf(page: Page, node: string): Locator {
  return page.getByRole('region', { name: 'Nodes' }).locator('tbody tr', { hasText: node })
}

/** Waits until a row has a cell with a text. */
async function cell(row: Locator, column: string, text: RegExp): Promise<void> {
  await row.locator(`td[data-label="${column}"]`, { hasText: text }).waitFor()
}

/** Checks that no column of the table is cut off. */
async function fits(t: Test, page: Page): Promise<void> {
  const hidden = await page
    .getByRole('region', { name: 'Nodes' })
    .evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)
  t.equal(hidden, 0, `no column is cut off at ${page.viewportSize()!.width} pixels`)
}

async function openNodes(page: Page): Promise<void> {
  await isLive(page)
  await page.getByRole('navigation').getByRole('link', { name: 'Nodes' }).click()
  await page.getByRole('heading', { level: 1, name: 'Nodes' }).waitFor()
}

/** Publishes at an interval until the test is over. */
function keepPublishing(t: Test, hub: Hub): void {
  const timer = setInterval(() => void publish(hub, 'orders.1', { data: 1 }, ann).catch(() => undefined), 25)
  t.teardown(() => clearInterval(timer))
}

await t.test('the nodes', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)

  await t.test('the page shows which process leads, what each carries, and which does not answer', async (t) => {
    const folder = `${t.testdir({})}/log`
    const first = await join(t, folder)
    const second = await join(t, folder, [first.node])
    for (let n = 0; n < 3; n++) await openLive(t, streamUrl(first.hub, ['orders.*']), { token: ann })
    await openLive(t, streamUrl(second.hub, ['orders.1', 'news']), { token: ann })
    keepPublishing(t, second.hub)
    const page = await open(t, browser, second.hub)
    await openNodes(page)
    const [a, b] = [rowOf(page, first.node), rowOf(page, second.node)]
    await cell(a, 'Node', /leader/)
    t.notMatch(await b.textContent(), /leader/)
    await cell(a, 'Connections', /^3$/)
    await cell(b, 'Connections', /^2$/) // with the stream of the console
    await cell(a, 'In/s', /^0$/)
    await cell(b, 'In/s', /^[1-9]/)
    await cell(a, 'Out/s', /^[1-9]/)
    await cell(a, 'Memory', /MiB$/)
    await cell(a, 'Loop delay', /ms$/)
    await cell(b, 'Log lag', /^\d$/)
    t.notOk(await page.getByText('This hub has one process').count())
    for (const scheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme: scheme })
      for (const width of [390, 768, 1280]) {
        await page.setViewportSize({ width, height: 900 })
        await fits(t, page)
        await checkPage(t, page, `nodes-${scheme}-${width}`)
      }
    }

    await first.hub.kill()
    await cell(b, 'Node', /leader/)
    await a.waitFor({ state: 'detached' })
    await page.getByText('This hub has one process').waitFor()

    const third = await join(t, folder, [second.node])
    const c = rowOf(page, third.node)
    await cell(c, 'Memory', /MiB$/)
    third.hub.signal('SIGSTOP')
    await cell(c, 'Node', /unreachable.*last answered \d+ s ago/)
    await page.getByRole('status').filter({ hasText: 'One process does not answer.' }).waitFor()
    await cell(c, 'Memory', /MiB$/)
    await cell(c, 'In/s', /–/)
    t.notMatch(await b.textContent(), /unreachable/)
    await page.setViewportSize({ width: 390, height: 900 })
    await checkBoth(t, page, 'nodes-unreachable')
    third.hub.signal('SIGCONT')
    await c.locator('.badge.down').waitFor({ state: 'detached' })
    await cell(c, 'Log lag', /^\d$/)
  })

  await t.test('a frozen leader is named with what follows from it', async (t) => {
    const folder = `${t.testdir({})}/log`
    const first = await join(t, folder)
    const second = await join(t, folder, [first.node])
    const page = await open(t, browser, second.hub)
    await openNodes(page)
    const row = rowOf(page, first.node)
    await cell(row, 'Node', /leader/)
    first.hub.signal('SIGSTOP')
    await cell(row, 'Node', /leader.*unreachable/)
    await page.getByRole('alert').filter({ hasText: 'The leader does not answer.' }).waitFor()
    await fits(t, page)
    await checkBoth(t, page, 'nodes-frozen-leader')
    first.hub.signal('SIGCONT')
    await page.getByRole('alert').waitFor({ state: 'detached' })
  })

  await t.test('connections name their process if there are several', async (t) => {
    const folder = `${t.testdir({})}/log`
    const first = await join(t, folder)
    const page = await open(t, browser, first.hub)
    await isLive(page)
    const { headers } = await openLive(t, streamUrl(first.hub, ['news']), { token: ann })
    await go(page, '#/connections')
    await page.locator('tbody tr', { hasText: 'ann' }).waitFor()
    t.equal(await page.locator('td[data-label="Node"]').count(), 0)
    const second = await join(t, folder, [first.node])
    await openLive(t, streamUrl(second.hub, ['news']), { token: ann })
    for (const { node } of [first, second])
      await page
        .locator('tbody tr', { hasText: 'ann' })
        .locator('td[data-label="Node"]', { hasText: node })
        .first()
        .waitFor()
    await checkBoth(t, page, 'connections-nodes')
    await go(page, `#/connections/${String(headers['fanfare-connection'])}`)
    await page.locator('.figures > div', { hasText: 'Node' }).getByText(first.node, { exact: true }).waitFor()
    await go(page, '#/')
    await page.locator('.figures > div', { hasText: 'Nodes' }).getByRole('link', { name: '2' }).click()
    await page.getByRole('heading', { level: 1, name: 'Nodes' }).waitFor()
  })

  await t.test('a hub of one process says how to have more', async (t) => {
    const page = await open(t, browser, await startHub(t))
    await openNodes(page)
    await page.getByText('FANFARE_WORKERS=auto').waitFor()
    await page.locator('td[data-label="In/s"]', { hasText: '0' }).waitFor()
    await checkBoth(t, page, 'nodes-one')
  })

  await t.test("without an admin's token the page names the missing right, and nothing is red", async (t) => {
    const hub = await startHub(t)
    const page = await openPage(t, browser, `${hub.url}/#token=${ann}`)
    for (const [fragment, words] of [
      ['#/nodes', 'To list the processes of the hub'],
      ['#/connections', '"admin": true'],
      ['#/', 'Your token'],
      ['#/topics', 'The log holds no events.'],
    ] as const) {
      await go(page, fragment)
      await page.locator('main').getByText(words).waitFor()
      t.equal(await page.getByRole('alert').count(), 0, fragment)
      t.equal(await page.locator('.notice:not(.info)').count(), 0, fragment)
      if (fragment === '#/nodes') await checkBoth(t, page, 'nodes-refused')
    }
  })

  await t.test('a hidden tab asks for nothing, and goes on when it is seen again', async (t) => {
    const hub = await startHub(t)
    const page = await open(t, browser, hub)
    await isLive(page)
    await go(page, '#/connections')
    const answered = () => page.waitForResponse((response) => response.url().includes('/connections?'))
    await answered()
    let changes = 0
    await show(page, false)
    page.on('request', (request) => {
      if (request.url().includes('/connections?')) changes++
    })
    const { headers } = await openLive(t, streamUrl(hub, ['news']), { token: ann })
    const id = String(headers['fanfare-connection'])
    await page.getByRole('button', { name: 'Changes' }).click()
    await page.locator('li', { hasText: id }).waitFor()
    await page.getByRole('button', { name: 'Open', exact: true }).click()
    t.equal(changes, 0, 'not even after a change of a connection')
    await show(page, true)
    await page.locator('td', { hasText: id }).waitFor()

    await openNodes(page)
    let asked = 0
    page.on('request', (request) => {
      if (request.url().endsWith('/nodes')) asked++
    })
    const listed = () => page.waitForResponse((response) => response.url().endsWith('/nodes'))
    await listed()
    await page.clock.install()
    await show(page, false)
    await page.clock.runFor(10_000) // for the timer that is running, and several intervals
    asked = 0
    await page.clock.runFor(60_000)
    t.equal(asked, 0)
    const seen = listed()
    await show(page, true)
    await seen
    const next = listed()
    await page.clock.runFor(3_000)
    await next
  })
})

/** Makes a page believe that its tab is shown or hidden: headless Chromium always shows it. */
async function show(page: Page, isShown: boolean): Promise<void> {
  await page.evaluate((isShown) => {
    Object.defineProperty(document, 'hidden', { value: !isShown, configurable: true })
    document.dispatchEvent(new Event('visibilitychange'))
  }, isShown)
}
