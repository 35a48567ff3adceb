/** The list of settings. The key of each entry is the option of the plugin. The docs keep this order. */
import { faultOfOrigin, faultOfOrigins } from '../model/origin-list.js'
import { isLogAddress } from '../log/address.js'
import { quote } from '../model/quote.js'
import { isPattern } from '../model/topic.js'
import { DEFAULT_HOST, DEFAULT_PORT, isHost, socketPathOf } from '../server/listen-address.js'
import {
  count,
  countOrOff,
  duration,
  durationOrOff,
  file,
  flag,
  list,
  oneOf,
  optional,
  processesOrAuto,
  setting,
  shortTime,
  size,
  sizeOrAuto,
  someTime,
  text,
  type ValueOf,
} from './setting.js'
import { parseTrust, TRUST } from './trust-proxy.js'

/** Every setting. TypeScript shows the comment of an entry for the option in `Settings` too. */
export const SETTINGS = {
  host: setting(
    {
      variable: 'HOST',
      default: DEFAULT_HOST,
      description:
        'The address to listen on, or the path of a Unix socket: `/run/fanfare.sock` or `unix:<path>`. A host name stands for its first address.',
      expects:
        'an IP address, a host name, or the path of a Unix socket (/run/fanfare.sock, unix:<path>) of about 100 bytes at most',
    },
    (value) => (isHost(value) ? value : undefined),
  ),
  port: setting(
    {
      variable: 'PORT',
      default: DEFAULT_PORT,
      description: 'The port to listen on. 0 means any free port.',
      expects: 'a port, 0 to 65535',
    },
    parsePort,
  ),
  tlsCert: optional(
    file(
      'FANFARE_TLS_CERT',
      'The file of the certificate (PEM) with its whole chain. The hub then speaks TLS, with HTTP/2 and HTTP/1.1 on one port ([TLS](deployment.md#tls)).',
    ),
  ),
  tlsKey: optional(
    file('FANFARE_TLS_KEY', 'The file of the private key (PEM) of the certificate, without a passphrase.'),
  ),
  /** 0: `auto`. */
  workers: processesOrAuto(
    'FANFARE_WORKERS',
    'The number of processes that serve the port together, on one folder. `auto`: one for each processor core.',
  ),
  logLevel: oneOf(
    'LOG_LEVEL',
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    'info',
    'The least severe level that is logged.',
  ),
  /** `memory`, `file:<folder>`, or `nats://<host>:<port>,…`. */
  log: setting(
    {
      variable: 'FANFARE_LOG',
      default: 'file:./data',
      description: 'Where the log keeps its events: in a folder, in memory, or on NATS JetStream ([NATS](nats.md)).',
      expects: 'memory, file:<folder>, or nats://<host>:<port> with further servers separated by commas',
    },
    (value) => (isLogAddress(value) ? value : undefined),
  ),
  durability: oneOf(
    'FANFARE_DURABILITY',
    ['sync', 'commit'],
    'sync',
    'When the hub acknowledges an event. `sync`: after the event is flushed to disk. `commit`: after the operating system has the event, which survives a crash of the process but not a power failure.',
  ),
  retainEvents: count(
    'FANFARE_RETAIN_EVENTS',
    '1000',
    'How many events the log keeps per topic. It may hold up to 50 more for half a second.',
  ),
  retainAge: someTime('FANFARE_RETAIN_AGE', '24h', 'How long the log keeps events.'),
  /** 0: `auto`. */
  retainBytes: sizeOrAuto(
    'FANFARE_RETAIN_BYTES',
    'The maximum size of the log. `auto`: 1GiB, or with `FANFARE_LOG=memory` a quarter of the heap limit of Node and at most 1GiB.',
  ),
  maxTopics: count(
    'FANFARE_MAX_TOPICS',
    '100000',
    'The maximum number of topics in the log. The hub refuses events for further topics, and further finite topics, with `too-many-topics`.',
  ),
  dedupWindow: duration(
    'FANFARE_DEDUP_WINDOW',
    '120s',
    'The minimum time for which the log remembers a publisher id. While the log keeps the event, it also remembers the id.',
  ),
  leaderTimeout: duration(
    'FANFARE_LEADER_TIMEOUT',
    '5s',
    'How long the process that writes the log may be silent, if several processes share its folder. The hub then answers a publish with 503.',
  ),
  natsPrefix: setting(
    {
      variable: 'FANFARE_NATS_PREFIX',
      default: 'fanfare',
      description: 'The beginning of every name that the hub uses on NATS. Hubs with different prefixes are separate.',
      expects: '1 to 32 of A-Z a-z 0-9 _ -',
    },
    (value) => (/^[A-Za-z0-9_-]{1,32}$/.test(value) ? value : undefined),
  ),
  natsReplicas: setting(
    {
      variable: 'FANFARE_NATS_REPLICAS',
      default: '1',
      description: 'How many NATS servers keep each event. It is used when the hub creates the stream.',
      expects: 'a whole number, 1 to 5',
      kind: 'count',
    },
    (value) => (/^[1-5]$/.test(value) ? Number(value) : undefined),
  ),
  natsTimeout: someTime(
    'FANFARE_NATS_TIMEOUT',
    '5s',
    'How long the hub waits for NATS. After it, publishing is refused with `log-unavailable`.',
  ),
  natsUser: optional(text('FANFARE_NATS_USER', 'The user on NATS.')),
  natsPassword: optional(text('FANFARE_NATS_PASSWORD', 'The password of the user on NATS.')),
  natsNkey: optional(text('FANFARE_NATS_NKEY', 'The seed of the nkey with which the hub authenticates to NATS.')),
  natsCredentialsFile: optional(
    text('FANFARE_NATS_CREDENTIALS_FILE', 'The file with the JWT and the nkey of the user on NATS (`.creds`).'),
  ),
  natsTls: flag('FANFARE_NATS_TLS', 'Whether the hub refuses a connection to NATS without TLS.'),
  natsCaFile: optional(
    text('FANFARE_NATS_CA_FILE', 'The file of the certificates (PEM) that verify the NATS servers.'),
  ),
  natsCertFile: optional(
    text('FANFARE_NATS_CERT_FILE', 'The file of the certificate (PEM) of the hub for the NATS servers.'),
  ),
  natsKeyFile: optional(text('FANFARE_NATS_KEY_FILE', "The file of the key (PEM) of the hub's certificate.")),
  /** Exactly one of `jwtSecret`, `jwtPublicKey` and `jwksUrl` is needed. */
  jwtSecret: optional(text('FANFARE_JWT_SECRET', 'The secret that signs and verifies tokens (HS256).')),
  jwtPublicKey: optional(
    text(
      'FANFARE_JWT_PUBLIC_KEY',
      'The public key (PEM) that verifies tokens: RSA, EC or Ed25519. The kind of key determines the algorithm.',
    ),
  ),
  jwksUrl: optional(
    setting(
      {
        variable: 'FANFARE_JWKS_URL',
        description: 'The URL of the public keys that verify tokens (a JSON Web Key Set, RFC 7517).',
        expects: 'a URL without user and password such as https://login.example.com/.well-known/jwks.json',
      },
      (value) => (isHttp(value) ? value : undefined),
    ),
  ),
  jwtIssuer: optional(text('FANFARE_JWT_ISSUER', 'The `iss` that tokens must have.')),
  jwtAudience: optional(text('FANFARE_JWT_AUDIENCE', 'The `aud` that tokens must have.')),
  clockTolerance: duration(
    'FANFARE_CLOCK_TOLERANCE',
    '5s',
    "How far the clock of a token's issuer may differ from the clock of the hub. The hub checks `exp` and `nbf` with this tolerance.",
  ),
  jwtClaim: text('FANFARE_JWT_CLAIM', 'The claim that holds the grants.', 'fanfare'),
  queryToken: flag(
    'FANFARE_QUERY_TOKEN',
    'Whether the hub accepts a token in the URL (`?token=`). Proxies and servers on the way may log such a URL.',
  ),
  anonymousSubscribe: list({
    variable: 'FANFARE_ANONYMOUS_SUBSCRIBE',
    description: 'Topics and patterns that need no token to subscribe.',
    items: 'topics or patterns',
    faultOf: (item) => (isPattern(item) ? undefined : `${quote(item)} is neither a topic nor a pattern`),
  }),
  ticketTtl: someTime('FANFARE_TICKET_TTL', '60s', 'How long a ticket is valid.'),
  corsOrigins: list({
    variable: 'FANFARE_CORS_ORIGINS',
    description:
      'The origins whose pages may use the hub. `https://*.example.com` means the subdomains of a host. `*` means all origins, without cookies.',
    items: 'origins such as https://app.example.com, https://*.example.com or capacitor://localhost, or *',
    faultOf: faultOfOrigin,
    faultOfAll: faultOfOrigins,
  }),
  heartbeat: someTime('FANFARE_HEARTBEAT', '15s', 'The time without a write after which a stream gets a heartbeat.'),
  slowTimeout: someTime(
    'FANFARE_SLOW_TIMEOUT',
    '30s',
    'The time without progress after which the hub ends a stalled stream. A stream with `slow=latest` is not ended.',
  ),
  maxConnections: count('FANFARE_MAX_CONNECTIONS', '10000', 'The maximum number of open streams of a process.'),
  maxConnectionsPerSubject: count(
    'FANFARE_MAX_CONNECTIONS_PER_SUBJECT',
    '100',
    'The maximum number of open streams per subject.',
  ),
  /** 0: no limit. */
  maxConnectionsPerAddress: countOrOff(
    'FANFARE_MAX_CONNECTIONS_PER_ADDRESS',
    'The maximum number of open streams per client address.',
  ),
  /** 0: no limit. */
  maxConnectionAge: durationOrOff(
    'FANFARE_MAX_CONNECTION_AGE',
    'The age at which the hub ends a stream. The subscriber then reconnects.',
  ),
  presenceGrace: duration(
    'FANFARE_PRESENCE_GRACE',
    '5s',
    'How long a subject stays present after its last stream ends, so that reloading a page is not a leave.',
  ),
  maxCursorsPerSubject: count(
    'FANFARE_MAX_CURSORS_PER_SUBJECT',
    '100',
    'The maximum number of named cursors per subject.',
  ),
  cursorTtl: someTime('FANFARE_CURSOR_TTL', '30d', 'The time without use after which the hub deletes a named cursor.'),
  uploadIdle: someTime(
    'FANFARE_UPLOAD_IDLE',
    '5m',
    'The maximum time between two lines of an NDJSON upload. An empty line counts as a line.',
  ),
  longPoll: someTime(
    'FANFARE_LONG_POLL',
    '20s',
    'How long a long poll of a [stream that ends](api.md#streams-that-end) waits for messages.',
  ),
  /** Requests a second; 0: no limit. */
  publishRate: countOrOff('FANFARE_PUBLISH_RATE', 'The maximum number of publish requests per second and subject.'),
  maxEventSize: size(
    'FANFARE_MAX_EVENT_SIZE',
    '256KiB',
    'The maximum size of the payload of an event. `bytes` count as decoded bytes, not as base64.',
  ),
  schemas: optional(
    text(
      'FANFARE_SCHEMAS',
      'The file of JSON Schemas that events must fit, by topic or pattern ([typed topics](typed-topics.md)).',
    ),
  ),
  streamTtl: someTime(
    'FANFARE_STREAM_TTL',
    '1h',
    'The time after its newest event at which a finite topic expires, unless its creator has set another time.',
  ),
  maxStreamSize: size('FANFARE_MAX_STREAM_SIZE', '64MiB', 'The maximum size of all messages of a finite topic.'),
  console: flag('FANFARE_CONSOLE', 'Whether the hub serves the web console at `/`.', 'true'),
  metrics: flag(
    'FANFARE_METRICS',
    'Whether the hub serves its [metrics](metrics.md) at `/metrics` on its own port. With `FANFARE_METRICS_PORT`, only that port serves them.',
    'true',
  ),
  metricsPort: optional(
    setting(
      {
        variable: 'FANFARE_METRICS_PORT',
        description: 'A further port, which serves the metrics only: not the port of the hub. 0 means any free port.',
        expects: 'a port, 0 to 65535',
      },
      parsePort,
    ),
  ),
  metricsHost: optional(
    setting(
      {
        variable: 'FANFARE_METRICS_HOST',
        description: 'The address of `FANFARE_METRICS_PORT`, without which it is refused. Unset: that of `HOST`.',
        expects: 'an IP address or a host name',
      },
      (value) => (isHost(value) && socketPathOf(value) === undefined ? value : undefined),
    ),
  ),
  docs: flag(
    'FANFARE_DOCS',
    'Whether the hub serves its OpenAPI document at `/openapi.json` and the reference of its API at `/docs`.',
    'true',
  ),
  drain: shortTime(
    'FANFARE_DRAIN',
    '10s',
    'The time over which a stopping hub ends its streams, and the maximum time it waits for requests in flight.',
  ),
  nativeSockets: oneOf(
    'FANFARE_NATIVE_SOCKETS',
    ['auto', 'off'],
    'auto',
    "Whether the hub may bypass Node's public API for sockets. `auto`: where this version of Node allows it. `off`: never, which costs more CPU.",
  ),
  trustProxy: setting(
    {
      variable: 'FANFARE_TRUST_PROXY',
      default: 'false',
      description:
        'The proxies whose X-Forwarded-* headers the hub trusts: none (`false`), all (`true`), a number of proxies in front of the hub, or proxies with these addresses.',
      expects: TRUST,
    },
    parseTrust,
  ),
}

