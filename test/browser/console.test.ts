/** The web console in a real browser, on a hub that runs as a process of its own. */
import { setTimeout as delay } from 'node:timers/promises'
import Fastify from 'fastify'
import type { Browser, Page, Request } from 'playwright-core'
import t, { type Test } from 'tap'
import fanfare from '../../src/index.js'
import { poll } from '../helper/deadline.js'
import { publish, publishBatch } from '../helper/http.js'
import { startHub, type Hub } from '../helper/process.js'
import { networkTo } from '../helper/network.js'
import { revivingHub } from '../helper/reviving-hub.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { SECRET, token } from '../helper/token.js'
import { findChromium, skipWithout, startChromium } from './chromium.js'
import { accessibilityFaults, openPage, screenshot, type PageOptions } from './page.js'

const admin = token({ sub: 'root', subscribe: ['**'], publish: ['**'], presence: ['**'], admin: true })
const ann = token({ sub: 'ann', subscribe: ['**'], publish: ['**'], info: { name: 'Ann' } })

/** A browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const path = findChromium()

/** More than sockets and streams hold on the way to a page. */
const BACKLOG = { batches: 40, events: 250, padding: 'x'.repeat(1_500) }

/** Opens the console by the link that a development start prints. */
function open(t: Test, browser: Browser, { url }: { url: string }, options?: PageOptions): Promise<Page> {
  return openPage(t, browser, `${url}/#token=${admin}`, options)
}

async function isLive(page: Page): Promise<void> {
  await page.locator('header .badge.live').waitFor()
}

/** Goes to a page of the console as a link in it would. */
async function go(page: Page, fragment: string): Promise<void> {
  await page.evaluate((hash) => void (location.hash = hash), fragment)
}

/** The ids of the events that the card "Live" shows, oldest first. */
async function shownIds(page: Page): Promise<string[]> {
  const ids = await page.getByRole('list', { name: 'Live events' }).locator('li').evaluateAll((items) => items.map((item) => item.getAttribute('data-id') ?? ''))
  return ids.reverse()
}

/** A hub with something in it, and somebody connected. */
async function busyHub(t: Test): Promise<Hub> {
  const hub = await startHub(t)
  await publishBatch(hub, Array.from({ length: 60 }, (_, n) => ({ topic: `orders.${n % 5}`, type: 'created', data: { number: n, items: ['a', 'b'] } })), ann)
  await publish(hub, 'news', { text: 'first line\nsecond line' }, ann)
  await openLive(t, streamUrl(hub, ['orders.*', 'news']), { token: ann })
  return hub
}

