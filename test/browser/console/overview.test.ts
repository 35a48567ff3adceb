/** The overview and its charts, in a real browser, with a hub in its own process. */
import { once } from 'node:events'
import net from 'node:net'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import type { StatsHistory } from '../../../src/schemas/stats.js'
import { poll } from '../../helper/deadline.js'
import { publish } from '../../helper/http.js'
import { startHub, type Hub } from '../../helper/process.js'
import { openLive, streamUrl } from '../../helper/stream.js'
import { token } from '../../helper/token.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { checkPage, openPage } from '../page.js'
import { admin, ann, busyHub, open, TIMEOUT } from './console.js'

t.setTimeout(TIMEOUT)
const path = findChromium()

await t.test('the overview', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)

  await t.test('the numbers and charts of the overview change', async (t) => {
    const hub = await busyHub(t)
    const page = await open(t, browser, hub)
    const open1 = page.locator('.chart', { hasText: 'Connections' }).locator('dd').first()
    await page.locator('.chart canvas').first().waitFor()
    await open1.filter({ hasText: /^2$/ }).waitFor() // the stream of a user, and the console
    await openLive(t, streamUrl(hub, ['news']), { token: ann })
    await open1.filter({ hasText: /^3$/ }).waitFor()
    const publishing = setInterval(() => void publish(hub, 'orders.1', { data: 1 }, ann).catch(() => undefined), 20)
    t.teardown(() => clearInterval(publishing))
    await page
      .locator('.chart', { hasText: 'Events per second' })
      .locator('dd')
      .first()
      .filter({ hasText: /^[1-9]/ })
      .waitFor()
    await page.getByRole('table', { name: 'Busiest topics' }).getByRole('link', { name: 'orders.1' }).waitFor()
    const drawn = await page
      .locator('.chart canvas')
      .first()
      .evaluate((canvas: HTMLCanvasElement) =>
        canvas
          .getContext('2d')!
          .getImageData(0, 0, canvas.width, canvas.height)
          .data.some((byte) => byte > 0),
      )
    t.ok(drawn, 'the chart has pixels')
  })

  await t.test('the charts are full when the page opens, show hours and holes, and no label is cut off', async (t) => {
    const hub = await busyHub(t)
    for (const width of [1440, 768, 390]) {
      const page = await openWithHistory(t, browser, hub, width)
      const memory = page.getByRole('img', { name: /^Memory over the last 15 m;.*; interrupted once$/ })
      await memory.waitFor()
      t.equal(await page.getByRole('img', { name: /interrupted once$/ }).count(), 6, 'every chart reports the hole')
      const { before, missing, after } = await memory.locator('canvas').evaluate(lineOf)
      t.ok(before > 0 && missing > 5 && after > 0, `the line is interrupted (${before}, ${missing}, ${after})`)
      await page.getByRole('button', { name: '1 h' }).click()
      await page.getByRole('img', { name: /^Memory over the last 1 h;/ }).waitFor()
      await poll(
        async () => ((await page.evaluate<number>('labels.hours.size')) > 0 ? true : undefined),
        () => 'the axis has no hours',
      )
      t.strictSame(await page.evaluate('[...labels.faults]'), [], `${width}: every label can be read`)
      await checkPage(t, page, `overview-hour-${width}`)
    }
  })

  await t.test('a crosshair on one chart shows the values of that time on all charts', async (t) => {
    const page = await openWithHistory(t, browser, await busyHub(t), 1440)
    const plot = page.locator('.plot').first()
    await plot.locator('canvas').waitFor()
    const box = (await plot.boundingBox())!
    await page.mouse.move(box.x + box.width * 0.5, box.y + box.height / 2)
    const times = page.locator('.pointed')
    await times
      .nth(5)
      .filter({ hasText: /^\d\d:\d\d:\d\d$/ })
      .waitFor()
    t.equal(new Set(await times.allTextContents()).size, 1, 'all charts show the same time')
    const open1 = page.locator('.chart', { hasText: 'Connections' }).locator('dd').first()
    const pointed = Number((await open1.textContent())!.replace(',', ''))
    t.ok(pointed >= 1_000 && pointed <= 1_720, `${pointed} is a value of the history`)
    t.equal(
      await page
        .locator('.plot .u-cursor-x')
        .evaluateAll((lines) => lines.filter((line) => line.checkVisibility()).length),
      6,
    )
    await page.mouse.move(0, 0)
    await times.first().waitFor({ state: 'hidden' }) // it is empty
  })

  await t.test('the slowest readers and the busiest topics are tables with bars', async (t) => {
    const hub = await startHub(t, { FANFARE_SLOW_TIMEOUT: '1h' })
    const page = await open(t, browser, hub)
    await page.getByText('Every stream has all events.').waitFor()
    await page.getByText(/^No events in the last second\./).waitFor()
    const slow = await stalledStream(t, hub, 'slow-one')
    const text = 'x'.repeat(200_000)
    const publishing = setInterval(() => void publish(hub, 'bulk', { text }, ann).catch(() => undefined), 50)
    t.teardown(() => clearInterval(publishing))
    const readers = page.getByRole('table', { name: 'Slowest readers' }).getByRole('row')
    await readers.filter({ hasText: /slow-one 127\.0\.0\.1\d/ }).waitFor()
    await page.getByRole('table', { name: 'Busiest topics' }).getByRole('link', { name: 'bulk' }).waitFor()
    slow.destroy()
  })
})