/** The value of each option. Times are in milliseconds, sizes in bytes. */
export type Values = { [Option in keyof typeof SETTINGS]: ValueOf<(typeof SETTINGS)[Option]> }

/** The options that a process has and a hub does not. */
const PROCESS_OPTIONS = [
  'host',
  'port',
  'tlsCert',
  'tlsKey',
  'workers',
  'logLevel',
  'metricsPort',
  'metricsHost',
  'trustProxy',
] as const satisfies (keyof Values)[]
export type ProcessOption = (typeof PROCESS_OPTIONS)[number]

/** The settings of a hub. Times are in milliseconds, sizes in bytes. */
export type Settings = { [Option in keyof Values as Exclude<Option, ProcessOption>]: Values[Option] }

/** The options of a hub. */
export const HUB_OPTIONS = Object.keys(SETTINGS).filter(
  (option) => !(PROCESS_OPTIONS as readonly string[]).includes(option),
) as (keyof Settings)[]

function parsePort(value: string): number | undefined {
  return /^\d{1,5}$/.test(value) && Number(value) <= 65_535 ? Number(value) : undefined
}

/** Whether `fetch` accepts the URL. `fetch` refuses a URL with user and password, and its message repeats both. */
function isHttp(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { protocol, username, password } = new URL(value)
  return ['http:', 'https:'].includes(protocol) && username === '' && password === ''
}