await t.test('the console', { skip: skipWithout(path), timeout: TIMEOUT }, async (t) => {
  const browser = await startChromium(t, path)

  await t.test('somebody signs in by form, and out again', async (t) => {
    const hub = await startHub(t)
    const page = await openPage(t, browser, hub.url)
    const field = page.getByLabel('Token')
    t.ok(await field.evaluate((element) => element === document.activeElement), 'the field has the focus')
    for (const [wrong, words] of [['nonsense', /token/i], [token({ subscribe: ['**'], exp: 1 }), /expired/], ['ü', /no token/]] as const) {
      await field.fill(wrong)
      await page.keyboard.press('Enter')
      await page.getByRole('alert').filter({ hasText: words }).waitFor()
    }
    await field.fill(admin)
    await page.keyboard.press('Enter')
    await isLive(page)
    await page.reload()
    await isLive(page)
    const other = await page.context().newPage()
    await other.goto(hub.url)
    await other.getByLabel('Token').waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token').waitFor()
    await page.reload()
    await page.getByLabel('Token').waitFor()
    t.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0, 'nothing is left of it')
  })

  await t.test('the link of a development start signs in, and its token leaves the address at once', async (t) => {
    const hub = await startHub(t, { FANFARE_JWT_SECRET: '' })
    const link = hub.logs().map((line) => line['console']).find((value) => typeof value === 'string')
    t.match(link, new RegExp(`^${hub.url}/#token=`))
    const page = await openPage(t, browser, link!)
    await isLive(page)
    t.equal(page.url(), `${hub.url}/`)
    await page.goBack().catch(() => null)
    t.notMatch(page.url(), /token/)
  })

  await t.test('a token that is no admin’s is told what it lacks, and sees the rest', async (t) => {
    const hub = await busyHub(t)
    const page = await openPage(t, browser, `${hub.url}/#token=${ann}`)
    await page.getByRole('alert').filter({ hasText: '"admin": true' }).waitFor()
    await checkBoth(t, page, 'refused')
    await page.getByRole('link', { name: 'Topics' }).click()
    await page.getByRole('link', { name: 'orders.1' }).waitFor()
  })

  await t.test('below the prefix of an application it works as well', async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(fanfare, { prefix: '/live/hub', log: 'memory', jwtSecret: SECRET })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const page = await openPage(t, browser, `${url}/live/hub#token=${admin}`)
    await isLive(page)
    t.equal(page.url(), `${url}/live/hub/`)
    await go(page, '#/topics/orders.1')
    await page.locator('#live ~ .badge.live').waitFor()
    await page.getByRole('button', { name: 'Publish' }).click()
    await page.getByRole('list', { name: 'Live events' }).getByText('{"total":12}').waitFor()
  })

  await t.test('a ticket opens each of its streams', async (t) => {
    const hub = await startHub(t)
    const page = await openPage(t, browser, hub.url)
    const streams: Request[] = []
    page.on('request', (request) => {
      if (new URL(request.url()).pathname === '/events') streams.push(request)
    })
    await page.getByLabel('Token').fill(admin)
    await page.keyboard.press('Enter')
    await isLive(page)
    await go(page, '#/topics/orders.1')
    await page.locator('#live ~ .badge.live').waitFor()
    t.equal(streams.length, 2)
    for (const request of streams) {
      t.match(new URL(request.url()).searchParams.get('ticket'), /^ey/)
      t.equal(await request.headerValue('authorization'), null)
      t.notOk(request.url().includes(admin))
    }
  })

  await t.test('the overview moves', async (t) => {
    const hub = await busyHub(t)
    const page = await open(t, browser, hub)
    const open1 = page.locator('.chart', { hasText: 'Connections' }).locator('dd').first()
    await page.locator('.chart canvas').first().waitFor()
    await open1.filter({ hasText: /^2$/ }).waitFor() // somebody, and the console
    await openLive(t, streamUrl(hub, ['news']), { token: ann })
    await open1.filter({ hasText: /^3$/ }).waitFor()
    const publishing = setInterval(() => void publish(hub, 'orders.1', { data: 1 }, ann).catch(() => undefined), 20)
    t.teardown(() => clearInterval(publishing))
    await page.locator('.chart', { hasText: 'Events per second' }).locator('dd').first().filter({ hasText: /^[1-9]/ }).waitFor()
    await page.getByRole('link', { name: 'orders.1' }).waitFor() // among the busiest
    const drawn = await page.locator('.chart canvas').first().evaluate((canvas: HTMLCanvasElement) => canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 0))
    t.ok(drawn, 'something is drawn')
  })

  await t.test('what is published on a topic’s page arrives there', async (t) => {
    const hub = await busyHub(t)
    const page = await open(t, browser, hub)
    await page.getByRole('link', { name: 'Topics' }).click()
    await page.getByLabel('Begins with').fill('orders.')
    await page.getByRole('link', { name: 'news' }).waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Topic', exact: true }).click()
    t.equal(await page.locator('tbody a').first().textContent(), 'orders.4', 'sorted the other way round')
    await page.getByRole('link', { name: 'orders.1' }).click()
    const live = page.getByRole('list', { name: 'Live events' })
    await page.locator('#live ~ .badge.live').waitFor()
    await page.getByLabel('Type').fill('a type of its own')
    await page.getByRole('textbox', { name: 'Payload' }).fill('{"hello": "wörld"}')
    await page.getByRole('button', { name: 'Publish' }).click()
    await live.getByText('{"hello":"wörld"}').waitFor()
    await live.getByText('a type of its own').waitFor()
    await page.getByText(/^Published as \S+, sent to 2 subscribers\.$/).waitFor()

    await page.getByLabel('Text').check()
    await page.getByLabel('Ephemeral').check()
    await page.getByRole('textbox', { name: 'Payload' }).fill('gone at once')
    await page.getByRole('button', { name: 'Publish' }).click()
    await live.locator('li', { hasText: 'gone at once' }).getByText('ephemeral').waitFor()

    await page.getByLabel('JSON').check()
    await page.getByRole('button', { name: 'Publish' }).click()
    await page.getByRole('alert').filter({ hasText: 'no JSON' }).waitFor()
    await page.getByRole('textbox', { name: 'Payload' }).fill('1')
    await page.getByLabel('Type').fill('fanfare.mine')
    await page.getByRole('button', { name: 'Publish' }).click()
    await page.getByRole('alert').filter({ hasText: /type/ }).waitFor()

    await page.getByRole('button', { name: 'Newest' }).click()
    const history = page.getByRole('list', { name: 'History' })
    await history.getByText('{"hello":"wörld"}').waitFor()
    t.equal(await history.locator('li').count(), 13)
    for (let n = 0; n < 30; n++) await publish(hub, 'orders.1', { data: `page ${n}` }, ann)
    await page.getByRole('button', { name: 'Oldest' }).click()
    await history.getByText('"page 6"').waitFor() // the twentieth; what is first was shown before, too
    t.match(await history.locator('li').last().textContent(), '"number":1,')
    t.equal(await history.locator('li').count(), 20)
    await page.getByRole('button', { name: 'Newer' }).click()
    await history.getByText('"page 7"').waitFor()
    await page.getByRole('button', { name: 'Older' }).click()
    await history.getByText('"number":1,').waitFor()
    await openLive(t, streamUrl(hub, ['orders.1']), { token: ann })
    await page.locator('#presence ~ ul').getByText('{"name":"Ann"}').waitFor()
  })

  await t.test('the snippets of a topic’s page fit each other: what the one publishes the other one hears', async (t) => {
    const hub = await startHub(t)
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    const script = async (title: string) => {
      const panel = page.locator('details', { hasText: `Try it: ${title}` })
      await panel.locator('summary').click()
      await panel.getByRole('button', { name: 'Show the token' }).click()
      return `(async () => { ${await panel.getByRole('group', { name: 'JavaScript' }).textContent()}\n})()`
    }
    const logged: string[] = []
    page.on('console', (message) => logged.push(message.text()))
    await page.evaluate(await script('subscribe'))
    const heard = page.waitForEvent('console', { predicate: (message) => message.text().startsWith('created ') })
    await page.evaluate(await script('publish'))
    t.match((await heard).text(), /^created \S+ \{"total":12\}$/)
    const plain = page.waitForEvent('console', { predicate: (message) => message.text().startsWith('message ') })
    await page.getByRole('button', { name: 'Publish' }).click()
    await plain
    t.match(logged.join('\n'), /^201 /m)
  })

  await t.test('history that could not be had is there once the hub is, and what was empty does not stay so', async (t) => {
    const hub = await revivingHub(t, { FANFARE_LOG: `file:${t.testdir()}` })
    await publish(hub.hub, 'orders.1', { data: 'kept' }, ann)
    const page = await open(t, browser, hub)
    await isLive(page)
    await hub.kill()
    await go(page, '#/topics/orders.1')
    const card = page.getByRole('region', { name: 'History' })
    await card.getByRole('alert').filter({ hasText: 'The hub cannot be reached.' }).waitFor()
    await hub.start()
    await card.getByText('"kept"').waitFor()
    t.equal(await card.getByRole('alert').count(), 0)

    await go(page, '#/topics/orders.2')
    await card.getByText('The log holds nothing of it.').waitFor()
    await publish(hub.hub, 'orders.2', { data: 'the first' }, ann)
    await card.getByText('"the first"').waitFor()
    t.equal(await card.getByText('The log holds nothing of it.').count(), 0)
  })

  await t.test('history is paged back from the newest and forth again, while more comes', async (t) => {
    const hub = await startHub(t)
    const add = (first: number, count: number) => publishBatch(hub, Array.from({ length: count }, (_, n) => ({ topic: 'orders.1', data: first + n })), ann)
    await add(1, 130)
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    const shows = async (newest: number, oldest: number) => {
      const list = page.getByRole('list', { name: 'History' }).locator('pre')
      await list.first().getByText(String(newest), { exact: true }).waitFor()
      t.strictSame(await list.allTextContents(), Array.from({ length: newest - oldest + 1 }, (_, n) => String(newest - n)))
    }
    const button = (name: string) => page.getByRole('button', { name, exact: true })
    await shows(130, 111)
    t.ok(await button('Newer').isDisabled())
    await add(131, 50)
    for (let newest = 110; newest >= 30; newest -= 20) {
      await button('Older').click()
      await shows(newest, newest - 19)
    }
    await button('Older').click()
    await shows(10, 1)
    t.ok(await button('Older').isDisabled())
    await button('Newer').click()
    await shows(30, 11)
    await button('Newest').click()
    await shows(180, 161)
    await button('Oldest').click()
    await shows(20, 1)
    t.ok(await button('Older').isDisabled())
    await button('Newer').click()
    await shows(40, 21)
    await button('Older').click()
    await shows(20, 1)

    await add(181, 1_000)
    await button('Newest').click()
    for (let newest = 1180; newest > 200; newest -= 20) {
      await shows(newest, newest - 19)
      await button('Older').click()
    }
    await shows(200, 181)
    await page.getByText('what is older is found from the oldest').waitFor()
    t.ok(await button('Older').isDisabled())
  })

  await t.test('a hub that hangs is told of everywhere, and what is only quiet is not', async (t) => {
    const hub = await startHub(t, { FANFARE_HEARTBEAT: '1h' })
    t.teardown(() => hub.signal('SIGCONT'))
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    const badge = page.locator('#live ~ .badge')
    const badgeSays = (words: RegExp) => badge.filter({ hasText: words }).waitFor({ timeout: 60_000 })
    await badgeSays(/: Live$/)
    await page.evaluate(() => {
      const seen: string[] = []
      new MutationObserver(() => seen.push(document.querySelector('#live ~ .badge')?.className ?? 'none')).observe(document.querySelector('#live')!.parentElement!, { subtree: true, childList: true, characterData: true, attributes: true })
      Object.assign(globalThis, { seen })
    })
    const renewed = await page.waitForRequest((request) => /\/events\?topic=orders/.test(request.url()), { timeout: 60_000 })
    t.match(new URL(renewed.url()).searchParams.get('lastEventId'), /-0$/)
    await badgeSays(/: Live$/)
    t.notMatch(await page.evaluate(() => (globalThis as unknown as { seen: string[] }).seen.join()), /down/)

    hub.signal('SIGSTOP')
    await page.getByRole('main').getByRole('alert').filter({ hasText: /^The hub does not answer\.$/ }).first().waitFor()
    await badgeSays(/: Down$/)
    hub.signal('SIGCONT')
    await badgeSays(/: Live$/)
    await page.getByText('The hub does not answer.').first().waitFor({ state: 'detached' })
    await isLive(page)
    await publish(hub, 'orders.1', { data: 'after it' }, ann)
    await page.getByRole('list', { name: 'Live events' }).getByText('"after it"').waitFor()
  })

  await t.test('the token is shown only to whoever asks for it', async (t) => {
    const hub = await startHub(t)
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    const panel = page.locator('details', { hasText: 'Try it: publish' })
    await panel.locator('summary').click()
    const curl = panel.locator('pre').first()
    t.match(await curl.textContent(), new RegExp(`Bearer \\$TOKEN.*${hub.url}/topics/orders.1/events`, 's'))
    t.notMatch(await page.content(), new RegExp(admin))
    await panel.getByRole('button', { name: 'Show the token' }).click()
    t.match(await curl.textContent(), new RegExp(`Bearer ${admin}`))
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await panel.getByRole('button', { name: 'Copy curl' }).click()
    await panel.getByText('Copied.').waitFor()
    const copied = await page.evaluate(() => navigator.clipboard.readText())
    t.ok(copied.includes(`Bearer ${admin}`))
  })

  await t.test('a connection is ended', async (t) => {
    const hub = await busyHub(t)
    const stream = await openLive(t, streamUrl(hub, ['orders.1']), { token: token({ sub: 'bob', subscribe: ['**'] }) })
    const id = String(stream.headers['fanfare-connection'])
    const page = await open(t, browser, hub)
    await page.getByRole('link', { name: 'Connections' }).click()
    await page.getByLabel('Subject').fill('bob')
    await page.locator('tbody tr').nth(1).waitFor({ state: 'detached' })
    await page.locator('tbody').getByRole('link', { name: id }).click()
    await page.locator('.figures', { hasText: 'bob' }).waitFor()
    await page.getByRole('button', { name: 'End this connection' }).click()
    t.match(await stream.told('close'), { reason: 'revoked' })
    await page.getByText(/It has ended/).waitFor()
    await checkBoth(t, page, 'connection-ended')
    await page.getByRole('link', { name: 'Connections' }).click()
    await page.locator('li', { hasText: id }).filter({ hasText: 'closed (revoked)' }).waitFor()
  })

  await t.test('the hub is killed and comes back: the page says so, and catches up with nothing missing or doubled', async (t) => {
    const hub = await revivingHub(t, { FANFARE_LOG: `file:${t.testdir()}` })
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    await page.locator('#live ~ .badge.live').waitFor()
    const published: string[] = []
    const add = async (count: number) => {
      for (let n = 0; n < count; n++) published.push((await publish(hub.hub, 'orders.1', { data: n, ...(n % 2 ? { type: `type-${n}` } : {}) }, ann)).id)
    }
    await add(5)
    for (let kill = 0; kill < 2; kill++) {
      await page.locator('[aria-label="Live events"] li').nth(published.length - 1).waitFor()
      await hub.kill()
      await page.locator('header .badge.down').waitFor()
      await page.getByRole('alert').filter({ hasText: 'This topic: the stream is down' }).waitFor()
      await hub.start()
      await add(10)
    }
    await page.locator('[aria-label="Live events"] li').nth(published.length - 1).waitFor()
    await page.locator('#live ~ .badge.live').waitFor()
    await isLive(page)
    t.strictSame(await shownIds(page), published)
    t.equal(await page.getByText(/there is a gap/).count(), 0)
  })

  await t.test('a gap is told', async (t) => {
    const hub = await revivingHub(t, { FANFARE_LOG: 'memory' })
    const page = await open(t, browser, hub)
    await go(page, '#/topics/orders.1')
    await page.locator('#live ~ .badge.live').waitFor()
    await hub.kill()
    await page.locator('#live ~ .badge.down').waitFor()
    await hub.start()
    await page.getByText('This topic: there is a gap, the hub has begun a new log.').waitFor()
    await checkBoth(t, page, 'gap')
    await page.getByRole('button', { name: 'Dismiss' }).last().click()
    await page.getByText('This topic: there is a gap').waitFor({ state: 'detached' })
  })

  for (const [scheme, widths] of [['light', [1280, 390]], ['dark', [1280, 390]]] as const) {
    await t.test(`every page can be used by everybody (${scheme})`, async (t) => {
      const hub = await busyHub(t)
      const { headers } = await openLive(t, streamUrl(hub, ['orders.1']), { token: ann })
      const publishing = setInterval(() => void publish(hub, 'orders.1', { data: { total: 12 }, type: 'created' }, ann).catch(() => undefined), 100)
      t.teardown(() => clearInterval(publishing))
      for (const width of widths) {
        const out = await openPage(t, browser, hub.url, { scheme, width })
        await out.getByLabel('Token').fill('nonsense')
        await out.keyboard.press('Enter')
        await out.getByRole('alert').waitFor()
        await check(t, out, `sign-in-${scheme}-${width}`)
        const page = await open(t, browser, hub, { scheme, width })
        await isLive(page)
        const pages: [name: string, fragment: string, ready: string][] = [
          ['topics', '#/topics', 'tbody tr'],
          ['topic', '#/topics/orders.1', '[aria-label="Live events"] li:nth-child(5)'],
          ['connections', '#/connections', 'tbody tr'],
          ['connection', `#/connections/${String(headers['fanfare-connection'])}`, '.figures'],
          ['overview', '#/', '.figures'],
        ]
        for (const [name, fragment, ready] of pages) {
          await go(page, fragment)
          await page.locator(ready).first().waitFor()
          for (const summary of await page.locator('summary').all()) await summary.click()
          await check(t, page, `${name}-${scheme}-${width}`)
        }
      }
    })
  }

  /** Wide and light, and dark on a phone. */
  async function checkBoth(t: Test, page: Page, name: string): Promise<void> {
    const size = page.viewportSize()!
    await check(t, page, `${name}-light-${size.width}`)
    await page.emulateMedia({ colorScheme: 'dark' })
    await page.setViewportSize({ ...size, width: 390 })
    await check(t, page, `${name}-dark-390`)
    await page.emulateMedia({ colorScheme: 'light' })
    await page.setViewportSize(size)
  }

  async function check(t: Test, page: Page, name: string): Promise<void> {
    t.strictSame(await accessibilityFaults(page), [], name)
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
    t.equal(overflow, 0, `${name} is not wider than the screen`)
    await screenshot(page, name)
  }

  await t.test('tables fit the screen, however long a name is', async (t) => {
    const hub = await busyHub(t)
    const long = `a.${'long-name-of-a-topic.'.repeat(9)}`.slice(0, 190)
    await publish(hub, long, { data: 1 }, ann)
    await openLive(t, streamUrl(hub, [long, 'orders.1', 'news']), { token: token({ sub: `somebody-${'long'.repeat(20)}`, subscribe: ['**'] }) })
    for (const width of [390, 900, 1280]) {
      const page = await open(t, browser, hub, { width })
      await isLive(page)
      for (const [name, text] of [['topics', long], ['connections', 'somebody-long']] as const) {
        await go(page, `#/${name}`)
        await page.locator('tbody tr', { hasText: text }).waitFor()
        const outside = await page.locator('td').evaluateAll((cells) => cells.filter((cell) => {
          const { left, right } = cell.getBoundingClientRect()
          return left < 0 || right > innerWidth || cell.scrollWidth > cell.clientWidth
        }).map((cell) => cell.getAttribute('data-label')))
        t.strictSame(outside, [], `${name}, ${width} pixels wide`)
        await check(t, page, `${name}-long-${width}`)
      }
    }
  })

  await t.test('the charts show where something is missing, and none of their labels is cut off', async (t) => {
    const hub = await busyHub(t)
    const opened: [width: number, page: Page][] = []
    for (const width of [1280, 390]) {
      const page = await open(t, browser, hub, { width })
      await page.addInitScript(watchLabels)
      await page.reload()
      await page.getByRole('img', { name: /^Memory/ }).locator('canvas').waitFor()
      opened.push([width, page])
    }
    await delay(3_000) // no wait for anything, but what is looked at: so long a line before the outage
    hub.signal('SIGSTOP')
    await delay(6_000) // and so long a hole
    hub.signal('SIGCONT')
    for (const [width, page] of opened) {
      const memory = page.getByRole('img', { name: /^Memory.*; interrupted once$/ })
      await memory.waitFor()
      t.equal(await page.getByRole('img', { name: /interrupted once$/ }).count(), 6, `${width}: every chart says so`)
      const seen = await page.evaluate<number>('labels.times.size')
      await poll(async () => (await page.evaluate<number>('labels.times.size')) > seen || undefined, () => 'no label comes in at the edge')
      t.strictSame(await page.evaluate('[...labels.faults]'), [], `${width}: every label can be read`)
      const { before, missing, after } = await memory.locator('canvas').evaluate(lineOf)
      t.ok(before > 0 && missing > 10 && after > 0, `${width}: the line is interrupted (${before}, ${missing}, ${after})`)
      await check(t, page, `overview-hole-${width}`)
    }
  })

  await t.test('a page that was offline says so, and that it is catching up, until nothing is missing', async (t) => {
    const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '20000' })
    const network = await networkTo(t, hub.url)
    const page = await open(t, browser, network)
    await go(page, '#/topics/orders.1')
    const badge = page.locator('#live ~ .badge')
    await badge.filter({ hasText: 'Live' }).waitFor()
    await publish(hub, 'orders.1', { data: 'before' }, ann)
    await page.getByText('1 came.').waitFor()

    await page.context().setOffline(true)
    network.cut()
    await badge.filter({ hasText: 'Down' }).waitFor()
    await page.locator('header .badge.down').waitFor()
    await checkBoth(t, page, 'down')
    const ids: string[] = []
    for (let batch = 0; batch < BACKLOG.batches; batch++) {
      const events = Array.from({ length: BACKLOG.events }, (_, n) => ({ topic: 'orders.1', data: { number: batch * BACKLOG.events + n, padding: BACKLOG.padding } }))
      ids.push(...(await publishBatch(hub, events, ann)).map(({ id }) => id))
    }

    page.on('response', (response) => {
      if (response.url().includes('topic=orders.1')) network.stall() // when it has just begun
    })
    network.mend()
    await page.context().setOffline(false)
    await badge.filter({ hasText: 'Catching up' }).waitFor()
    await checkBoth(t, page, 'catching-up')
    await badge.filter({ hasText: 'Catching up' }).waitFor() // still
    network.mend()
    await badge.filter({ hasText: 'Live' }).waitFor()
    await isLive(page)
    await page.getByText(`${ids.length + 1} came;`).waitFor()
    t.strictSame(await shownIds(page), ids.slice(-200), 'the newest are shown')
  })

  await t.test('where there is nothing the page says so', async (t) => {
    const page = await open(t, browser, await startHub(t))
    await isLive(page)
    for (const [name, fragment, words] of [
      ['overview-empty', '#/', 'Events kept'],
      ['topics-empty', '#/topics', 'The log holds nothing of any topic.'],
      ['topic-empty', '#/topics/orders.1', 'Nothing has come since this page was opened.'],
    ] as const) {
      await go(page, fragment)
      await page.getByText(words).waitFor()
      await checkBoth(t, page, name)
    }
    await go(page, '#/connections')
    await page.getByLabel('Subject').fill('nobody')
    await page.getByText('There is no such connection.').waitFor()
    await checkBoth(t, page, 'connections-empty')
  })

  await t.test('a token that grants nothing is told so', async (t) => {
    const hub = await busyHub(t)
    const page = await openPage(t, browser, `${hub.url}/#token=${token({ sub: 'guest' })}`)
    await page.locator('header .badge.refused').waitFor()
    await go(page, '#/topics/orders.1')
    await page.locator('#live ~ .badge.refused').waitFor()
    await page.getByRole('alert').filter({ hasText: 'This topic: the stream is refused.' }).waitFor()
    await checkBoth(t, page, 'topic-refused')
  })

  await t.test('every page has a title of its own', async (t) => {
    const page = await openPage(t, browser, (await startHub(t)).url)
    await page.getByLabel('Token').fill(admin)
    t.equal(await page.title(), 'Sign in · Fanfare')
    await page.keyboard.press('Enter')
    for (const [fragment, title] of [
      ['#/', 'Overview'],
      ['#/topics', 'Topics'],
      ['#/topics/orders.1', 'orders.1'],
      ['#/connections', 'Connections'],
      ['#/connections/one', 'Connection one'],
    ] as const) {
      await go(page, fragment)
      await page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor()
      await page.waitForFunction((wanted) => document.title === wanted, `${title} · Fanfare`)
    }
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token').waitFor()
    t.equal(await page.title(), 'Sign in · Fanfare')
  })
})