/** Opens the overview of a hub that has been running for an hour, with a hole 5 minutes ago. */
async function openWithHistory(t: Test, browser: Browser, hub: Hub, width: number): Promise<Page> {
  const page = await openPage(t, browser, hub.url, { width })
  await page.addInitScript(watchLabels)
  await page.route(/\/stats(\?|$)/, (route) => {
    const count = 720
    const end = Math.floor(Date.now() / 5_000) * 5_000
    const column = (of: (index: number) => number) =>
      Array.from({ length: count }, (_, index) => (index > 655 && index < 665 ? null : of(index)))
    return route.fulfill({
      json: {
        from: new Date(end - count * 5_000).toISOString(),
        interval: 5,
        connections: column((index) => 1_000 + index),
        lagging: column((index) => index % 7),
        topics: column(() => 5),
        events: { in: column((index) => 50 + (index % 20)), out: column((index) => 5_000 + (index % 99)) },
        bytes: { in: column(() => 5_000), out: column((index) => 5e6 + index * 1_000) },
        latency: { p50: column(() => 1.5), p99: column((index) => 5 + (index % 11)) },
        memory: column((index) => 1e8 + index * 1e5),
        log: { events: column(() => 100), bytes: column((index) => 1e6 + index * 1_000) },
        eventLoopDelay: column(() => 1),
      } satisfies StatsHistory,
    })
  })
  await page.goto(`${hub.url}/#token=${admin}`)
  await page.reload() // with the script
  return page
}

/** Opens a stream whose client does not read it. */
async function stalledStream(t: Test, hub: Hub, sub: string): Promise<net.Socket> {
  const socket = net.connect(hub.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const bearer = token({ sub, subscribe: ['**'] })
  socket.write(`GET /topics/bulk/events HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer ${bearer}\r\n\r\n`)
  await once(socket, 'readable')
  return socket
}

/** Runs in a page before its own scripts, and records the faults of each label that is drawn on a canvas. */
function watchLabels(): void {
  const labels = { hours: new Set<string>(), faults: new Set<string>() }
  Object.assign(globalThis, { labels })
  const { prototype } = CanvasRenderingContext2D
  // eslint-disable-next-line @typescript-eslint/unbound-method -- they are called on a context below
  const { clearRect, fillText } = prototype
  let drawn: { text: string; box: DOMRect }[] = []
  prototype.clearRect = function (...area) {
    drawn = [] // the charts are redrawn one after the other
    clearRect.apply(this, area)
  }
  prototype.fillText = function (text, x, y) {
    const {
      actualBoundingBoxLeft: left,
      actualBoundingBoxRight: right,
      actualBoundingBoxAscent: ascent,
      actualBoundingBoxDescent: descent,
    } = this.measureText(text)
    const box = new DOMRect(x - left, y - ascent, left + right, ascent + descent)
    const { width, height } = this.canvas
    if (box.left < 0 || box.top < 0 || box.right > width || box.bottom > height) labels.faults.add(`${text} is cut off`)
    for (const other of drawn) {
      if (other.text === text) labels.faults.add(`${text} is drawn twice`)
      if (
        box.left < other.box.right + 4 &&
        other.box.left < box.right + 4 &&
        box.top < other.box.bottom &&
        other.box.top < box.bottom
      )
        labels.faults.add(`${text} and ${other.text} overlap`)
    }
    drawn.push({ text, box })
    if (/^\d\d:\d\d$/.test(text)) labels.hours.add(text)
    fillText.call(this, text, x, y)
  }
}

/**
 * Runs in a page, and counts the columns of a canvas with the colour of a chart's first line, before and after the
 * widest hole in the line.
 */
function lineOf(canvas: HTMLCanvasElement): { before: number; missing: number; after: number } {
  const { data, width } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height)
  const columns = new Set<number>()
  for (let index = 0; index < data.length; index += 4) {
    if (Math.abs(data[index]! - 0x43) + Math.abs(data[index + 1]! - 0x38) + Math.abs(data[index + 2]! - 0xca) < 40)
      columns.add((index / 4) % width)
  }
  const sorted = [...columns].sort((a, b) => a - b)
  const steps = sorted.slice(1).map((column, index) => column - sorted[index]!)
  const missing = Math.max(...steps)
  const before = steps.indexOf(missing) + 1
  return { before, missing, after: sorted.length - before }
}
