/** The configurations of the proxies agree with the settings of the hub, and with each other. */
import t from 'tap'
import { loadSettings } from '../../../src/settings.js'
import { SECRET } from '../../helper/token.js'
import { readText } from '../files.js'

const { hub } = loadSettings({ FANFARE_JWT_SECRET: SECRET })
/** The time after which Fastify's server closes an idle connection (its option `keepAliveTimeout`), in milliseconds. */
const KEEP_ALIVE = 72_000

interface Times {
  /** How long the proxy waits for the hub to send. */
  stream: number
  /** How long it waits for the next part of a body. */
  upload: number
  /** After what time it closes an idle connection to the hub, if that is written down. */
  idle?: number
}

/** Returns the numbers that a pattern finds, in milliseconds. */
function seconds(file: string, pattern: RegExp): number {
  const found = [...readText(`deploy/${file}`).matchAll(pattern)].map(([, digits]) => Number(digits) * 1_000)
  if (found.length === 0) throw new Error(`${file} has no ${String(pattern)}`)
  return Math.min(...found)
}

const TIMES: Record<string, Times> = {
  'nginx.conf': {
    stream: seconds('nginx.conf', /^ *proxy_read_timeout (\d+)s;/gm),
    upload: seconds('nginx.conf', /^ *client_body_timeout (\d+)s;/gm),
    idle: seconds('nginx.conf', /^ *keepalive_timeout (\d+)s;/gm),
  },
  // Caddy has no limits of its own for bodies in either direction
  Caddyfile: { stream: Infinity, upload: Infinity, idle: seconds('Caddyfile', /^\s*keepalive (\d+)s$/gm) },
  'haproxy.cfg': {
    stream: seconds('haproxy.cfg', /^ *timeout server (\d+)s/gm),
    upload: seconds('haproxy.cfg', /^ *timeout client (\d+)s/gm),
  },
  'apache.conf': {
    stream: seconds('apache.conf', /^ *ProxyPass .* timeout=(\d+) /gm),
    upload: seconds('apache.conf', /^Timeout (\d+)$/gm),
    idle: seconds('apache.conf', /^ *ProxyPass .* ttl=(\d+) /gm),
  },
}

for (const [file, { stream, upload, idle }] of Object.entries(TIMES)) {
  await t.test(file, (t) => {
    t.ok(stream > 2 * hub.heartbeat, 'waits longer than the hub is silent')
    t.ok(upload > hub.uploadIdle, 'waits longer than a publisher may be silent')
    t.ok((idle ?? 0) < KEEP_ALIVE, 'closes an idle connection before the hub does')
    t.match(readText(`deploy/${file}`), 'FANFARE_TRUST_PROXY=1', 'says what the hub needs')
    t.end()
  })
}
