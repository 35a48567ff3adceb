/** The complete application of docs/embedding.md as a process, started exactly as in the docs. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { poll, within } from './deadline.js'
import { freePort } from './free-port.js'
import { SECRET } from './token.js'

const DOCS = fileURLToPath(new URL('../../docs/embedding.md', import.meta.url))

/** Returns the first JavaScript block below a heading of the docs. */
function snippet(heading: string): string {
  const [, below = ''] = readFileSync(DOCS, 'utf8').split(`\n## ${heading}\n`)
  const [, code] = /```js\n(.*?)\n```/s.exec(below) ?? []
  if (code === undefined) throw new Error(`there is no JavaScript below ${heading}`)
  return code
}

export class Application {
  readonly url: string
  readonly #folder: string
  readonly #port: number
  #process: ChildProcess | undefined
  #output = ''

  constructor(folder: string, port: number) {
    this.#folder = folder
    this.#port = port
    this.url = `http://127.0.0.1:${port}`
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, ['app.mjs'], {
      cwd: this.#folder,
      env: { PATH: process.env['PATH'], JWT_SECRET: SECRET, PORT: String(this.#port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#process = child
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (this.#output += String(text)))
    await poll(
      async () =>
        child.exitCode === null
          ? await fetch(`${this.url}/realtime/status`).then(
              ({ ok }) => ok || undefined,
              () => undefined,
            )
          : false,
      () => this.#output,
    )
    if (child.exitCode !== null) throw new Error(this.#output)
  }

  /** Stops it as a service manager does. Returns the exit code. */
  async stop(): Promise<unknown> {
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode
    child.kill('SIGTERM')
    const [code] = (await within(once(child, 'exit'), () => this.#output)) as [unknown]
    return code
  }

  get output(): string {
    return this.#output
  }

  /** Writes a file of the application's folder. */
  write(name: string, content: string): void {
    writeFileSync(join(this.#folder, name), content)
  }

  post(path: string, headers: Record<string, string>, body?: object): Promise<Response> {
    return fetch(`${this.url}${path}`, {
      method: 'POST',
      headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    })
  }

  /** Logs in as the page does. Returns the cookies of the application and of the hub. */
  async logIn(user: string): Promise<{ own: string; hub: string }> {
    const own = cookieOf(await this.post('/login', {}, { user }))
    const { token } = (await (await fetch(`${this.url}/token`, { headers: { cookie: own } })).json()) as {
      token: string
    }
    return { own, hub: cookieOf(await this.post('/realtime/sessions', { authorization: `Bearer ${token}` })) }
  }
}

function cookieOf(response: Response): string {
  return response.headers.get('set-cookie')!.split(';')[0]!
}

/** Starts the application. It is stopped when the test is over. */
export async function startApplication(t: Test): Promise<Application> {
  const folder = t.testdir({ 'app.mjs': snippet('A complete application') })
  const application = new Application(folder, await freePort())
  t.teardown(() => application.stop())
  await application.start()
  return application
}
