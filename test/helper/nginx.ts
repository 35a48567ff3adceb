/** nginx on ports of the loopback interface: with the configuration of the cluster, or with a plain one. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { findOrInstall } from './apt.js'
import { poll } from './deadline.js'
import { freePort } from './free-port.js'
import { accepts, endServer } from './server-program.js'

const INSTALL = 'apt-get install nginx'
const CONFIGURATION = new URL('../../deploy/nginx-cluster.conf', import.meta.url)

const path = findOrInstall(['nginx'], 'nginx')

/** Why the tests that need nginx are skipped, or `false`. In CI they fail instead. */
export const skipNginx: string | false =
  path === undefined && process.env['CI'] === undefined && `there is no nginx: ${INSTALL}`

export interface Nginx {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  readonly port: number
  /** The lines of its access log so far. */
  accessLog(): string
}

/**
 * Starts nginx in front of three hubs. It is killed when the test is over.
 * @param hubs the ports of the hubs
 */
export async function startNginx(t: Test, hubs: readonly [number, number, number]): Promise<Nginx> {
  return launch(t, (folder, port) => {
    const changes: [from: RegExp, to: string][] = [
      [/\/tmp\//g, `${folder}/`],
      [/ listen 8080;/, ` listen 127.0.0.1:${port};`],
      // `resolve` is for the names of containers, and the nginx of Debian is too old for it
      ...hubs.map((hub, n): [RegExp, string] => [
        new RegExp(` server hub${n + 1}:3000 resolve `),
        ` server 127.0.0.1:${hub} `,
      ]),
      [/\/dev\/stdout/, join(folder, 'access.log')],
      [/\/dev\/stderr/, join(folder, 'error.log')],
    ]
    return changes.reduce(
      (written, [from, to]) => {
        if (!written.match(from)) throw new Error(`nginx-cluster.conf has no ${String(from)}`)
        return written.replace(from, to)
      },
      readFileSync(CONFIGURATION, 'utf8'),
    )
  })
}

/**
 * Starts nginx in front of one hub, with its defaults. It is killed when the test is over.
 * @param directives the directives of the location that passes requests to the hub
 */
export async function startPlainNginx(t: Test, hub: number, directives: string): Promise<Nginx> {
  return launch(
    t,
    (folder, port) => `
      pid ${folder}/nginx.pid;
      events {}
      http {
        access_log ${folder}/access.log;
        client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
        uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
        server {
          listen 127.0.0.1:${port};
          location / { proxy_pass http://127.0.0.1:${hub}; ${directives} }
        }
      }`,
  )
}

/** Starts nginx with the configuration that `write` returns for its folder and its port. */
async function launch(t: Test, write: (folder: string, port: number) => string): Promise<Nginx> {
  if (path === undefined) throw new Error(`there is no nginx: ${INSTALL}`)
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-nginx-'))
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, write(folder, port))

  // the processes of the image run as one user: here they do too, also as root
  const settings = `daemon off;${process.getuid?.() === 0 ? ' user root;' : ''}`
  const child = spawn(path, ['-e', join(folder, 'error.log'), '-c', file, '-g', settings], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (part: string) => (output += part))
  t.teardown(async () => {
    await endServer(child)
    rmSync(folder, { recursive: true, force: true })
  })
  await poll(
    async () => {
      if (child.exitCode !== null) throw new Error(`nginx ended: ${output}`)
      return accepts(port)
    },
    () => `nginx does not listen: ${output}`,
  )
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    accessLog: () => readFileSync(join(folder, 'access.log'), 'utf8'),
  }
}
