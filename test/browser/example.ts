/** Runs an example with a hub that can be killed, and opens its page in a browser. */
import type { FastifyInstance } from 'fastify'
import type { Browser, Page } from 'playwright-core'
import type { Test } from 'tap'
import { loadExample, type ExampleName } from '../../examples/shared/example.js'
import { createHubAccess, type HubAccess } from '../../examples/shared/hub-access.js'
import { buildExample } from '../../examples/shared/serve.js'
import { freePort } from '../helper/free-port.js'
import { networkTo, type Network } from '../helper/network.js'
import { revivingHub, type RevivingHub } from '../helper/reviving-hub.js'
import { SECRET } from '../helper/token.js'
import { checkPage, openPage } from './page.js'

export interface RunningExample {
  /** The URL of its page. */
  readonly url: string
  readonly hub: RevivingHub
  /** The network between browsers and the hub. The example's server reaches the hub directly. */
  readonly network: Network
  /** For publishing past the example's own server. */
  readonly client: HubAccess['hub']
  /** Ends only the example's server. */
  stop(): Promise<void>
  /** Restarts the example's server at the same address. */
  start(): Promise<void>
  /** Restarts hub and server with another secret, as each `npm run example` does. */
  restartWith(secret: string): Promise<void>
}

export interface ExampleOptions {
  speed?: number
  /** Settings of the hub, beside the example's own. */
  settings?: Record<string, string>
}

/** Starts a hub that keeps its log in a folder of the test, and the example's server. Both end with the test. */
export async function startExample(
  t: Test,
  name: ExampleName,
  { speed = 1, settings = {} }: ExampleOptions = {},
): Promise<RunningExample> {
  const example = await loadExample(name)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const hub = await revivingHub(t, {
    FANFARE_LOG: `file:${t.testdir()}`,
    FANFARE_CORS_ORIGINS: url,
    ...example.settings,
    ...settings,
  })
  const network = await networkTo(t, hub.url)
  const accessWith = (secret: string) => createHubAccess(hub.url, secret, network.url)
  let access = accessWith(SECRET)
  let app: FastifyInstance | undefined
  const stop = async () => app?.close()
  t.teardown(stop)
  async function start(): Promise<void> {
    app = await buildExample(name, access, speed)
    await app.listen({ host: '127.0.0.1', port })
  }
  async function restartWith(secret: string): Promise<void> {
    await Promise.all([stop(), hub.kill()])
    access = accessWith(secret)
    await hub.start({ FANFARE_JWT_SECRET: secret })
    await start()
  }
  await start()
  return {
    url,
    hub,
    network,
    get client() {
      return access.hub
    },
    stop,
    start,
    restartWith,
  }
}

/** Waits until the element with `role="status"` shows a state of the page's stream. */
export async function hasStatus(page: Page, status: 'Live' | 'Reconnecting…' | 'Not connected'): Promise<void> {
  await page.getByRole('status').filter({ hasText: status }).first().waitFor()
}

/** Disconnects a page from the network. `setOffline` alone would leave open streams connected. */
export async function goOffline(page: Page, { network }: RunningExample): Promise<void> {
  await page.context().setOffline(true)
  network.cut()
}

export async function goOnline(page: Page, { network }: RunningExample): Promise<void> {
  network.mend()
  await page.context().setOffline(false)
}

/** Checks the accessibility of a page, light and dark, wide and on a phone, and writes screenshots. */
export async function looksWell(t: Test, page: Page, name: string): Promise<void> {
  const size = page.viewportSize()!
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: size.height })
      await checkPage(t, page, `${name}-${colorScheme}-${width}`)
    }
  }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize(size)
}

/** Opens an example's page with its own cookies and storage, as another user. */
export function visit(t: Test, browser: Browser, { url }: RunningExample): Promise<Page> {
  return openPage(t, browser, url)
}
