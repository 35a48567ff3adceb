/** Runs the blocks of a page of the docs against a hub. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { rolldown } from 'rolldown'
import type { Test } from 'tap'
import { openPage } from '../browser/page.js'
import { poll, within } from '../helper/deadline.js'
import { freePort } from '../helper/free-port.js'
import { startHub, type Hub } from '../helper/process.js'
import { installSdks, linkSdks, SDK_NAMES } from '../helper/ai-sdks.js'
import { blocksOf, missingLine, type Block } from './blocks.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** The time limit of a command, in milliseconds. Go compiles its standard library first. */
const COMMAND = 180_000
/** The packages that the blocks import. */
const PACKAGES = ['fastify', 'react', 'react-dom', 'scheduler', 'loose-envify', 'js-tokens']

/** What the pages ask the reader to do, and what the test has done by itself. */
export const SETUP = [
  'npm ci && npm start',
  "FANFARE_CORS_ORIGINS='http://127.0.0.1:8080' npm start",
  'python3 -m http.server 8080 --bind 127.0.0.1',
]

/** Programs other than Node.js and the shell, and the packages of Debian that have them. */
export const PROGRAMS = { curl: 'curl', python3: 'python3', php: 'php-cli', go: undefined, nginx: 'nginx' } as const
export type Program = keyof typeof PROGRAMS | 'chromium'

/** Returns the programs that a page needs. */
export function needs(path: string): Program[] {
  const blocks = blocksOf(path).filter(({ words }) => !words.includes('setup'))
  const commands = blocks.filter(({ language }) => language === 'sh').map(({ code }) => code)
  const isNginx = blocks.some(({ language }) => language === 'nginx')
  const isPage = blocks.some(({ words }) => words.includes('page') || words.includes('open'))
  const programs = Object.keys(PROGRAMS) as (keyof typeof PROGRAMS)[]
  return [
    ...programs.filter((name) => commands.some((code) => new RegExp(`(^|[ (|])${name} `, 'm').test(code))),
    ...(isNginx ? (['nginx'] as const) : []),
    ...(isPage ? (['chromium'] as const) : []),
  ]
}

/** Whether the blocks of a page import packages of AI SDKs. */
export function usesSdks(path: string): boolean {
  return blocksOf(path).some(({ code }) => SDK_NAMES.some((name) => code.includes(`from '${name}`)))
}

interface Background {
  output(): string
}

/** A reader who follows a page: a folder, a shell and a browser. */
class Reader {
  readonly #t: Test
  readonly #hub: Hub
  readonly #folder: string
  readonly #pagePort: number
  readonly #browser: Browser | undefined
  #last = ''
  #background: Background | undefined
  #server: ChildProcess | undefined
  #page: Page | undefined

  constructor(t: Test, hub: Hub, folder: string, pagePort: number, browser: Browser | undefined) {
    this.#t = t
    this.#hub = hub
    this.#folder = folder
    this.#pagePort = pagePort
    this.#browser = browser
  }

