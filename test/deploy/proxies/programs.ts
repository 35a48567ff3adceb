/** The proxies of deploy/, each with the file that ships: only ports, paths and the address of the hub are others. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { findOrInstall } from '../../helper/apt.js'
import { poll } from '../../helper/deadline.js'
import { freePort } from '../../helper/free-port.js'
import { accepts, endServer } from '../../helper/server-program.js'
import { readText } from '../files.js'
import type { Certificate } from './certificate.js'

/** A place that a proxy runs in. */
interface Site {
  /** The folder of its files. */
  folder: string
  /** The ports of HTTPS, of HTTP, and of its own purposes. */
  port: number
  plainPort: number
  ownPort: number
  /** The address and port of the hub. */
  hub: string
  certificate: Certificate
}

type Change = readonly [from: string, to: string]

export interface Program {
  name: string
  /** The file in deploy/. */
  file: string
  debianPackage: string
  /** How many streams one connection with HTTP/2 carries at once. */
  streams: number
  /** What differs in a test from the file that ships. */
  changes(site: Site): Change[]
  /** The command line that runs it in the foreground. */
  command(path: string, file: string, site: Site): string[]
  /** Makes it read its file again. */
  reload(path: string, file: string, child: ChildProcess): void
  /** A further file that it starts with, instead of the one that ships. */
  main?(file: string, site: Site): string
}

/** A running proxy. */
export interface Proxy {
  /** The port of HTTPS. */
  readonly port: number
  /** The port of HTTP. */
  readonly plainPort: number
  /** Makes it read its file again. Resolves when its new processes run. */
  reload(): Promise<void>
  /** Its output and its log files so far. */
  logs(): string
}

const nginx: Program = {
  name: 'nginx',
  file: 'nginx.conf',
  debianPackage: 'nginx-light',
  streams: 200,
  changes: ({ folder, port, plainPort, hub, certificate }) => [
    ['user www-data;', process.getuid?.() === 0 ? 'user root;' : ''],
    ['/run/nginx.pid', join(folder, 'nginx.pid')],
    ['/var/log/nginx/error.log', join(folder, 'error.log')],
    ['/var/log/nginx/access.log', join(folder, 'access.log')],
    [
      'http {',
      `http { client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; uwsgi_temp_path ${folder}/uwsgi;
       fastcgi_temp_path ${folder}/fastcgi; scgi_temp_path ${folder}/scgi;`,
    ],
    ['listen 80;', `listen 127.0.0.1:${plainPort};`],
    ['listen 443 ssl', `listen 127.0.0.1:${port} ssl`],
    ['127.0.0.1:3000', hub],
    ['/etc/ssl/fanfare/cert.pem', certificate.cert],
    ['/etc/ssl/fanfare/key.pem', certificate.key],
  ],
  command: (path, file, { folder }) => [path, '-e', join(folder, 'error.log'), '-c', file, '-g', 'daemon off;'],
  reload: (_path, _file, child) => void child.kill('SIGHUP'),
}

const caddy: Program = {
  name: 'Caddy',
  file: 'Caddyfile',
  debianPackage: 'caddy',
  streams: 200,
  changes: ({ port, plainPort, ownPort, hub, certificate }) => [
    ['admin localhost:2019', `admin localhost:${ownPort}`],
    ['http_port 80', `http_port ${plainPort}`],
    ['https_port 443', `https_port ${port}`],
    ['127.0.0.1:3000', hub],
    ['/etc/ssl/fanfare/cert.pem', certificate.cert],
    ['/etc/ssl/fanfare/key.pem', certificate.key],
  ],
  command: (path, file) => [path, 'run', '--config', file, '--adapter', 'caddyfile'],
  reload(path, file) {
    const options = ['reload', '--force', '--config', file, '--adapter', 'caddyfile']
    const { status, stderr } = spawnSync(path, options, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`caddy reload: ${stderr}`)
  },
}

const haproxy: Program = {
  name: 'HAProxy',
  file: 'haproxy.cfg',
  debianPackage: 'haproxy',
  streams: 200,
  changes: ({ port, plainPort, hub, certificate }) => [
    ['maxconn 20000', 'maxconn 2000'], // HAProxy refuses to start if it may not open twice as many descriptors
    ['bind :80', `bind 127.0.0.1:${plainPort}`],
    ['bind :443', `bind 127.0.0.1:${port}`],
    ['127.0.0.1:3000', hub],
    ['/etc/ssl/fanfare/hub.pem', certificate.both],
  ],
  command: (path, file) => [path, '-W', '-db', '-f', file],
  reload: (_path, _file, child) => void child.kill('SIGUSR2'),
}

/** The modules that Debian enables by itself, and those of the comment in apache.conf. */
const MODULES = ['mpm_event', 'authz_core', 'alias', 'env', 'mime', 'reqtimeout', 'setenvif', 'socache_shmcb']
const ENABLED = ['ssl', 'http2', 'headers', 'rewrite', 'proxy', 'proxy_http']

