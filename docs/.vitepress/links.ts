/** Links of the Markdown files. They are written for the repository, and this rule makes them work on the site too. */
import { cpSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MarkdownRenderer } from 'vitepress'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** The folder of the site with copies of linked files that are no pages. */
const FILES = 'files'
/** The files that are pages of the site; see also `srcExclude` in config.ts. */
const PAGE = /^(?:(?:docs|examples)\/.+|[A-Z]+)\.md$/

/** The linked files and folders of the repository that are no pages. */
const linked = new Set<string>()

/** Returns the path of a page on the site; see also `rewrites` in config.ts. */
function sitePath(page: string): string {
  if (page === 'README.md') return '/' // the first page of the site introduces the project too
  return `/${page.replace(/^docs\//, '').replace(/README\.md$/, '')}`
}

/**
 * Returns the target of a link on the site.
 * @param page the path of the page from the root of the repository
 * @returns `undefined` if the link leads to another site, or to a heading of the page
 * @throws if the link leads to a file that does not exist
 */
export function siteLink(page: string, link: string): string | undefined {
  const [path = '', anchor] = link.split('#')
  if (path === '' || /^[a-z]+:/.test(path)) return undefined
  const target = posix.join(posix.dirname(page), path).replace(/\/$/, '')
  if (!existsSync(join(ROOT, target))) throw new Error(`${page} links to ${link}, which does not exist`)
  const hash = anchor === undefined ? '' : `#${anchor}`
  if (PAGE.test(target)) return `${sitePath(target)}${hash}`
  const readme = `${target}/README.md`
  if (PAGE.test(readme) && existsSync(join(ROOT, readme))) return `${sitePath(readme)}${hash}`
  linked.add(target)
  // relative, so that the site may be below any path
  const up = '../'.repeat(sitePath(page).split('/').length - 2) || './'
  return `${up}${FILES}/${target}${isFolder(join(ROOT, target)) ? '/' : ''}`
}

/** Makes markdown-it write the links of the site. */
export function repositoryLinks(md: MarkdownRenderer): void {
  md.core.ruler.push('repository-links', ({ tokens, env }) => {
    const { path, realPath = path } = env as { path: string; realPath?: string }
    const page = posix.relative(ROOT, realPath)
    for (const { children } of tokens) {
      for (const token of children ?? []) {
        const link = token.type === 'link_open' ? siteLink(page, token.attrGet('href') ?? '') : undefined
        if (link === undefined) continue
        token.attrSet('href', link)
        if (link.startsWith('.')) token.attrSet('target', '_self') // no page: VitePress leaves it to the browser
      }
    }
  })
}

/** Makes markdown-it leave out comments, since the site shows HTML as text: `<folder>` is no element. */
export function withoutComments(md: MarkdownRenderer): void {
  md.core.ruler.before('normalize', 'without-comments', (state) => {
    state.src = state.src.replaceAll(/^<!-- .*? -->$/gm, '')
  })
}

/** Copies the linked files into the built site. A folder gets a page that lists its files. */
export function copyLinkedFiles(site: string): void {
  for (const path of linked) {
    const copy = join(site, FILES, path)
    mkdirSync(dirname(copy), { recursive: true })
    cpSync(join(ROOT, path), copy, { recursive: true })
    if (isFolder(copy)) writeFileSync(join(copy, 'index.html'), folderPage(path))
  }
}

function isFolder(path: string): boolean {
  return statSync(path).isDirectory()
}

function folderPage(path: string): string {
  const items = readdirSync(join(ROOT, path), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => posix.relative(join(ROOT, path), join(entry.parentPath, entry.name)))
    .sort()
    .map((name) => `<li><a href="./${name}">${name}</a></li>`)
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>${path}</title>
<style>body { font: 16px/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 45rem; padding: 0 1rem }</style>
<h1>${path}</h1><ul>${items.join('')}</ul></html>`
}
