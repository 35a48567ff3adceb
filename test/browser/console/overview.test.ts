/** The overview and its charts, in a real browser, with a hub in its own process. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import t from 'tap'
import { poll } from '../../helper/deadline.js'
import { publish } from '../../helper/http.js'
import { openLive, streamUrl } from '../../helper/stream.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { checkPage } from '../page.js'
import { ann, busyHub, open, TIMEOUT } from './console.js'

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
    await page.getByRole('link', { name: 'orders.1' }).waitFor() // the busiest topics
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

  await t.test('the charts show holes, and no label is cut off', async (t) => {
    const hub = await busyHub(t)
    const opened: [width: number, page: Page][] = []
    for (const width of [1280, 390]) {
      const page = await open(t, browser, hub, { width })
      await page.addInitScript(watchLabels)
      await page.reload()
      await page
        .getByRole('img', { name: /^Memory/ })
        .locator('canvas')
        .waitFor()
      opened.push([width, page])
    }
    await delay(3_000) // not a wait for a condition: the line before the outage needs some length
    hub.signal('SIGSTOP')
    await delay(6_000) // the hole needs some length too
    hub.signal('SIGCONT')
    for (const [width, page] of opened) {
      const memory = page.getByRole('img', { name: /^Memory.*; interrupted once$/ })
      await memory.waitFor()
      t.equal(
        await page.getByRole('img', { name: /interrupted once$/ }).count(),
        6,
        `${width}: every chart reports the hole`,
      )
      const seen = await page.evaluate<number>('labels.times.size')
      await poll(
        async () => (await page.evaluate<number>('labels.times.size')) > seen || undefined,
        () => 'the labels do not move past the edge',
      )
      t.strictSame(await page.evaluate('[...labels.faults]'), [], `${width}: every label can be read`)
      const { before, missing, after } = await memory.locator('canvas').evaluate(lineOf)
      t.ok(
        before > 0 && missing > 10 && after > 0,
        `${width}: the line is interrupted (${before}, ${missing}, ${after})`,
      )
      await checkPage(t, page, `overview-hole-${width}`)
    }
  })
})

/** Runs in a page before its own scripts, and records the faults of each label that is drawn on a canvas. */
function watchLabels(): void {
  const labels = { times: new Set<string>(), faults: new Set<string>() }
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
    if (/^\d\d:\d\d$/.test(text)) labels.times.add(text)
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
