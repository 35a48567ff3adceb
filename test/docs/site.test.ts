/** The docs as a site: `npm run docs:build`, whose check of links fails the build, and the pages in a browser. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { siteLink } from '../../docs/.vitepress/links.js'
import { sidebar } from '../../docs/.vitepress/sidebar.js'
import { findChromium, skipWithout, startChromium } from '../browser/chromium.js'
import { checkPage, openPage } from '../browser/page.js'
import { bareNode } from '../helper/bare-node.js'

/** A busy machine builds slowly, and a browser may have to be installed first. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
}

const site = mkdtempSync(join(tmpdir(), 'fanfare-site-'))
t.teardown(() => {
  rmSync(site, { recursive: true, force: true })
})

/** Returns the paths of the built pages, from the folder of the site. */
function pages(): string[] {
  return readdirSync(site, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.html') && !name.startsWith('files/') && name !== '404.html',
  )
}

/** Returns the links of a built page whose file or heading does not exist. */
function broken(page: string): string[] {
  const html = readFileSync(join(site, page), 'utf8')
  return [...html.matchAll(/<a [^>]*?href="([^"]*)"/g)]
    .map(([, href]) => href!)
    .filter((href) => !/^[a-z]+:/.test(href))
    .filter((href) => {
      const { pathname, hash } = new URL(href, `http://site/${page}`)
      const file = join(site, pathname, pathname.endsWith('/') ? 'index.html' : '')
      if (!existsSync(file)) return true
      return hash !== '' && !readFileSync(file, 'utf8').includes(`id="${decodeURIComponent(hash.slice(1))}"`)
    })
}

async function serve(t: Test): Promise<string> {
  const server = createServer(({ url = '/' }, response) => {
    const { pathname } = new URL(url, 'http://site')
    const file = join(site, pathname, pathname.endsWith('/') ? 'index.html' : '')
    if (!existsSync(file) || !statSync(file).isFile()) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' })
    response.end(readFileSync(file))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

await t.test('the site is built, without a dead link', async (t) => {
  const vitepress = join(ROOT, 'node_modules/vitepress/bin/vitepress.js')
  const child = spawn(...bareNode([vitepress, 'build', 'docs', '--outDir', site]), { cwd: ROOT })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const [exitCode] = (await once(child, 'close')) as [number | null]
  t.equal(exitCode, 0, output)
  t.strictSame(
    pages().flatMap((page) => broken(page).map((link) => `${page}: ${link}`)),
    [],
    'every link of every page leads to a file and a heading',
  )
})

await t.test('every page is in the sidebar', async (t) => {
  const listed = sidebar.flatMap(({ items = [] }) => items.map(({ link = '' }) => link))
  const unlisted = pages()
    .map((page) => `/${page}`.replace(/(index)?\.html$/, ''))
    .filter((page) => !listed.includes(page) && !/^\/$|^\/(examples|decisions)\/./.test(page))
  t.strictSame(unlisted, [])
})

await t.test('links of the repository become links of the site', async (t) => {
  t.equal(siteLink('docs/api.md', 'errors.md'), '/errors.md')
  t.equal(siteLink('docs/guides/go.md', '../clients.md#go'), '/clients.md#go')
  t.equal(siteLink('docs/logs.md', '../CONTRIBUTING.md#add-a-log'), '/CONTRIBUTING.md#add-a-log')
  t.equal(siteLink('docs/dependencies.md', '../examples'), '/examples/', 'a folder with a README')
  t.equal(siteLink('CONTRIBUTING.md', 'README.md'), '/', 'the README is the first page')
  t.equal(siteLink('docs/deployment.md', '../compose.yaml'), './files/compose.yaml', 'a file is copied')
  t.equal(siteLink('docs/decisions/README.md', '../../compose.yaml'), '../files/compose.yaml')
  t.equal(siteLink('docs/deployment.md', '../deploy/kubernetes'), './files/deploy/kubernetes/', 'so is a folder')
  t.equal(siteLink('docs/api.md', 'https://example.com'), undefined)
  t.equal(siteLink('docs/api.md', '#tokens'), undefined)
  t.throws(() => siteLink('docs/api.md', 'missing.md'), 'docs/api.md links to missing.md, which does not exist')
})

const chromium = findChromium()
await t.test('the site in a browser', { skip: skipWithout(chromium), timeout: TIMEOUT }, async (t) => {
  const url = await serve(t)
  const browser = await startChromium(t, chromium)

  for (const [scheme, width, names] of [
    ['light', 1440, ['index', 'guides/browser']],
    ['dark', 390, ['index', 'settings']],
  ] as const) {
    const page = await openPage(t, browser, `${url}/`, { scheme, width })
    for (const name of names) {
      await page.goto(`${url}/${name}.html`)
      await page.getByRole('heading', { level: 1 }).waitFor()
      await checkPage(t, page, `site-${name.replace('/', '-')}-${scheme}-${width}`)
    }
  }

  await t.test('the search finds a page', async (t) => {
    const page = await openPage(t, browser, `${url}/start.html`, { width: 1440 })
    await page.getByRole('button', { name: 'Search' }).click()
    await page.getByRole('searchbox').fill('Idempotency-Key')
    await page.getByRole('option').first().waitFor()
    await page.screenshot({ path: fileURLToPath(new URL('../browser/screenshots/site-search.png', import.meta.url)) })
    await page.keyboard.press('Enter')
    await page.getByText('Idempotency-Key').first().waitFor()
    t.pass()
  })
})
