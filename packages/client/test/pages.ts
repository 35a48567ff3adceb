/** Pages of a browser with the client, which is bundled as an application bundles it. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import type { Test } from 'tap'
import type { ConnectOptions, Hub as Client, HubEvent, HubState, SubscribeOptions } from 'fanfare-client'

/** The globals of the pages. */
declare global {
  interface Window {
    client: Client
    received: HubEvent[]
    states: HubState[]
    /** The codes of errors. */
    errors: string[]
    /** @param tokens instead of `token`: the client gets each once, and the last one from then on */
    begin(url: string, options: ConnectOptions, tokens?: string[]): void
    follow(patterns: string | string[], options: SubscribeOptions): void
  }
}

/** The page's own script. It is text: functions of a test are compiled with helpers that a page does not have. */
const SCRIPT = `
  Object.assign(window, { received: [], states: [], errors: [] })
  window.begin = (url, options, tokens) => {
    const token = tokens && (() => Promise.resolve(tokens.length > 1 ? tokens.shift() : tokens[0]))
    window.client = connect(url, token ? { ...options, token } : options)
  }
  window.follow = (patterns, options) =>
    window.client.subscribe(patterns, (event) => window.received.push(event), {
      onState: (state) => window.states.push(state),
      onError: (error) => window.errors.push(error.code),
      ...options,
    })
  document.title = 'ready'`

export const ENTRY = fileURLToPath(new URL('../src/index.ts', import.meta.url))

/** Bundles the client for browsers. Returns the files by name. */
async function bundle(input: string): Promise<Map<string, string>> {
  const build = await rolldown({
    input,
    platform: 'browser',
    transform: { define: { 'process.env.NODE_ENV': '"development"' } },
  })
  const { output } = await build.generate({ format: 'esm', minify: true, entryFileNames: 'client.js' })
  return new Map(output.flatMap((file) => (file.type === 'chunk' ? [[file.fileName, file.code]] : [])))
}

/**
 * Serves a page. Returns its URL.
 * @param entry the page's module; default: a module with `begin` and `follow`
 */
export async function servePages(t: Test, entry?: string): Promise<string> {
  const files = await bundle(entry ?? ENTRY)
  const page =
    '<!doctype html><title>a page</title><link rel="icon" href="data:,"><script type="module">' +
    (entry === undefined
      ? `import { connect } from './client.js'; ${SCRIPT}</script>`
      : "import './client.js'</script>")
  const server = createServer(({ url = '/' }, response) => {
    const code = files.get(url.slice(1))
    response.setHeader('content-type', code === undefined ? 'text/html' : 'text/javascript')
    response.end(code ?? page)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}
