/** The example "metrics" in a browser. */
import type { Page } from 'playwright-core'
import t from 'tap'
import type { Sample } from '../../../examples/shared/machine.js'
import { newest as newestIn } from '../../../examples/shared/hub-access.js'
import { poll } from '../../helper/deadline.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { goOffline, goOnline, hasStatus, looksWell, startExample, visit, type RunningExample } from '../example.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

const GIB = 2 ** 30
const HOLE = 'No samples for this period.'
/** A pace so slow that the server takes no sample during the test. */
const STILL = 0.001
/** A number of samples with more bytes than the sockets between hub and page can buffer. */
const FLOOD = { samples: 80, padding: 'x'.repeat(230_000) }

const start = Date.now()

/** Returns a sample whose number is its CPU figure. */
function sampleAt(number: number): Sample {
  return {
    time: start + number * 2_000,
    span: 2_000,
    cpu: number % 100,
    cores: 2,
    load: 0.75,
    memory: { used: (1.5 + Math.sin(number / 5)) * GIB, total: 4 * GIB },
    uptime: 7_380 + number * 2,
  }
}

async function publish({ client }: RunningExample, ...numbers: number[]): Promise<void> {
  for (const number of numbers) await client.publish('metrics', { data: sampleAt(number) })
}

/** Returns the CPU figures in the table's rows, oldest first; `null` for a hole. */
async function shown(page: Page): Promise<(number | null)[]> {
  const rows = await page
    .locator('#samples tr')
    .evaluateAll((rows: HTMLTableRowElement[]) =>
      rows.map(({ cells }) => [...cells].map(({ textContent }) => textContent)),
    )
  return rows.map(([first, cpu]) => (first === HOLE ? null : Number(/^([0-9]+) %$/.exec(cpu!)?.[1]))).reverse()
}

/** Waits until a sample is the newest one that the page shows. */
async function newest(page: Page, number: number): Promise<void> {
  await page
    .locator('#cpu')
    .filter({ hasText: `${number % 100} %` })
    .waitFor()
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

await t.test('metrics', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)

  await t.test('the server measures the machine', async (t) => {
    const example = await startExample(t, 'metrics', { speed: 20 })
    const page = await visit(t, browser, example)
    await page.waitForFunction(() => document.querySelectorAll('#samples tr').length > 3)
    t.match(await page.locator('#cpu').textContent(), /^[0-9]+ %$/)
    t.match(await page.locator('#memory').textContent(), /^[0-9.]+ of [0-9.]+ GiB$/)
    t.match(await page.locator('#load').textContent(), /^[0-9.]+ on [0-9]+ cores?$/)
    t.match(await page.locator('#uptime').textContent(), /^[0-9]+ (min|h|d) [0-9]+ (s|min|h)$/)
    t.notOk((await shown(page)).includes(null), 'no sample is missing')

    await example.hub.kill()
    const killed = Date.now()
    await example.hub.start()
    const latest = async () => (await newestIn<Sample>(example.client, 'metrics', 1))[0]!.data
    await poll(
      async () => ((await latest()).time > killed ? true : undefined),
      () => 'no sample arrives after the outage',
    )
  })

  const example = await startExample(t, 'metrics', { speed: STILL })
  const page = await visit(t, browser, example)

  await t.test('an empty page has a text', async (t) => {
    await hasStatus(page, 'Live')
    await page.getByText('Nothing has been measured yet.').waitFor()
    await looksWell(t, page, 'metrics-empty')
  })

  await t.test('samples move the charts, whose descriptions give the values', async (t) => {
    await publish(example, ...range(1, 40))
    await newest(page, 40)
    t.strictSame(await shown(page), range(1, 40))
    await page.getByRole('img', { name: 'CPU: now 40 %; between 1 % and 40 % in the last 5 minutes' }).waitFor()
    await page.getByRole('img', { name: 'Memory in use: now 2.5 GiB; between 0.5 GiB and 2.5 GiB' }).waitFor()
    t.equal(await page.locator('#uptime').textContent(), '2 h 4 min')
    for (const clock of ['#time', '#samples tr:first-child td:first-child'])
      t.match(await page.locator(clock).textContent(), /^[0-9]{2}:[0-9]{2}:[0-9]{2}$/, 'the format is that of the axes')
    await looksWell(t, page, 'metrics')
  })

  await t.test('a second tab and a reload have full charts at once', async (t) => {
    const tab = await page.context().newPage()
    await tab.goto(example.url)
    await newest(tab, 40)
    t.strictSame(await shown(tab), range(1, 40))
    await publish(example, 41)
    await newest(tab, 41)
    await newest(page, 41)
    await tab.reload()
    await newest(tab, 41)
    t.strictSame(await shown(tab), range(1, 41))
    await tab.close()
  })

  await t.test('the page catches up after a kill of the hub, and after it was offline', async (t) => {
    await example.hub.kill()
    await hasStatus(page, 'Reconnecting…')
    await looksWell(t, page, 'metrics-reconnecting')
    await example.hub.start()
    await publish(example, 42, 43) // most likely before the page has reconnected
    await newest(page, 43)
    await goOffline(page, example)
    await hasStatus(page, 'Reconnecting…')
    await publish(example, 44, 45)
    await goOnline(page, example)
    await newest(page, 45)
    t.strictSame(await shown(page), range(1, 45), 'no sample is missing or repeated')
  })

  await t.test('the lines are interrupted where samples are missing', async (t) => {
    await publish(example, 52, 53)
    await newest(page, 53)
    t.strictSame(await shown(page), [...range(1, 45), null, 52, 53])
    await page.getByRole('img', { name: /CPU: now 53 %.*interrupted once/ }).waitFor()
  })

  await t.test('a slow page continues with the newest sample', async (t) => {
    await page.reload()
    await newest(page, 53)
    example.network.stall()
    for (let index = 1; index <= FLOOD.samples; index++) {
      await example.client.publish('metrics', { data: { ...sampleAt(53 + index), padding: FLOOD.padding } })
    }
    example.network.mend()
    await newest(page, 53 + FLOOD.samples)
    const numbers = await shown(page)
    t.equal(numbers.at(-2), null, 'the samples before the newest were skipped')
    await publish(example, ...range(134, 140))
    await newest(page, 140)
    t.strictSame((await shown(page)).slice(-9), [null, ...range(133, 140).map((number) => number % 100)])
    await page.getByText('The same as a table').click()
    await looksWell(t, page, 'metrics-skipped')
  })
})
