/** The example "progress" in a browser. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Locator, Page } from 'playwright-core'
import t from 'tap'
import type { JobEvent } from '../../../examples/progress/job.js'
import { newest } from '../../../examples/shared/hub-access.js'
import { poll } from '../../helper/deadline.js'
import { freePort } from '../../helper/free-port.js'
import { request, type History } from '../../helper/http.js'
import { findChromium, skipWithout, startChromium } from '../chromium.js'
import { goOffline, goOnline, hasStatus, looksWell, startExample, visit, type RunningExample } from '../example.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

/** A number of steps that lasts longer than a test, even on a busy machine. */
const LONG = 100
const SPEED = 0.5

async function start(page: Page, name: string, steps: number): Promise<Locator> {
  await page.locator('#submit:enabled').waitFor() // the server has accepted or refused the previous job
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Steps').fill(String(steps))
  await page.keyboard.press('Enter')
  return jobOf(page, name)
}

function jobOf(page: Page, name: string): Locator {
  return page.getByRole('listitem').filter({ has: page.getByText(name, { exact: true }) })
}

/** Waits until a job's item shows a text. */
async function says(job: Locator, text: string | RegExp): Promise<void> {
  await job.filter({ hasText: text }).waitFor()
}

/** Waits for the process of a job, and returns its id. */
async function processOf(job: Locator): Promise<number> {
  await says(job, /process [0-9]+/)
  return Number(/process ([0-9]+)/.exec((await job.textContent())!)![1])
}

/** Returns the events of a job in the hub, oldest first. */
async function eventsOf({ client }: RunningExample, name: string): Promise<JobEvent[]> {
  return (await newest<JobEvent>(client, 'jobs.*', 1_000))
    .map(({ data }) => data)
    .filter((event) => event.name === name)
}

/** Waits until a process has ended. */
function isGone(pid: number): Promise<true> {
  return poll(
    async () => {
      try {
        process.kill(pid, 0)
        return undefined
      } catch {
        return true as const
      }
    },
    () => `process ${pid} is still running`,
  )
}