  /** Does what a block says. Throws if it fails. */
  async follow(block: Block): Promise<void> {
    const { language, words, file } = block
    const code = this.#translate(block.code)
    if (file !== undefined) {
      writeFileSync(join(this.#folder, file), code)
      if (words.includes('page')) await this.#open(file)
      return
    }
    if (words.includes('setup')) return
    if (language === 'sh') return this.#run(code, words[0])
    if (language === 'json') return void JSON.parse(code)
    if (language === 'nginx') return this.#checkNginx(code)
    if (words.includes('open')) return this.#visit(code.trim())
    if (words.length > 0) return this.#expect(code, words[0]!)
  }

  /** Puts the ports of the test in place of those of the page. */
  #translate(code: string): string {
    return code
      .replaceAll('127.0.0.1:3000', `127.0.0.1:${this.#hub.port}`)
      .replaceAll(/\b8080\b/g, String(this.#pagePort))
  }

  async #run(code: string, word: string | undefined): Promise<void> {
    if (word === 'background') return this.#subscribe(code)
    if (word === 'server') return this.#serve(code)
    // variables last from block to block, as in one terminal
    const { child, output } = this.#start(`${code}\nexport -p > "$STATE"`)
    const [exitCode] = (await within(once(child, 'close'), () => `the command does not end: ${output()}`, COMMAND)) as [
      number | null,
    ]
    this.#last = output()
    if ((exitCode !== 0) !== (word === 'fails')) throw new Error(`exit code ${exitCode}: ${output()}`)
  }

  /** Starts a command. It ends with the test. */
  #start(code: string): { child: ChildProcess; output: () => string } {
    // `env -i`: without the module loader of the test runner
    const variables = Object.entries(this.#environment()).map(([name, value]) => `${name}=${value}`)
    const child = spawn('env', ['-i', ...variables, 'sh', '-e', '-c', `set -a; . "$STATE"\n${code}`], {
      cwd: this.#folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // it ends with its shell
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    }
    this.#t.teardown(() => end(child))
    return { child, output: () => output }
  }

  /** Starts a command that subscribes, and waits for its stream. */
  async #subscribe(code: string): Promise<void> {
    const before = await this.#streams()
    const { child, output } = this.#start(code)
    this.#background = { output }
    await poll(
      async () => {
        if (child.exitCode !== null) throw new Error(`the command has ended: ${output()}`)
        return (await this.#streams()) > before ? true : undefined
      },
      () => `the command opens no stream: ${output()}`,
      COMMAND,
    )
  }

  /** Starts a server in the place of an earlier one, and waits until it answers. */
  async #serve(code: string): Promise<void> {
    if (this.#server) {
      const exited = once(this.#server, 'close')
      end(this.#server)
      await exited
    }
    const { child, output } = this.#start(code)
    this.#server = child
    await poll(
      async () => {
        if (child.exitCode !== null) throw new Error(`the server has ended: ${output()}`)
        return fetch(`http://127.0.0.1:${this.#pagePort}/`).catch(() => undefined)
      },
      () => `the server does not answer: ${output()}`,
    )
  }

  async #streams(): Promise<number> {
    const { clients } = (await (await fetch(`${this.#hub.url}/status`)).json()) as { clients: number }
    return clients
  }

  #environment(): Record<string, string> {
    return {
      PATH: `${join(this.#folder, 'bin')}:${process.env['PATH'] ?? ''}`,
      HOME: process.env['HOME'] ?? this.#folder,
      PORT: String(this.#hub.port),
      STATE: join(this.#folder, 'state'),
      NO_COLOR: '1',
      // Go compiles its standard library at first, which takes 30 s of CPU with optimisation and cgo
      CGO_ENABLED: '0',
      GOFLAGS: `'-gcflags=all=-N -l -dwarf=false' '-ldflags=-w -s'`,
    }
  }

  async #open(file: string): Promise<void> {
    const { TOKEN } = Object.fromEntries(
      [...readFileSync(join(this.#folder, 'state'), 'utf8').matchAll(/^export (\w+)=['"](.*)['"]$/gm)].map(
        ([, name, value]) => [name, value],
      ),
    ) as { TOKEN?: string }
    if (TOKEN === undefined) throw new Error('there is no token')
    await this.#visit(`http://127.0.0.1:${this.#pagePort}/${file}#${TOKEN}`)
  }

  async #visit(url: string): Promise<void> {
    if (this.#browser === undefined) throw new Error('there is no browser')
    this.#page = await openPage(this.#t, this.#browser, url)
  }

  async #expect(expected: string, word: string): Promise<void> {
    const page = this.#page
    const output = async (): Promise<string> => {
      if (word === 'output') return this.#last
      if (word === 'printed') return this.#background?.output() ?? ''
      return (await page?.locator('body').innerText()) ?? '(no page)'
    }
    let seen = ''
    let missing: string | undefined
    const isThere = async (): Promise<true | undefined> => {
      seen = await output()
      missing = missingLine(expected, seen)
      return missing === undefined ? true : undefined
    }
    await poll(isThere, () => `"${missing}" is missing in:\n${seen}`, word === 'output' ? 0 : undefined)
  }

  /** Checks directives of the context `http` or `server`. */
  #checkNginx(code: string): void {
    const directives = /^\s*(server|upstream|map)\b/m.test(code) ? code : `server { listen 127.0.0.1:1; ${code} }`
    const file = join(this.#folder, 'nginx.conf')
    const text = `pid ${this.#folder}/nginx.pid; events {} http { access_log off; ${directives} }`
    writeFileSync(file, text.replaceAll(/listen 443 ssl;|http2 on;/g, 'listen 127.0.0.1:1;'))
    const { status, stderr } = spawnSync('nginx', ['-t', '-e', 'stderr', '-c', file], { encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr)
  }
}

/** Ends a command and everything that it has started. */
function end(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, 'SIGKILL')
  } catch {
    // it has ended already
  }
}

/** Returns a folder in which `npx fanfare` is the built command, and the packages are installed. */
function workFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-docs-'))
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  mkdirSync(join(folder, 'bin'))
  mkdirSync(join(folder, 'node_modules'))
  const npx = join(folder, 'bin/npx')
  writeFileSync(
    npx,
    `#!/bin/sh\n[ "$1" = fanfare ] || { echo "no command: $1" >&2; exit 1; }\nshift\nexec node '${ROOT}dist/main.js' "$@"\n`,
  )
  chmodSync(npx, 0o755)
  writeFileSync(join(folder, 'state'), '')
  symlinkSync(ROOT, join(folder, 'node_modules/fanfare'))
  symlinkSync(join(ROOT, 'packages/client'), join(folder, 'node_modules/fanfare-client'))
  for (const name of PACKAGES) {
    const path = join(ROOT, 'node_modules', name)
    if (existsSync(path)) symlinkSync(path, join(folder, 'node_modules', name))
  }
  return folder
}

/** Serves the files of the folder as Vite does in development: modules of JSX are compiled. */
async function serveFolder(t: Test, folder: string): Promise<number> {
  const port = await freePort()
  const server = createServer((request, response) => {
    const name = (request.url ?? '/').slice(1).replace(/\?.*/, '')
    const type = { html: 'text/html', js: 'text/javascript', jsx: 'text/javascript' }[name.split('.').pop() ?? '']
    const path = join(folder, name)
    if (type === undefined || !existsSync(path)) return void response.writeHead(404).end()
    response.setHeader('content-type', type)
    const body = name.endsWith('.jsx') ? bundle(path) : Promise.resolve(readFileSync(path))
    void body.then(
      (text) => response.end(text),
      (err: unknown) => response.writeHead(500).end(String(err)),
    )
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  return port
}

async function bundle(input: string): Promise<string> {
  const build = await rolldown({
    input,
    platform: 'browser',
    resolve: { symlinks: false },
    transform: { define: { 'process.env.NODE_ENV': '"production"' } },
  })
  const { output } = await build.generate({ format: 'esm', codeSplitting: false })
  return output[0].code
}

/**
 * Runs all blocks of a page, in their order, with a hub as `npm start` starts it.
 * @throws at the first block that fails, with its line
 */
export async function runPage(t: Test, path: string, browser: Browser | undefined): Promise<void> {
  const folder = workFolder(t)
  if (usesSdks(path)) linkSdks(folder, installSdks()!)
  const isServed = blocksOf(path).some(({ words }) => words.includes('server')) // by the page's own server
  const pagePort = isServed ? await freePort() : await serveFolder(t, folder)
  const hub = await startHub(t, {
    FANFARE_JWT_SECRET: '',
    FANFARE_CLOCK_TOLERANCE: '',
    FANFARE_HEARTBEAT: '2s', // `doctor` waits for one
    FANFARE_LOG: `file:${join(folder, 'data')}`,
    FANFARE_CORS_ORIGINS: `http://127.0.0.1:${pagePort}`,
  })
  const reader = new Reader(t, hub, folder, pagePort, browser)
  if (!path.endsWith('start.md')) {
    const [token] = blocksOf(join(ROOT, 'docs/start.md')).filter(({ code }) => code.includes('export TOKEN='))
    await reader.follow(token!)
  }
  for (const block of blocksOf(path)) {
    const title = `line ${block.line}: ${[block.language, ...block.words, block.file ?? ''].join(' ').trim()}`
    try {
      await reader.follow(block)
    } catch (err) {
      t.fail(`${title}: ${err instanceof Error ? err.message : String(err)}`)
      return
    }
    t.pass(title)
  }
}
