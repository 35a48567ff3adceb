/** The hooks on a server, and in a browser under StrictMode and Suspense. */
import { fileURLToPath } from 'node:url'
import { createElement as h } from 'react'
import { renderToString } from 'react-dom/server'
import t from 'tap'
import { connect } from 'fanfare-client'
import { useEvents, useHubState, usePresence, useSubscription } from 'fanfare-client/react'
import { findChromium, skipWithout, startChromium } from '../../../test/browser/chromium.js'
import { startHub } from '../../../test/helper/process.js'
import { anyGrants, clientOf } from './hubs.js'
import { servePages } from './pages.js'

const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

await t.test('on a server the hooks render their first state, and open nothing', async (t) => {
  let requests = 0
  const hub = connect('http://127.0.0.1:1', { fetch: () => Promise.reject(new Error(String(++requests))) })
  function Room() {
    const { events, state } = useEvents(hub, 'a')
    const { subjects } = usePresence(hub, 'a')
    const own = useSubscription(hub, 'b', () => undefined)
    return h('p', null, `${events.length} ${subjects.length} ${state.status} ${own.status} ${useHubState(hub).status}`)
  }
  t.equal(renderToString(h(Room)), '<p>0 0 connecting connecting connecting</p>')
  t.equal(requests, 0)
})

await t.test('in a browser', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const url = await servePages(t, fileURLToPath(new URL('./react-page.ts', import.meta.url)))
  const hub = await startHub(t, { FANFARE_CORS_ORIGINS: url.slice(0, -1), FANFARE_PRESENCE_GRACE: '10ms' })
  const publisher = clientOf(t, hub.url)
  for (const data of [1, 2, 3, 4]) await publisher.publish('a', { data })
  await publisher.publish('b', { data: 100 })
  const page = await (await browser.newContext()).newPage()
  page.setDefaultTimeout(30_000)
  page.on('pageerror', (error) => t.fail(error.message))
  await page.goto(url)
  await page.waitForFunction(() => document.title === 'ready')
  await page.evaluate(([hub, token]) => window.start(hub, token), [
    hub.url,
    anyGrants({ subscribe: ['a', 'b'], presence: ['a', 'b'] }),
  ] as const)
  const shows = (expected: object): Promise<unknown> =>
    page.waitForFunction((text) => document.querySelector('#room')?.textContent === text, JSON.stringify(expected))
  await shows({ events: [2, 3, 4], status: 'live', present: ['ann'], refused: 'not-granted', total: 0 })
  t.equal(await page.locator('#hub').textContent(), 'live')
  t.equal(await page.locator('#late').count(), 0)
  await publisher.publish('a', { data: 5 })
  await publisher.publish('a', { data: 6 })
  await shows({ events: [4, 5, 6], status: 'live', present: ['ann'], refused: 'not-granted', total: 11 })
  await page.evaluate(() => window.proceed())
  await page.waitForFunction(() => document.querySelector('#late')?.textContent === '6')
  await page.getByRole('button').click()
  await shows({ events: [100], status: 'live', present: ['ann'], refused: 'not-granted', total: 11 })
  await publisher.publish('b', { data: 1 })
  await shows({ events: [100, 1], status: 'live', present: ['ann'], refused: 'not-granted', total: 12 })
})