await t.test('progress', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)
  const example = await startExample(t, 'progress', { speed: SPEED })
  const page = await visit(t, browser, example)

  await t.test('an empty page has a text, and an invalid job is refused', async (t) => {
    await hasStatus(page, 'Live')
    await page.getByText('No job has been started yet.').waitFor()
    await looksWell(t, page, 'progress-empty')
    await start(page, '   ', 3)
    await page.getByRole('alert').filter({ hasText: 'A job needs a name' }).waitFor()
    t.equal(await page.getByLabel('Name').inputValue(), '   ')
    for (const body of [
      {},
      { name: 'x'.repeat(61), steps: 1 },
      { name: 'Report', steps: 0 },
      { name: 'Report', steps: 1.5 },
      { name: 'Report' },
    ]) {
      const answer = await request<{ message: string }>(`${example.url}/jobs`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      })
      t.equal(answer.status, 400)
      t.match(answer.body.message, /^(A job needs a name|The number of steps is)/)
    }
  })

  await t.test('a job runs to its end', async (t) => {
    const job = await start(page, 'Report', 2)
    await says(job, 'Running')
    await says(job, 'Done')
    await says(job, '2 of 2 steps')
    t.equal(await page.getByLabel('Name').inputValue(), '')
    t.equal(
      await page
        .getByRole('progressbar', { name: 'Report' })
        .evaluate((bar: HTMLProgressElement) => bar.value / bar.max),
      1,
    )
  })

  await t.test('a job fails if its worker dies, and can be cancelled; a fourth job is refused', async (t) => {
    const import_ = await start(page, 'Import', LONG)
    const export_ = await start(page, 'Export', LONG)
    const index = await start(page, 'Index', LONG)
    process.kill(await processOf(import_), 'SIGKILL')
    await says(import_, 'Its worker was ended by SIGKILL.')
    await says(import_, 'Failed')
    await start(page, 'Backup', LONG)
    await start(page, 'One too many', LONG)
    await page.getByRole('alert').filter({ hasText: '3 jobs are running' }).waitFor()
    t.equal(await page.getByLabel('Name').inputValue(), 'One too many')
    t.equal(await page.getByLabel('Steps').inputValue(), String(LONG))
    await processOf(index)
    const worker = await processOf(export_)
    await page.getByRole('button', { name: 'Cancel Export' }).focus()
    await page.keyboard.press('Enter')
    await says(export_, 'Cancelled')
    await isGone(worker)
    t.ok(await export_.evaluate((item) => item === document.activeElement), 'the item of the job has the focus')
    await looksWell(t, page, 'progress')
    await start(page, 'Clean up', LONG)
    await jobOf(page, 'Clean up').waitFor()
    await start(page, 'One too many', LONG)
    await looksWell(t, page, 'progress-refused')
    await page.getByRole('button', { name: 'Cancel Backup' }).click()
    await page.getByRole('button', { name: 'Cancel Clean up' }).click()
    await says(jobOf(page, 'Clean up'), 'Cancelled')
  })

  await t.test('a second tab and a reload show the same jobs', async (t) => {
    const tab = await page.context().newPage()
    await tab.goto(example.url)
    const states = async (of: Page) =>
      of
        .locator('.job')
        .evaluateAll((items) =>
          items.map(
            (item) => `${item.querySelector('.name')!.textContent} ${item.querySelector('.state')!.textContent}`,
          ),
        )
    const all = [
      'Clean up Cancelled',
      'Backup Cancelled',
      'Index Running',
      'Export Cancelled',
      'Import Failed',
      'Report Done',
    ]
    await tab.waitForFunction((count) => document.querySelectorAll('.job').length === count, all.length)
    await page.reload()
    await page.waitForFunction((count) => document.querySelectorAll('.job').length === count, all.length)
    await says(jobOf(page, 'Clean up'), 'Cancelled')
    t.strictSame(await states(tab), all)
    t.strictSame(await states(page), all)
    await tab.getByRole('button', { name: 'Cancel Index' }).click()
    await says(jobOf(page, 'Index'), 'Cancelled')
    await tab.close()
  })

  await t.test('the hub is killed: the job continues, and its progress arrives later, each step once', async (t) => {
    const job = await start(page, 'Long report', 4)
    await says(job, /[1-3] of 4 steps/)
    await example.hub.kill()
    await hasStatus(page, 'Reconnecting…')
    await looksWell(t, page, 'progress-reconnecting')
    await page.getByLabel('Name').fill('Not now')
    await page.getByRole('button', { name: 'Start' }).click()
    await page.getByRole('alert').filter({ hasText: 'The hub cannot be reached.' }).waitFor()
    t.equal(await page.getByLabel('Name').inputValue(), 'Not now')
    await example.hub.start()
    await says(job, 'Done')
    t.strictSame(
      (await eventsOf(example, 'Long report')).map(({ step }) => step),
      [0, 1, 2, 3, 4],
    )
  })

  await t.test('after a reconnect the page shows the progress made meanwhile', async () => {
    const job = await start(page, 'Meanwhile', 2)
    await processOf(job)
    await goOffline(page, example)
    await hasStatus(page, 'Reconnecting…')
    await poll(
      async () => ((await eventsOf(example, 'Meanwhile')).at(-1)?.state === 'done' ? true : undefined),
      () => 'the job does not finish',
    )
    await goOnline(page, example)
    await says(job, 'Done')
  })

  await t.test(
    'the server stops: its workers are gone, and its next start publishes that the job has failed',
    async (t) => {
      const job = await start(page, 'Migration', LONG)
      const worker = await processOf(job)
      await example.stop()
      t.throws(() => process.kill(worker, 0), { code: 'ESRCH' }, 'the worker has exited')
      await page.getByRole('button', { name: 'Start' }).focus()
      await page.getByLabel('Name').fill('Nobody there')
      await page.keyboard.press('Enter')
      await page.getByRole('alert').filter({ hasText: 'The server cannot be reached.' }).waitFor()
      await example.start()
      await says(job, 'Failed')
      await says(job, 'The server ended while it was running.')
    },
  )
})

await t.test('the server is killed: its workers are gone', async (t) => {
  const [port, hubPort] = [await freePort(), await freePort()]
  const server = spawn(
    process.execPath,
    [
      '--import',
      import.meta.resolve('tsx'),
      fileURLToPath(new URL('../../../examples/start.ts', import.meta.url)),
      'progress',
    ],
    {
      cwd: t.testdir(),
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'], PORT: String(port), HUB_PORT: String(hubPort) },
      detached: true, // its hub is ended with the group
    },
  )
  t.teardown(() => process.kill(-server.pid!, 'SIGKILL'))
  await once(server.stdout, 'data') // the server logs its address
  const { status } = await request(`http://127.0.0.1:${port}/jobs`, {
    method: 'POST',
    body: JSON.stringify({ name: 'Report', steps: LONG }),
    headers: { 'content-type': 'application/json' },
  })
  t.equal(status, 201)
  const pid = await poll(
    async () => {
      const { body } = await request<History>(`http://127.0.0.1:${hubPort}/topics/jobs.*/events?last=1`, {
        headers: { accept: 'application/json' },
      })
      return (body.events[0]?.data as JobEvent | undefined)?.pid
    },
    () => 'the job has no worker',
  )
  server.kill('SIGKILL')
  t.ok(await isGone(pid))
})
