/**
 * Wraps the prose of Markdown files at 120 columns: prettier would also pad every table. Only paragraphs and list items
 * with a longer line change. Tables, code, headings, HTML and definitions of links stay as they are.
 *
 * `tsx scripts/wrap.ts` writes the files. With `--check` it writes nothing, and fails when a line is too long.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const COLUMNS = 120
const FOLDERS = ['docs', 'examples', 'test/fixtures']

/** The marks of quotes, and of a list item. */
const PREFIX = /^(\s*(?:>\s?)*)((?:[-*+]|\d{1,9}[.)])\s+(?:\[[ x]\]\s+)?)?/
/** A line that is no prose: a table, a heading, HTML, a rule, or the definition of a link. */
const OTHER = /^\s*(?:>\s?)*(?:\||#{1,6}\s|<|(?:[-*_]\s*){3,}$|=+\s*$|\[[^\]]+\]:)/
/** A word, in which a code span counts as a word. */
const WORD = /(?:(`+)(?!`).*?(?<!`)\1(?!`)|\S)+/g
/** A word that would begin another block at the start of a line. */
const MARK = /^(?:[-+*=]+|\d{1,9}[.)]|#{1,6})$|^[>|<:]/

/** Returns a Markdown text with wrapped prose. */
export function wrapProse(text: string): string {
  const wrapped: string[] = []
  let paragraph: string[] = []
  let fence: string | undefined
  let isOther = false // in front matter or in HTML, until an empty line
  const flush = () => {
    wrapped.push(...fill(paragraph))
    paragraph = []
  }
  for (const line of text.split('\n')) {
    const mark = /^\s*(?:>\s?)*(?:(?:[-*+]|\d{1,9}[.)])\s+)?(```+|~~~+)/.exec(line)?.[1]
    if (line.trim() === '') isOther = false
    else if (fence === undefined && paragraph.length === 0 && /^(?:<|---$)/.test(line)) isOther = true
    const isProse = fence === undefined && mark === undefined && !isOther && line.trim() !== '' && !OTHER.test(line)
    if (!isProse || PREFIX.exec(line)?.[2] !== undefined) flush()
    if (isProse) paragraph.push(line)
    else wrapped.push(line)
    if (fence === undefined) fence = mark
    else if (mark?.startsWith(fence)) fence = undefined
  }
  flush()
  return wrapped.join('\n')
}

/** Wraps the lines of a paragraph, if one is too long. */
function fill(lines: readonly string[]): readonly string[] {
  const hasBreak = lines.some((line) => / {2}$|\\$/.test(line))
  if (hasBreak || lines.every((line) => line.length <= COLUMNS)) return lines
  const [, quotes = '', marker = ''] = PREFIX.exec(lines[0]!)!
  const [first = '', ...others] = lines.map((line) => line.slice(PREFIX.exec(line)![1]!.length))
  const words = [first.slice(marker.length), ...others].join(' ').match(WORD) ?? []
  const filled: string[] = []
  let line = `${quotes}${marker}${words[0]!}`
  for (const word of words.slice(1)) {
    if (line.length + 1 + word.length <= COLUMNS || MARK.test(word)) line += ` ${word}`
    else {
      filled.push(line)
      line = `${quotes}${' '.repeat(marker.length)}${word}`
    }
  }
  return [...filled, line]
}

/** Returns the paths of the Markdown files whose prose is wrapped. */
function files(): string[] {
  const isMarkdown = (path: string) => path.endsWith('.md')
  const inFolder = (folder: string) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => isMarkdown(path) && !path.includes('node_modules'))
      .map((path) => join(folder, path))
  return [
    ...readdirSync(ROOT).filter(isMarkdown),
    ...FOLDERS.flatMap(inFolder),
    ...readdirSync(join(ROOT, 'packages')).map((name) => join('packages', name, 'README.md')),
  ]
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const path of files()) {
    const text = readFileSync(join(ROOT, path), 'utf8')
    const wrapped = wrapProse(text)
    if (wrapped === text) continue
    if (!process.argv.includes('--check')) writeFileSync(join(ROOT, path), wrapped)
    else {
      console.error(`${path} has prose of more than ${COLUMNS} columns: npm run format`)
      process.exitCode = 1
    }
  }
}
