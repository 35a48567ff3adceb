/** The settings: each is listed here, and nowhere else. Its option is the key; the docs list them in this order. */
import { faultOfOrigin, faultOfOrigins } from '../auth/origin-list.js'
import { isLogAddress } from '../log/address.js'
import { quote } from '../model/quote.js'
import { isPattern } from '../model/topic.js'
import { DEFAULT_HOST, DEFAULT_PORT, isHost } from '../server/listen-address.js'
import {
  count,
  countOrOff,
  duration,
  durationOrOff,
  flag,
  list,
  oneOf,
  optional,
  setting,
  shortTime,
  size,
  sizeOrAuto,
  someTime,
  text,
  type ValueOf,
} from './setting.js'
import { parseTrust, TRUST } from './trust-proxy.js'

/** Every setting. What is said here of a value is also said of the option in `Settings`. */
export const SETTINGS = {
  host: setting(
    {
      variable: 'HOST',
      default: DEFAULT_HOST,
      description:
        'The address to listen on (of a name, its first), or the path of a Unix socket: `/run/fanfare.sock` or `unix:<path>`.',
      expects:
        'an IP address, a host name, or the path of a Unix socket (/run/fanfare.sock, unix:<path>) of some 100 bytes at most',
    },
    (value) => (isHost(value) ? value : undefined),
  ),
  port: setting(
    {
      variable: 'PORT',
      default: DEFAULT_PORT,
      description: 'The port to listen on; 0: any free one.',
      expects: 'a port, 0 to 65535',
    },
    (value) => (/^\d{1,5}$/.test(value) && Number(value) <= 65_535 ? Number(value) : undefined),
  ),
  logLevel: oneOf(
    'LOG_LEVEL',
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    'info',
    'What is logged.',
  ),
  /** `memory`, or `file:<folder>`. */
  log: setting(
    {
      variable: 'FANFARE_LOG',
      default: 'file:./data',
      description: 'Where events are kept: in a folder, or in memory alone.',
      expects: 'memory or file:<folder>',
    },
    (value) => (isLogAddress(value) ? value : undefined),
  ),
  durability: oneOf(
    'FANFARE_DURABILITY',
    ['sync', 'commit'],
    'sync',
    'When an event is acknowledged: `sync`, when it is flushed to disk; `commit`, when it survives the process, but not the power.',
  ),
  retainEvents: count(
    'FANFARE_RETAIN_EVENTS',
    '1000',
    'How many events of each topic are kept. For up to half a second there may be 50 more.',
  ),
  retainAge: someTime('FANFARE_RETAIN_AGE', '24h', 'For how long events are kept.'),
  /** 0: as much as suits the log. */
  retainBytes: sizeOrAuto(
    'FANFARE_RETAIN_BYTES',
    'How large the whole log may grow. `auto`: 1GiB; with `FANFARE_LOG=memory` a quarter of the heap that Node may use, and no more than 1GiB.',
  ),
  maxTopics: count(
    'FANFARE_MAX_TOPICS',
    '100000',
    'How many topics the log may hold. An event for a further topic is refused with `too-many-topics`.',
  ),
  dedupWindow: duration(
    'FANFARE_DEDUP_WINDOW',
    '120s',
    'For how long a publisher id is remembered at least; it always is while its event is kept.',
  ),
  /** Exactly one of `jwtSecret`, `jwtPublicKey` and `jwksUrl` is needed. */
  jwtSecret: optional(text('FANFARE_JWT_SECRET', 'The secret that tokens are signed with (HS256).')),
  jwtPublicKey: optional(
    text(
      'FANFARE_JWT_PUBLIC_KEY',
      'The public key (PEM) that tokens are verified with: RSA, EC or Ed25519. Its kind decides the algorithm.',
    ),
  ),
  jwksUrl: optional(
    setting(
      {
        variable: 'FANFARE_JWKS_URL',
        description: 'Where the public keys are that tokens are verified with (a JSON Web Key Set, RFC 7517).',
        expects: 'an address without user and password such as https://login.example.com/.well-known/jwks.json',
      },
      (value) => (isHttp(value) ? value : undefined),
    ),
  ),
  jwtIssuer: optional(text('FANFARE_JWT_ISSUER', 'The `iss` that tokens must have.')),
  jwtAudience: optional(text('FANFARE_JWT_AUDIENCE', 'The `aud` that tokens must have.')),
  clockTolerance: duration(
    'FANFARE_CLOCK_TOLERANCE',
    '5s',
    "How far the clock of a token's issuer may differ from the hub's: `exp` and `nbf` are checked with this tolerance.",
  ),
  jwtClaim: text('FANFARE_JWT_CLAIM', 'The claim that holds the grants.', 'fanfare'),
  queryToken: flag(
    'FANFARE_QUERY_TOKEN',
    'Whether a token may stand in the URL as `?token=`. It then is in every log on the way.',
  ),
  anonymousSubscribe: list({
    variable: 'FANFARE_ANONYMOUS_SUBSCRIBE',
    description: 'Topics and patterns that anybody may subscribe to.',
    items: 'topics or patterns',
    faultOf: (item) => (isPattern(item) ? undefined : `${quote(item)} is neither`),
  }),
  ticketTtl: someTime('FANFARE_TICKET_TTL', '60s', 'For how long a ticket opens streams.'),
  corsOrigins: list({
    variable: 'FANFARE_CORS_ORIGINS',
    description:
      'The origins whose pages may use the hub. `https://*.example.com`: the subdomains of a host; `*`: all origins, without cookies.',
    items: 'origins such as https://app.example.com, https://*.example.com or capacitor://localhost, or *',
    faultOf: faultOfOrigin,
    faultOfAll: faultOfOrigins,
  }),
  heartbeat: someTime('FANFARE_HEARTBEAT', '15s', 'After how long without a write a stream gets a heartbeat.'),
  slowTimeout: someTime(
    'FANFARE_SLOW_TIMEOUT',
    '30s',
    'After how long without progress a stalled stream is ended, unless it asked for `slow=latest`.',
  ),
  maxConnections: count('FANFARE_MAX_CONNECTIONS', '10000', 'How many streams may be open.'),
  maxConnectionsPerSubject: count(
    'FANFARE_MAX_CONNECTIONS_PER_SUBJECT',
    '100',
    'How many streams one subject may have open.',
  ),
  /** 0: no limit. */
  maxConnectionsPerAddress: countOrOff(
    'FANFARE_MAX_CONNECTIONS_PER_ADDRESS',
    'How many streams may be open from one address.',
  ),
  /** 0: no limit. */
  maxConnectionAge: durationOrOff(
    'FANFARE_MAX_CONNECTION_AGE',
    'After how long a stream is ended, so that it is opened anew.',
  ),
  presenceGrace: duration(
    'FANFARE_PRESENCE_GRACE',
    '5s',
    'For how long a subject without a stream is still present, so that a reload is not a leave.',
  ),
  maxCursorsPerSubject: count('FANFARE_MAX_CURSORS_PER_SUBJECT', '100', 'How many named cursors one subject may have.'),
  cursorTtl: someTime('FANFARE_CURSOR_TTL', '30d', 'After how long without use a named cursor is forgotten.'),
  uploadIdle: someTime(
    'FANFARE_UPLOAD_IDLE',
    '5m',
    'For how long an NDJSON upload may send no line; an empty line counts.',
  ),
  /** Requests a second; 0: no limit. */
  publishRate: countOrOff('FANFARE_PUBLISH_RATE', 'How many requests that publish a subject may make in a second.'),
  maxEventSize: size(
    'FANFARE_MAX_EVENT_SIZE',
    '256KiB',
    'How large the payload of one event may be; bytes count without their base64.',
  ),
  console: flag('FANFARE_CONSOLE', 'Whether there is a web console at `/`.', 'true'),
  drain: shortTime(
    'FANFARE_DRAIN',
    '10s',
    'The time in which a hub that stops ends its streams, and the longest time it waits for requests in flight.',
  ),
  nativeSockets: oneOf(
    'FANFARE_NATIVE_SOCKETS',
    ['auto', 'off'],
    'auto',
    "How sockets are used: `auto`, past Node's public API where this Node has what that needs; `off`, by the public API alone, which costs more.",
  ),
  trustProxy: setting(
    {
      variable: 'FANFARE_TRUST_PROXY',
      default: 'false',
      description:
        'The proxies whose X-Forwarded-* headers are believed: none (false), all (true), this many in front of the hub, or those with these addresses.',
      expects: TRUST,
    },
    parseTrust,
  ),
}

/** The value of each option. Times are in milliseconds, sizes in bytes. */
export type Values = { [Option in keyof typeof SETTINGS]: ValueOf<(typeof SETTINGS)[Option]> }

/** The options of a process that its hub does not have. */
const PROCESS_OPTIONS = ['host', 'port', 'logLevel', 'trustProxy'] as const satisfies (keyof Values)[]
export type ProcessOption = (typeof PROCESS_OPTIONS)[number]

/** What a hub can be told. Times are in milliseconds, sizes in bytes. */
export type Settings = { [Option in keyof Values as Exclude<Option, ProcessOption>]: Values[Option] }

/** The options of a hub. */
export const HUB_OPTIONS = Object.keys(SETTINGS).filter(
  (option) => !(PROCESS_OPTIONS as readonly string[]).includes(option),
) as (keyof Settings)[]

/** What can be fetched: not with a user or a password in it, which fetch refuses, naming them. */
function isHttp(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { protocol, username, password } = new URL(value)
  return ['http:', 'https:'].includes(protocol) && username === '' && password === ''
}
