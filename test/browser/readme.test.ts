/** The pages of the README, pasted as they are. Only the port and the folder are others. */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { poll } from '../helper/deadline.js'
import { freePort } from '../helper/free-port.js'
import { request } from '../helper/http.js'
import { findChromium, skipWithout, startChromium } from './chromium.js'
import { openPage } from './page.js'

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

interface Block {
  language: string
  code: string
}

/** Returns the blocks of code of the section about browsers, for a hub on another port. */
function blocks(port: number): Block[] {
  const [, section = ''] = /^## In a browser$([^]*?)^## /m.exec(README) ?? []
  return [...section.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(([, language = '', code = '']) => ({
    language,
    code: code
      .replaceAll('127.0.0.1:3000', `127.0.0.1:${port}`)
      .replaceAll('npx fanfare', `node ${join(ROOT, 'dist/main.js')}`), // in a folder without the package
  }))
}

/** Runs a script in a folder. It ends with the test. */
function run(t: Test, script: string, cwd: string, env: Record<string, string> = {}) {
  const child = spawn('sh', ['-c', script], {
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], ...env },
    detached: true, // the hub ends with its shell
  })
  t.teardown(() => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // it has ended already
    }
  })
  return child
}

await t.test('the README in a browser', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const folder = t.testdir({})
  const port = await freePort()
  const code = blocks(port)
  t.strictSame(
    code.map(({ language }) => language),
    ['sh', 'html', 'sh', 'sh', 'js'],
  )
  const [start, page, token, publish, eventSource] = code.map(({ code }) => code) as [
    string,
    string,
    string,
    string,
    string,
  ]
  // the example with the browser's EventSource says in its text which setting it needs
  const env = { PORT: String(port), FANFARE_ANONYMOUS_SUBSCRIBE: 'orders.*' }
  t.match(README, "(`FANFARE_ANONYMOUS_SUBSCRIBE='orders.*'`)")
  run(t, start, folder, env).stdout.resume()
  await poll(
    () => request(`http://127.0.0.1:${port}/status`).catch(() => undefined),
    () => 'the hub does not listen',
  )
  writeFileSync(join(folder, 'orders.html'), page)
  const browser = await startChromium(t, path)

  /** Makes a token, and runs a further command. Returns the printed URL. */
  async function paste(more = ''): Promise<string> {
    const child = run(t, `${token}\n${more}`, folder)
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    const [exitCode] = (await once(child, 'close')) as [number]
    t.equal(exitCode, 0)
    return output.split('\n')[0]!
  }

  await t.test('the page with the client shows a published event, also in a second tab', async (t) => {
    const url = await paste()
    const tab = await openPage(t, browser, url)
    await paste(publish)
    await tab.getByText('orders.42 created: 12').waitFor()
    const second = await tab.context().newPage()
    await second.goto(url)
    await second.getByText('orders.42 created: 12').waitFor()
    await paste(publish)
    for (const page of [tab, second]) await page.getByText('orders.42 created: 12').nth(1).waitFor()
  })

  await t.test("the example with the browser's EventSource prints the retained events", async (t) => {
    writeFileSync(join(folder, 'event-source.html'), `<!doctype html><script>${eventSource}</script>`)
    const tab = await browser.newPage()
    const printed = tab.waitForEvent('console', (message) => message.text().includes('{"total":12}'))
    await tab.goto(`file://${folder}/event-source.html`)
    await printed
    t.pass()
  })
})
