/** Every block of code of the guides and recipes runs, and prints what the page says. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import t from 'tap'
import { findChromium, startChromium } from '../browser/chromium.js'
import { findOrInstall, findProgram } from '../helper/apt.js'
import { blocksOf, escape } from './blocks.js'
import { installSdks } from '../helper/ai-sdks.js'
import { needs, PROGRAMS, runPage, SETUP, usesSdks, type Program } from './page.js'

/** Programs may have to be installed first, and Go compiles its standard library. */
const TIMEOUT = 400_000
t.setTimeout(TIMEOUT)
const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url))
const pages = [
  ...['README.md', 'start.md', 'comparison.md'],
  ...['guides', 'recipes', 'operating'].flatMap((folder) =>
    readdirSync(join(DOCS, folder)).map((name) => `${folder}/${name}`),
  ),
]

const found = new Map<Program, string | undefined>()
function find(program: Program): string | undefined {
  if (!found.has(program)) found.set(program, look(program))
  return found.get(program)
}

function look(program: Program): string | undefined {
  if (program === 'chromium') return findChromium()
  const debianPackage = PROGRAMS[program]
  // Go takes longer to install than all pages take to run
  return debianPackage === undefined ? findProgram([program]) : findOrInstall([program], debianPackage)
}

/** Returns why a page is skipped, or `false`. In CI only a missing Go skips one. */
function skip(page: string): string | false {
  if (usesSdks(join(DOCS, page)) && installSdks() === undefined) return 'the registry of npm cannot be reached'
  const missing = needs(join(DOCS, page)).filter((program) => find(program) === undefined)
  const isNeeded = process.env['CI'] !== undefined && missing.some((program) => program !== 'go')
  return missing.length > 0 && !isNeeded && `there is no ${missing.join(', ')}`
}

for (const page of pages) {
  const blocks = blocksOf(join(DOCS, page))
  const escaped = blocks.flatMap((block) => {
    const reason = escape(block, blocks, SETUP)
    return reason === undefined ? [] : [`line ${block.line}: ${reason}`]
  })
  t.strictSame(escaped, [], `every block of ${page} is tested`)
}

const running: { browser?: Promise<Browser> } = {}
for (const page of pages) {
  const path = join(DOCS, page)
  if (blocksOf(path).length === 0) continue
  await t.test(page, { skip: skip(page), timeout: TIMEOUT }, async (t2) => {
    const isPage = needs(path).includes('chromium')
    if (isPage) running.browser ??= startChromium(t, find('chromium'))
    await runPage(t2, path, isPage ? await running.browser : undefined)
  })
}