/** In a page, before its own scripts: what is wrong with any label that is ever drawn on a canvas. */
function watchLabels(): void {
  const labels = { times: new Set<string>(), faults: new Set<string>() }
  Object.assign(globalThis, { labels })
  const { prototype } = CanvasRenderingContext2D
  // eslint-disable-next-line @typescript-eslint/unbound-method -- they are called on a context below
  const { clearRect, fillText } = prototype
  let drawn: { text: string; box: DOMRect }[] = []
  prototype.clearRect = function (...place) {
    drawn = [] // one chart after the other is drawn anew
    clearRect.apply(this, place)
  }
  prototype.fillText = function (text, x, y) {
    const { actualBoundingBoxLeft: left, actualBoundingBoxRight: right, actualBoundingBoxAscent: ascent, actualBoundingBoxDescent: descent } = this.measureText(text)
    const box = new DOMRect(x - left, y - ascent, left + right, ascent + descent)
    const { width, height } = this.canvas
    if (box.left < 0 || box.top < 0 || box.right > width || box.bottom > height) labels.faults.add(`${text} is cut off`)
    for (const other of drawn) {
      if (other.text === text) labels.faults.add(`${text} is there twice`)
      if (box.left < other.box.right + 4 && other.box.left < box.right + 4 && box.top < other.box.bottom && other.box.top < box.bottom) labels.faults.add(`${text} and ${other.text} run into each other`)
    }
    drawn.push({ text, box })
    if (/^\d\d:\d\d$/.test(text)) labels.times.add(text)
    fillText.call(this, text, x, y)
  }
}

/** In a page: in how many columns a canvas has the colour of a chart's first line, before and after the widest hole in it. */
function lineOf(canvas: HTMLCanvasElement): { before: number; missing: number; after: number } {
  const { data, width } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height)
  const columns = new Set<number>()
  for (let index = 0; index < data.length; index += 4) {
    if (Math.abs(data[index]! - 0x43) + Math.abs(data[index + 1]! - 0x38) + Math.abs(data[index + 2]! - 0xca) < 40) columns.add((index / 4) % width)
  }
  const sorted = [...columns].sort((a, b) => a - b)
  const steps = sorted.slice(1).map((column, index) => column - sorted[index]!)
  const missing = Math.max(...steps)
  const before = steps.indexOf(missing) + 1
  return { before, missing, after: sorted.length - before }
}
