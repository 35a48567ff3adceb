/** The history of a topic, page by page, in a real browser, with a hub in its own process. */
import t from 'tap'
import { publish, publishBatch } from '../../helper/http.js'
import { startHub } from '../../helper/process.js'
import { revivingHub } from '../../helper/reviving-hub.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { ann, go, isLive, open, TIMEOUT } from './console.js'

t.setTimeout(TIMEOUT)
const path = findChromium()

await t.test('history', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)

  await t.test('the page loads its history once the hub is back, and an empty history is updated', async (t) => {
    const hub = await revivingHub(t, { FANFARE_LOG: `file:${t.testdir()}` })
    await publish(hub.hub, 'orders.1', { data: 'kept' }, ann)
    const page = await open(t, browser, hub)
    await isLive(page)
    await hub.kill()
    await go(page, '#/topics/orders.1')
    const card = page.getByRole('region', { name: 'History' })
    await card.getByRole('alert').filter({ hasText: 'The hub cannot be reached.' }).waitFor()
    await hub.start()
    await card.getByText('"kept"').waitFor()
    t.equal(await card.getByRole('alert').count(), 0)

    await go(page, '#/topics/orders.2')
    await card.getByText('The log holds no events of this topic.').waitFor()
    await publish(hub.hub, 'orders.2', { data: 'the first' }, ann)
    await card.getByText('"the first"').waitFor()
    t.equal(await card.getByText('The log holds no events of this topic.').count(), 0)
  })

  await t.test('history is paged back from the newest event and forward again while events arrive', async (t) => {
    const hub = await startHub(t)
    const add = (first: number, count: number) =>
      publishBatch(
        hub,
        Array.from({ length: count }, (_, n) => ({ topic: 'orders.1', data: first + n })),
        ann,
      )
    await add(1, 130)
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    const shows = async (newest: number, oldest: number) => {
      const list = page.getByRole('list', { name: 'History' }).locator('pre')
      await list.first().getByText(String(newest), { exact: true }).waitFor()
      t.strictSame(
        await list.allTextContents(),
        Array.from({ length: newest - oldest + 1 }, (_, n) => String(newest - n)),
      )
    }
    const button = (name: string) => page.getByRole('button', { name, exact: true })
    await shows(130, 111)
    t.ok(await button('Newer').isDisabled())
    await add(131, 50)
    for (let newest = 110; newest >= 30; newest -= 20) {
      await button('Older').click()
      await shows(newest, newest - 19)
    }
    await button('Older').click()
    await shows(10, 1)
    t.ok(await button('Older').isDisabled())
    await button('Newer').click()
    await shows(30, 11)
    await button('Newest').click()
    await shows(180, 161)
    await button('Oldest').click()
    await shows(20, 1)
    t.ok(await button('Older').isDisabled())
    await button('Newer').click()
    await shows(40, 21)
    await button('Older').click()
    await shows(20, 1)

    await add(181, 1_000)
    await button('Newest').click()
    for (let newest = 1180; newest > 200; newest -= 20) {
      await shows(newest, newest - 19)
      await button('Older').click()
    }
    await shows(200, 181)
    await page.getByText('To see older ones, start from the oldest').waitFor()
    t.ok(await button('Older').isDisabled())
  })
})
