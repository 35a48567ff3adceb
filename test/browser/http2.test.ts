/** The hub's own TLS in a real browser: HTTP/2 carries many streams of a page, where HTTP/1.1 has six connections. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startHub } from '../helper/process.js'
import { anyTopic } from '../helper/token.js'
import { selfSigned } from '../plugins/certificate.js'
import { findChromium, skipWithout, startChromium } from './chromium.js'

const TIMEOUT = 120_000
t.setTimeout(TIMEOUT)
const path = findChromium()
const STREAMS = 100

await t.test(`a page opens ${STREAMS} streams`, { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-http2-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const files = { FANFARE_TLS_CERT: join(folder, 'cert.pem'), FANFARE_TLS_KEY: join(folder, 'key.pem') }
  const { cert, key } = selfSigned()
  writeFileSync(files.FANFARE_TLS_CERT, cert)
  writeFileSync(files.FANFARE_TLS_KEY, key)
  const hub = await startHub(t, { ...files, FANFARE_ANONYMOUS_SUBSCRIBE: '**' })
  const browser = await startChromium(t, path)
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  t.teardown(() => context.close())
  const page = await context.newPage()
  await page.goto(`${hub.url}/status`) // a page of the hub without a policy that forbids streams

  const protocol = await page.evaluate(async (count) => {
    const received = ((globalThis as { received?: number[] }).received = Array.from({ length: count }, () => 0))
    await Promise.all(
      received.map(
        (_, n) =>
          new Promise((resolve) => {
            const source = new EventSource(`/topics/a.${n}/events`)
            source.addEventListener('fanfare.open', resolve)
            source.onmessage = () => received[n]!++
          }),
      ),
    )
    return (performance.getEntriesByType('navigation')[0] as PerformanceNavigationTiming).nextHopProtocol
  }, STREAMS)
  t.equal(protocol, 'h2')

  const events = Array.from({ length: STREAMS }, (_, n) => ({ topic: `a.${n}`, data: n }))
  const status = await page.evaluate(
    async ([body, token]) => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${token!}` }
      return (await fetch('/events', { method: 'POST', headers, body: body! })).status
    },
    [JSON.stringify({ events }), anyTopic()],
  )
  t.equal(status, 201, 'a request goes beside the streams')
  await page.waitForFunction(() => (globalThis as { received?: number[] }).received?.every((count) => count === 1))
  await context.close()
  t.equal(await hub.stop(), 0)
})
