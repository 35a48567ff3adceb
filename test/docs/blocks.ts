/**
 * The blocks of code of a page, and what a test does with each. A word after the language decides; git hosts and the
 * site ignore it.
 *
 * | block | test |
 * | --- | --- |
 * | `sh` | runs it; exit code 0, or another one with `fails` |
 * | `sh background` | starts it; it runs until the test of the page ends |
 * | `sh server` | starts it in the place of an earlier one; it serves port 8080 until the test of the page ends |
 * | `sh setup` | the test itself has done this: see `SETUP` in page.ts |
 * | any language, `file=<name>` | writes the file, which a later block has to run or serve |
 * | `html file=<name> page` | opens the file in a browser |
 * | `text output`, `text printed` | the last `sh` has printed these lines; the last `sh background` prints them |
 * | `text open` | opens the URL in a browser, in a tab of its own |
 * | `text shows` | the page that is open in the browser shows these lines |
 * | `nginx` | checks the syntax, with nginx itself |
 * | `json` | parses it |
 * | `text` | nothing |
 */
import { readFileSync } from 'node:fs'

export interface Block {
  language: string
  /** The words after the language, without `file=`. */
  words: string[]
  /** The name of the file to write. */
  file: string | undefined
  code: string
  /** The line of the page where the block begins. */
  line: number
}

/** Returns the blocks of a page in their order. */
export function blocksOf(path: string): Block[] {
  const text = readFileSync(path, 'utf8')
  return [...text.matchAll(/^( *)```(.*)\n([^]*?)^ *```$/gm)].map(
    ({ 1: indent = '', 2: info = '', 3: code = '', index }) => {
      const [language = '', ...words] = info.trim().split(/\s+/)
      return {
        language,
        words: words.filter((word) => !word.startsWith('file=')),
        file: words.find((word) => word.startsWith('file='))?.slice('file='.length),
        code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
        line: text.slice(0, index).split('\n').length,
      }
    },
  )
}

/** Returns why a block of a page would not be tested, or `undefined`. */
export function escape(block: Block, all: readonly Block[], setup: readonly string[]): string | undefined {
  const { language, words, file, code } = block
  const isOne = (...known: string[]) => words.length === 0 || (words.length === 1 && known.includes(words[0]!))
  if (file !== undefined) {
    if (words.includes('page')) return undefined
    const isUsed = all.some((other) => other !== block && other.language !== 'text' && other.code.includes(file))
    return isUsed ? undefined : `no other block uses ${file}`
  }
  switch (language) {
    case 'sh':
      if (words.includes('setup')) return setup.includes(code.trim()) ? undefined : 'this is no known setup'
      return isOne('background', 'server', 'fails') ? undefined : `unknown: ${words.join(' ')}`
    case 'text':
      return isOne('open', 'output', 'printed', 'shows') ? undefined : `unknown: ${words.join(' ')}`
    case 'json':
    case 'nginx':
      return isOne() ? undefined : `unknown: ${words.join(' ')}`
    default:
      return `nothing runs a block of the language ${language === '' ? '(none)' : language}`
  }
}

/** Matches what differs from run to run: cursors, times, and anything in place of `…`. */
const VARIABLE: [from: RegExp, to: string][] = [
  [/…/g, '.*'],
  [/\b[a-z0-9]{8}-\d+\b/g, '[a-z0-9]{8}-\\d+'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\\\.\d+)?Z/g, '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?Z'],
  [/\b\d\d:\d\d:\d\d\\\.\d{3}\b/g, '\\d\\d:\\d\\d:\\d\\d\\.\\d{3}'],
  [/^retry: \d+$/g, 'retry: \\d+'],
]

/** Returns the first expected line that is missing in the output, where the lines have to be in this order. */
export function missingLine(expected: string, output: string): string | undefined {
  const lines = output.split(/\r?\n/)
  let next = 0
  for (const line of expected.trimEnd().split('\n')) {
    const literal = line.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
    const pattern = new RegExp(`^${VARIABLE.reduce((text, [from, to]) => text.replaceAll(from, to), literal)}$`)
    const found = lines.findIndex((candidate, index) => index >= next && pattern.test(candidate))
    if (found === -1) return line
    next = found + 1
  }
  return undefined
}
