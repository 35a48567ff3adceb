/**
 * The console while its hub hangs, is killed or cannot be reached, and its recovery, in a real browser, with a hub in
 * its own process.
 */
import t from 'tap'
import { publish, publishBatch } from '../../helper/http.js'
import { networkTo } from '../../helper/network.js'
import { startHub } from '../../helper/process.js'
import { revivingHub } from '../../helper/reviving-hub.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { ann, checkBoth, go, isLive, open, rowsOf, shownIds, TIMEOUT } from './console.js'

t.setTimeout(TIMEOUT)
const path = findChromium()

/** More events than the sockets and streams between hub and page can buffer. */
const BACKLOG = { batches: 40, events: 250, padding: 'x'.repeat(1_500) }

await t.test('outages', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)

  await t.test('a hub that hangs is reported on every page', async (t) => {
    const hub = await startHub(t, { FANFARE_HEARTBEAT: '1h' })
    t.teardown(() => hub.signal('SIGCONT'))
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    const badge = page.locator('#events ~ .badge')
    const badgeSays = (words: RegExp) => badge.filter({ hasText: words }).waitFor({ timeout: 60_000 })
    await badgeSays(/: Live$/)
    hub.signal('SIGSTOP')
    await page
      .getByRole('main')
      .getByRole('alert')
      .filter({ hasText: /^The hub does not answer\.$/ })
      .first()
      .waitFor()
    await badgeSays(/: Down$/)
    hub.signal('SIGCONT')
    await badgeSays(/: Live$/)
    await page.getByText('The hub does not answer.').first().waitFor({ state: 'detached' })
    await isLive(page)
    await publish(hub, 'orders.1', { data: 'after it' }, ann)
    await rowsOf(page).getByText('"after it"').waitFor()
  })

  await t.test(
    'the hub is killed and comes back: the page reports it, and continues without missing or repeated events',
    async (t) => {
      const hub = await revivingHub(t, { FANFARE_LOG: `file:${t.testdir()}` })
      const page = await open(t, browser, hub)
      await go(page, '#/topics/orders.1')
      await page.locator('#events ~ .badge.live').waitFor()
      const published: string[] = []
      const add = async (count: number) => {
        for (let n = 0; n < count; n++)
          published.push(
            (await publish(hub.hub, 'orders.1', { data: n, ...(n % 2 ? { type: `type-${n}` } : {}) }, ann)).id,
          )
      }
      await add(5)
      for (let kill = 0; kill < 2; kill++) {
        await rowsOf(page)
          .nth(published.length - 1)
          .waitFor()
        await hub.kill()
        await page.locator('header .badge.down').waitFor()
        await page.getByRole('alert').filter({ hasText: 'This topic: the stream is down' }).waitFor()
        await hub.start()
        await add(10)
      }
      await rowsOf(page)
        .nth(published.length - 1)
        .waitFor()
      await page.locator('#events ~ .badge.live').waitFor()
      await isLive(page)
      t.strictSame(await shownIds(page), published)
      t.equal(await page.getByText(/there is a gap/).count(), 0)
    },
  )

  await t.test('a page that was offline shows Down, then Catching up, then Live', async (t) => {
    const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '20000' })
    const network = await networkTo(t, hub.url)
    const page = await open(t, browser, network)
    await go(page, '#/topics/orders.1')
    const badge = page.locator('#events ~ .badge')
    await badge.filter({ hasText: 'Live' }).waitFor()
    await publish(hub, 'orders.1', { data: 'before' }, ann)
    await page.locator('.foot', { hasText: /^1 event,/ }).waitFor()

    await page.context().setOffline(true)
    network.cut()
    await badge.filter({ hasText: 'Down' }).waitFor()
    await page.locator('header .badge.down').waitFor()
    await checkBoth(t, page, 'down')
    const ids: string[] = []
    for (let batch = 0; batch < BACKLOG.batches; batch++) {
      const events = Array.from({ length: BACKLOG.events }, (_, n) => ({
        topic: 'orders.1',
        data: { number: batch * BACKLOG.events + n, padding: BACKLOG.padding },
      }))
      ids.push(...(await publishBatch(hub, events, ann)).map(({ id }) => id))
    }

    page.on('response', (response) => {
      if (response.url().includes('topic=orders.1')) network.stall() // when it has just begun
    })
    network.mend()
    await page.context().setOffline(false)
    await badge.filter({ hasText: 'Catching up' }).waitFor()
    await checkBoth(t, page, 'catching-up')
    await badge.filter({ hasText: 'Catching up' }).waitFor() // still
    network.mend()
    await badge.filter({ hasText: 'Live' }).waitFor()
    await isLive(page)
    await rowsOf(page)
      .first()
      .and(page.locator(`[data-id="${ids.at(-1)!}"]`))
      .waitFor()
    const shown = await shownIds(page)
    t.ok(shown.length > 10)
    t.strictSame(shown, ids.slice(-shown.length), 'the newest events are shown')
  })
})
