/** Opens the console in a browser, fills its hub, and checks its pages. */
import type { Browser, Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { publish, publishBatch } from '../../helper/http.js'
import { startHub, type Hub } from '../../helper/process.js'
import { openLive, streamUrl } from '../../helper/stream.js'
import { token } from '../../helper/token.js'
import { checkPage, openPage, type PageOptions } from '../page.js'

export const admin = token({ sub: 'root', subscribe: ['**'], publish: ['**'], presence: ['**'], admin: true })
export const ann = token({ sub: 'ann', subscribe: ['**'], publish: ['**'], info: { name: 'Ann' } })

/** A browser may have to be installed first. */
export const TIMEOUT = 400_000

/** Opens the console by the link that a development start prints. */
export function open(t: Test, browser: Browser, { url }: { url: string }, options?: PageOptions): Promise<Page> {
  return openPage(t, browser, `${url}/#token=${admin}`, options)
}

export async function isLive(page: Page): Promise<void> {
  await page.locator('header .badge.live').waitFor()
}

/** Opens a page of the console as a link in the console does. */
export async function go(page: Page, fragment: string): Promise<void> {
  await page.evaluate((hash) => void (location.hash = hash), fragment)
}

/** The badge of the stream of a topic. */
export const LIVE = '#events ~ .badge.live'

/** Returns the rows of the events of a topic, newest first. */
export function rowsOf(page: Page): Locator {
  return page.getByRole('listbox', { name: 'Events' }).getByRole('option')
}

/** Returns the ids of the drawn events of a topic, oldest first. */
export async function shownIds(page: Page): Promise<string[]> {
  const ids = await rowsOf(page).evaluateAll((items) => items.map((item) => item.getAttribute('data-id') ?? ''))
  return ids.reverse()
}

/** Starts a hub with events and an open stream. */
export async function busyHub(t: Test): Promise<Hub> {
  const hub = await startHub(t)
  await publishBatch(
    hub,
    Array.from({ length: 60 }, (_, n) => ({
      topic: `orders.${n % 5}`,
      type: 'created',
      data: { number: n, items: ['a', 'b'] },
    })),
    ann,
  )
  await publish(hub, 'news', { text: 'first line\nsecond line' }, ann)
  await openLive(t, streamUrl(hub, ['orders.*', 'news']), { token: ann })
  return hub
}

/** Checks a page on a wide light screen and on a dark phone. */
export async function checkBoth(t: Test, page: Page, name: string): Promise<void> {
  const size = page.viewportSize()!
  await checkPage(t, page, `${name}-light-${size.width}`)
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.setViewportSize({ ...size, width: 390 })
  await checkPage(t, page, `${name}-dark-390`)
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize(size)
}
