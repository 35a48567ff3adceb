/** The docs match the code: generated tables are up to date, and paths and links exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { slug } from '../docs/.vitepress/slug.js'
import { pages } from '../scripts/docs.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The pages that name files of the source. */
const ABOUT_SOURCE = ['CONTRIBUTING.md', 'docs/architecture.md', 'docs/performance.md', ...markdownIn('docs/decisions')]
const ALL = [...readdirSync(ROOT).filter(isMarkdown), ...markdownIn('docs'), ...markdownIn('examples')]
/** A path in backticks has a slash, or the extension of a file. */
const PATH = /^[\w.-]+(?:(?:\/[\w.-]+)+\/?|\/|\.(?:ts|md|js|json))$/
/** Paths that a fresh checkout does not have: the output of `npm run build`, and what npm and the tests install. */
const BUILT = /^(?:dist|node_modules)\//

function isMarkdown(name: string): boolean {
  return name.endsWith('.md')
}

function markdownIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => isMarkdown(name) && !name.startsWith('.')) // without the built site
    .map((name) => join(folder, name))
}

/** Reads a page without its blocks of code. */
function prose(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8').replaceAll(/^ *```[^]*?^ *```/gm, '')
}

/** Returns the anchors of a page's headings. */
function anchors(page: string): string[] {
  return [...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => slug(heading!))
}

/** Returns the links of a page that stay inside the project. */
function links(page: string): string[] {
  return [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!)
    .filter((target) => !/^[a-z]+:/.test(target))
}

function isBroken(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? page : join(dirname(page), path)
  if (!existsSync(join(ROOT, target))) return true
  return anchor !== undefined && !anchors(target).includes(anchor)
}

for (const { path, written, current } of pages()) {
  t.equal(written, current, `${path} is up to date (else: npm run docs)`)
}

for (const page of ABOUT_SOURCE) {
  const paths = [...prose(page).matchAll(/`([^`]+)`/g)]
    .map(([, code]) => code!)
    .filter((code) => PATH.test(code) && !BUILT.test(code))
  t.strictSame(
    paths.filter((path) => ![path, join('src', path)].some((candidate) => existsSync(join(ROOT, candidate)))),
    [],
    `${page} names only paths that exist`,
  )
}

for (const page of ALL) {
  t.strictSame(
    links(page).filter((link) => isBroken(page, link)),
    [],
    `the links of ${page} lead to existing pages and headings`,
  )
}

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
const ci = readFileSync(join(ROOT, '.ci/run'), 'utf8')
const inCheck = [...scripts.check!.matchAll(/npm (?:run --silent )?(\w+)/g)].map(([, name]) => name!)
const inCi = [
  ...(/^for check in (.+); do$/m.exec(ci)?.[1] ?? '').split(' '),
  ...(/npm (test)\b/.exec(ci) ?? []).slice(1),
]
t.strictSame(inCheck, inCi, '`npm run check` and .ci/run run the same checks')
