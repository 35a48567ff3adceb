/** The page of the complete application of docs/embedding.md, in a browser. */
import t from 'tap'
import { startApplication } from '../helper/docs-application.js'
import { findChromium, skipWithout, startChromium } from './chromium.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

await t.test(
  'a user logs in, orders, and follows the order, even over a restart of the application',
  { skip: skipWithout(path), timeout: TIMEOUT },
  async (t) => {
    const application = await startApplication(t)
    const page = await (await startChromium(t, path)).newPage()
    const seen = (count: number) => page.locator(`li:nth-child(${count})`).waitFor()
    await page.goto(application.url)
    const logIn = async (): Promise<void> => {
      await page.fill('[name=user]', 'ann')
      await page.click('#login button')
    }
    const order = async (item: string): Promise<void> => {
      await page.fill('[name=item]', item)
      await page.click('#order button')
    }
    const opened = page.waitForResponse((response) => response.url().includes('.orders/events'))
    await logIn()
    await opened
    await order('milk')
    await seen(2)
    t.strictSame(await page.locator('li').allTextContents(), ['milk is ordered', 'milk is confirmed'])

    await application.stop()
    await application.start()
    await page.reload()
    await logIn()
    await seen(2)
    await order('bread')
    await seen(4)
    t.strictSame(await page.locator('li').allTextContents(), [
      'milk is ordered',
      'milk is confirmed',
      'bread is ordered',
      'bread is confirmed',
    ])
  },
)