const apache: Program = {
  name: 'Apache',
  file: 'apache.conf',
  debianPackage: 'apache2',
  streams: 5, // of the 6 requests with which mod_http2 begins: a publish needs one too
  changes: ({ port, plainPort, ownPort, hub, certificate }) => [
    ['127.0.0.1:3001', `127.0.0.1:${ownPort}`], // before the address of the hub, which may begin with it
    ['*:80>', `127.0.0.1:${plainPort}>`],
    ['*:443>', `127.0.0.1:${port}>`],
    ['127.0.0.1:3000', hub],
    ['/etc/ssl/fanfare/cert.pem', certificate.cert],
    ['/etc/ssl/fanfare/key.pem', certificate.key],
  ],
  command: (path, file, { folder }) => [path, '-D', 'FOREGROUND', '-d', folder, '-f', file],
  reload: (_path, _file, child) => void child.kill('SIGUSR1'),
  main(file, { folder, port, plainPort }) {
    const modules = [...MODULES, ...ENABLED].flatMap((name) =>
      ['load', 'conf'].map((part) => `/etc/apache2/mods-available/${name}.${part}`).filter((path) => existsSync(path)),
    )
    return [
      `DefaultRuntimeDir ${folder}`,
      `PidFile ${folder}/apache.pid`,
      `ErrorLog ${folder}/error.log`,
      'User www-data',
      'Group www-data',
      'ServerName localhost',
      `Listen 127.0.0.1:${port}`,
      `Listen 127.0.0.1:${plainPort}`,
      ...modules.map((path) => `Include ${path}`),
      `Include ${file}`,
    ].join('\n')
  },
}

export const PROGRAMS: readonly Program[] = [nginx, caddy, haproxy, apache]

const NAMES: Record<string, string> = { 'nginx-light': 'nginx' }

/** Finds a program, or installs it. In CI, a missing program fails the test. */
export function findProgram(t: Test, { debianPackage }: Program): string | undefined {
  const path =
    process.platform === 'linux' ? findOrInstall([NAMES[debianPackage] ?? debianPackage], debianPackage) : undefined
  if (path === undefined && process.env['CI'] !== undefined) t.fail(`there is no ${debianPackage}`)
  return path
}

/** Replaces each text of the file. @throws Error if the file does not have it */
function substitute(file: string, changes: Change[]): string {
  return changes.reduce(
    (text, [from, to]) => {
      if (!text.includes(from)) throw new Error(`deploy/${file} has no ${from}`)
      return text.replaceAll(from, to)
    },
    readText(`deploy/${file}`),
  )
}

/** Starts a proxy in front of a hub. It ends when the test is over. */
export async function startProxy(
  t: Test,
  program: Program,
  path: string,
  { folder, hub, certificate }: Pick<Site, 'folder' | 'hub' | 'certificate'>,
): Promise<Proxy> {
  const [port, plainPort, ownPort] = [await freePort(), await freePort(), await freePort()]
  const site: Site = { folder, port, plainPort, ownPort, hub, certificate }
  const file = join(folder, program.file)
  writeFileSync(file, substitute(program.file, program.changes(site)))
  let first = file
  if (program.main) writeFileSync((first = join(folder, 'main.conf')), program.main(file, site))
  const [command, ...args] = program.command(path, first, site) as [string, ...string[]]
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      XDG_DATA_HOME: folder, // of Caddy
      XDG_CONFIG_HOME: folder,
      APACHE_LOG_DIR: folder, // of Apache
      APACHE_RUN_DIR: folder,
      APACHE_LOCK_DIR: folder,
    },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => (output = (output + part).slice(-10_000)))
  t.teardown(() => endServer(child))
  const isUp = async () => {
    if (child.exitCode !== null) throw new Error(`${program.name} has ended: ${output}`)
    return accepts(port)
  }
  await poll(isUp, () => `${program.name} does not listen: ${output}`)
  return {
    port,
    plainPort,
    logs: () => {
      const files = readdirSync(folder).filter((name) => name.endsWith('.log'))
      return output + files.map((name) => readFileSync(join(folder, name), 'utf8')).join('')
    },
    async reload() {
      const before = children(child)
      program.reload(path, file, child)
      // Caddy has one process, and has reloaded when its command ends
      const isNew = async () => before.length === 0 || children(child).some((pid) => !before.includes(pid)) || undefined
      await poll(isNew, () => `${program.name} has no new process: ${output}`)
      await poll(isUp, () => `${program.name} does not listen again: ${output}`)
    },
  }
}

/** The process ids of the children of a process, on Linux. */
function children({ pid }: ChildProcess): string[] {
  return readFileSync(`/proc/${pid!}/task/${pid!}/children`, 'utf8').split(' ').filter(Boolean)
}
