/** The settings of a hub: the environment as one schema, and the same as an object for those who embed it. */
import { isIP } from 'node:net'
import { faultOfOrigin, faultOfOrigins } from './auth/origin-list.js'
import { quote } from './model/quote.js'
import { isPattern } from './model/topic.js'
import { DEFAULT_HOST, DEFAULT_PORT, isHost } from './server/listen-address.js'
import { isLogAddress, type LogAddress } from './log/address.js'
import type { Durability } from './log/durability.js'
import { nearest } from './model/nearest.js'
import { SettingsError } from './model/settings-error.js'
import { Type, Value, type StaticDecode, type TSchema } from './schemas/typebox.js'
import { MAX_DRAIN, parseDuration, parseSize } from './model/units.js'

/** Says how a setting is written, for messages and for the docs. */
interface Form {
  default?: string
  description: string
  /** How it is written, as it stands after "must be". */
  expects: string
  /** What its option may be besides a string of that form. A string, when it is left out. */
  kind?: Kind
}

/** What an option can be that is no string: the words for it, and whether a value is one. */
const KINDS = {
  milliseconds: ['a whole number of milliseconds', isWhole],
  bytes: ['a whole number of bytes', isWhole],
  count: ['a whole number', isWhole],
  flag: ['true or false', (value: unknown) => typeof value === 'boolean'],
  list: [
    'an array of strings',
    (value: unknown) => Array.isArray(value) && value.every((item) => typeof item === 'string' && !item.includes(',')),
  ],
} as const satisfies Record<string, [words: string, is: (value: unknown) => boolean]>

type Kind = keyof typeof KINDS

function isWhole(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

/**
 * @param parse returns `undefined` for what cannot be read, or throws an Error that says what is wrong and starts with
 *   "must be"
 * @param print writes a value as it would be written in the environment
 */
function setting<T>(form: Form, parse: (text: string) => T | undefined, print: (value: T) => string = String) {
  return Type.Codec(Type.String({ ...form }))
    .Decode((text): T => {
      const value = parse(text)
      if (value === undefined) throw new Error(`must be ${form.expects}`)
      return value
    })
    .Encode((value): string => print(value))
}

const duration = (fallback: string, description: string) =>
  setting(
    { default: fallback, description, expects: 'a duration such as 250ms, 15s or 24h', kind: 'milliseconds' },
    parseDuration,
    printDuration,
  )
const shortTime = (fallback: string, description: string) =>
  setting(
    {
      default: fallback,
      description,
      expects: 'a duration such as 250ms, 15s or 24h, at most 24h',
      kind: 'milliseconds',
    },
    (text) => atMost(MAX_DRAIN, parseDuration(text)),
    printDuration,
  )
const someTime = (fallback: string, description: string) =>
  setting(
    {
      default: fallback,
      description,
      expects: 'a duration such as 250ms, 15s or 24h, more than nothing',
      kind: 'milliseconds',
    },
    (text) => positive(parseDuration(text)),
    printDuration,
  )
const durationOrOff = (description: string) =>
  setting(
    { default: 'off', description, expects: '"off" or a duration such as 250ms, 15s or 24h', kind: 'milliseconds' },
    (text) => (text === 'off' ? 0 : parseDuration(text)),
    printDuration,
  )
const size = (fallback: string, description: string) =>
  setting(
    { default: fallback, description, expects: 'a size such as 256KiB or 1GiB, more than nothing', kind: 'bytes' },
    (text) => positive(parseSize(text)),
    (bytes) => `${bytes}B`,
  )
const sizeOrAuto = (description: string) =>
  setting(
    {
      default: 'auto',
      description,
      expects: '"auto" or a size such as 256KiB or 1GiB, more than nothing',
      kind: 'bytes',
    },
    (text) => (text === 'auto' ? 0 : positive(parseSize(text))),
    (bytes: number) => (bytes === 0 ? 'auto' : `${bytes}B`),
  )
const count = (fallback: string, description: string) =>
  setting({ default: fallback, description, expects: 'a whole number, 1 or more', kind: 'count' }, (text) =>
    /^[1-9]\d*(_\d+)*$/.test(text) && text.length <= 15 ? Number(text.replaceAll('_', '')) : undefined,
  )
const countOrOff = (description: string) =>
  setting(
    { default: 'off', description, expects: '"off" or a whole number, 1 or more', kind: 'count' },
    (text) => (text === 'off' ? 0 : /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined),
    (number: number) => (number === 0 ? 'off' : String(number)),
  )
const flag = (description: string, fallback: 'true' | 'false' = 'false') =>
  setting({ default: fallback, description, expects: 'true or false', kind: 'flag' }, (text) =>
    text === 'true' ? true : text === 'false' ? false : undefined,
  )
const text = (description: string, fallback?: string) =>
  setting({ ...(fallback === undefined ? {} : { default: fallback }), description, expects: 'some text' }, (value) =>
    value === '' ? undefined : value,
  )

const oneOf = <T extends string>(values: readonly T[], fallback: T, description: string) =>
  setting({ default: fallback, description, expects: `one of ${values.join(', ')}` }, (value) =>
    values.find((candidate) => candidate === value),
  )
/** @param faultOf says what is wrong with an item, and `faultOfAll` with the list; `undefined` when nothing is */
const list = (
  description: string,
  what: string,
  faultOf: (item: string) => string | undefined,
  faultOfAll: (items: string[]) => string | undefined = () => undefined,
) => {
  const expects = `${what}, separated by commas`
  return setting({ default: '', description, expects, kind: 'list' }, (value) => {
    const items = itemsOf(value)
    requireNoFault(expects, [...items.map(faultOf), faultOfAll(items)])
    return items
  })
}

function itemsOf(value: string): string[] {
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

/** @throws Error naming what is expected and the first fault */
function requireNoFault(expects: string, faults: (string | undefined)[]): void {
  const fault = faults.find((words) => words !== undefined)
  if (fault !== undefined) throw new Error(`must be ${expects}: ${fault}`)
}

function positive(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value
}

function atMost(most: number, value: number | undefined): number | undefined {
  return value === undefined || value > most ? undefined : value
}

const printDuration = (milliseconds: number) => `${milliseconds}ms`

const optional = <T extends TSchema>(schema: T) => Type.Optional(schema)

const TRUST = 'false, true, a number of proxies, or addresses and networks separated by commas'

const Environment = Type.Object({
  HOST: setting(
    {
      default: DEFAULT_HOST,
      description:
        'The address to listen on (of a name, its first), or the path of a Unix socket: `/run/fanfare.sock` or `unix:<path>`.',
      expects:
        'an IP address, a host name, or the path of a Unix socket (/run/fanfare.sock, unix:<path>) of some 100 bytes at most',
    },
    (value) => (isHost(value) ? value : undefined),
  ),
  PORT: setting(
    { default: DEFAULT_PORT, description: 'The port to listen on; 0: any free one.', expects: 'a port, 0 to 65535' },
    (value) => (/^\d{1,5}$/.test(value) && Number(value) <= 65_535 ? Number(value) : undefined),
  ),
  LOG_LEVEL: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info', 'What is logged.'),
  FANFARE_LOG: setting(
    {
      default: 'file:./data',
      description: 'Where events are kept: in a folder, or in memory alone.',
      expects: 'memory or file:<folder>',
    },
    (value) => (isLogAddress(value) ? value : undefined),
  ),
  FANFARE_DURABILITY: oneOf(
    ['sync', 'commit'],
    'sync',
    'When an event is acknowledged: `sync`, when it is flushed to disk; `commit`, when it survives the process, but not the power.',
  ),
  FANFARE_RETAIN_EVENTS: count(
    '1000',
    'How many events of each topic are kept. For up to half a second there may be 50 more.',
  ),
  FANFARE_RETAIN_AGE: someTime('24h', 'For how long events are kept.'),
  FANFARE_RETAIN_BYTES: sizeOrAuto(
    'How large the whole log may grow. `auto`: 1GiB; with `FANFARE_LOG=memory` a quarter of the heap that Node may use, and no more than 1GiB.',
  ),
  FANFARE_MAX_TOPICS: count(
    '100000',
    'How many topics the log may hold. An event for a further topic is refused with `too-many-topics`.',
  ),
  FANFARE_DEDUP_WINDOW: duration(
    '120s',
    'For how long a publisher id is remembered at least; it always is while its event is kept.',
  ),
  FANFARE_JWT_SECRET: optional(text('The secret that tokens are signed with (HS256).')),
  FANFARE_JWT_PUBLIC_KEY: optional(
    text('The public key (PEM) that tokens are verified with: RSA, EC or Ed25519. Its kind decides the algorithm.'),
  ),
  FANFARE_JWKS_URL: optional(
    setting(
      {
        description: 'Where the public keys are that tokens are verified with (a JSON Web Key Set, RFC 7517).',
        expects: 'an address without user and password such as https://login.example.com/.well-known/jwks.json',
      },
      (value) => (isHttp(value) ? value : undefined),
    ),
  ),
  FANFARE_JWT_ISSUER: optional(text('The `iss` that tokens must have.')),
  FANFARE_JWT_AUDIENCE: optional(text('The `aud` that tokens must have.')),
  FANFARE_CLOCK_TOLERANCE: duration(
    '5s',
    "How far the clock of a token's issuer may differ from the hub's: `exp` and `nbf` are checked with this tolerance.",
  ),
  FANFARE_JWT_CLAIM: text('The claim that holds the grants.', 'fanfare'),
  FANFARE_QUERY_TOKEN: flag('Whether a token may stand in the URL as `?token=`. It then is in every log on the way.'),
  FANFARE_ANONYMOUS_SUBSCRIBE: list(
    'Topics and patterns that anybody may subscribe to.',
    'topics or patterns',
    (item) => (isPattern(item) ? undefined : `${quote(item)} is neither`),
  ),
  FANFARE_TICKET_TTL: someTime('60s', 'For how long a ticket opens streams.'),
  FANFARE_CORS_ORIGINS: list(
    'The origins whose pages may use the hub. `https://*.example.com`: the subdomains of a host; `*`: all origins, without cookies.',
    'origins such as https://app.example.com, https://*.example.com or capacitor://localhost, or *',
    faultOfOrigin,
    faultOfOrigins,
  ),
  FANFARE_HEARTBEAT: someTime('15s', 'After how long without a write a stream gets a heartbeat.'),
  FANFARE_SLOW_TIMEOUT: someTime(
    '30s',
    'After how long without progress a stalled stream is ended, unless it asked for `slow=latest`.',
  ),
  FANFARE_MAX_CONNECTIONS: count('10000', 'How many streams may be open.'),
  FANFARE_MAX_CONNECTIONS_PER_SUBJECT: count('100', 'How many streams one subject may have open.'),
  FANFARE_MAX_CONNECTIONS_PER_ADDRESS: countOrOff('How many streams may be open from one address.'),
  FANFARE_MAX_CONNECTION_AGE: durationOrOff('After how long a stream is ended, so that it is opened anew.'),
  FANFARE_PRESENCE_GRACE: duration(
    '5s',
    'For how long a subject without a stream is still present, so that a reload is not a leave.',
  ),
  FANFARE_MAX_CURSORS_PER_SUBJECT: count('100', 'How many named cursors one subject may have.'),
  FANFARE_CURSOR_TTL: someTime('30d', 'After how long without use a named cursor is forgotten.'),
  FANFARE_UPLOAD_IDLE: someTime('5m', 'For how long an NDJSON upload may send no line; an empty line counts.'),
  FANFARE_PUBLISH_RATE: countOrOff('How many requests that publish a subject may make in a second.'),
  FANFARE_MAX_EVENT_SIZE: size('256KiB', 'How large one event may be.'),
  FANFARE_CONSOLE: flag('Whether there is a web console at `/`.', 'true'),
  FANFARE_DRAIN: shortTime(
    '10s',
    'The time in which a hub that stops ends its streams, and the longest time it waits for requests in flight.',
  ),
  FANFARE_NATIVE_SOCKETS: oneOf(
    ['auto', 'off'],
    'auto',
    "How sockets are used: `auto`, past Node's public API where this Node has what that needs; `off`, by the public API alone, which costs more.",
  ),
  FANFARE_TRUST_PROXY: setting(
    {
      default: 'false',
      description:
        'The proxies whose X-Forwarded-* headers are believed: none (false), all (true), this many in front of the hub, or those with these addresses.',
      expects: TRUST,
    },
    parseTrust,
  ),
})

type Environment = StaticDecode<typeof Environment>

/** What a hub can be told. Times are in milliseconds, sizes in bytes. */
export interface Settings {
  /** `memory`, or `file:<folder>`. */
  log: LogAddress
  durability: Durability
  retainEvents: number
  retainAge: number
  /** 0: as much as suits the log. */
  retainBytes: number
  maxTopics: number
  dedupWindow: number
  /** Exactly one of `jwtSecret`, `jwtPublicKey` and `jwksUrl` is needed. */
  jwtSecret: string | undefined
  jwtPublicKey: string | undefined
  jwksUrl: string | undefined
  jwtIssuer: string | undefined
  jwtAudience: string | undefined
  clockTolerance: number
  jwtClaim: string
  queryToken: boolean
  anonymousSubscribe: string[]
  ticketTtl: number
  corsOrigins: string[]
  heartbeat: number
  slowTimeout: number
  maxConnections: number
  maxConnectionsPerSubject: number
  /** 0: no limit. */
  maxConnectionsPerAddress: number
  /** 0: no limit. */
  maxConnectionAge: number
  presenceGrace: number
  maxCursorsPerSubject: number
  cursorTtl: number
  uploadIdle: number
  /** Requests a second; 0: no limit. */
  publishRate: number
  maxEventSize: number
  console: boolean
  drain: number
  nativeSockets: 'auto' | 'off'
}

/** Whose X-Forwarded-* headers are believed: everybody's or nobody's, those of so many proxies, or of addresses. */
export type TrustProxy = boolean | number | string

/** The settings of a process: those of its hub, and what it needs besides. */
export interface ProcessSettings {
  host: string
  port: number
  logLevel: Environment['LOG_LEVEL']
  trustProxy: TrustProxy
  hub: Settings
}

/** The variable of each option. */
const VARIABLES = {
  log: 'FANFARE_LOG',
  durability: 'FANFARE_DURABILITY',
  retainEvents: 'FANFARE_RETAIN_EVENTS',
  retainAge: 'FANFARE_RETAIN_AGE',
  retainBytes: 'FANFARE_RETAIN_BYTES',
  maxTopics: 'FANFARE_MAX_TOPICS',
  dedupWindow: 'FANFARE_DEDUP_WINDOW',
  jwtSecret: 'FANFARE_JWT_SECRET',
  jwtPublicKey: 'FANFARE_JWT_PUBLIC_KEY',
  jwksUrl: 'FANFARE_JWKS_URL',
  jwtIssuer: 'FANFARE_JWT_ISSUER',
  jwtAudience: 'FANFARE_JWT_AUDIENCE',
  clockTolerance: 'FANFARE_CLOCK_TOLERANCE',
  jwtClaim: 'FANFARE_JWT_CLAIM',
  queryToken: 'FANFARE_QUERY_TOKEN',
  anonymousSubscribe: 'FANFARE_ANONYMOUS_SUBSCRIBE',
  ticketTtl: 'FANFARE_TICKET_TTL',
  corsOrigins: 'FANFARE_CORS_ORIGINS',
  heartbeat: 'FANFARE_HEARTBEAT',
  slowTimeout: 'FANFARE_SLOW_TIMEOUT',
  maxConnections: 'FANFARE_MAX_CONNECTIONS',
  maxConnectionsPerSubject: 'FANFARE_MAX_CONNECTIONS_PER_SUBJECT',
  maxConnectionsPerAddress: 'FANFARE_MAX_CONNECTIONS_PER_ADDRESS',
  maxConnectionAge: 'FANFARE_MAX_CONNECTION_AGE',
  presenceGrace: 'FANFARE_PRESENCE_GRACE',
  maxCursorsPerSubject: 'FANFARE_MAX_CURSORS_PER_SUBJECT',
  cursorTtl: 'FANFARE_CURSOR_TTL',
  uploadIdle: 'FANFARE_UPLOAD_IDLE',
  publishRate: 'FANFARE_PUBLISH_RATE',
  maxEventSize: 'FANFARE_MAX_EVENT_SIZE',
  console: 'FANFARE_CONSOLE',
  drain: 'FANFARE_DRAIN',
  nativeSockets: 'FANFARE_NATIVE_SOCKETS',
} as const satisfies Record<keyof Settings, keyof Environment>

/**
 * Reads the settings from an environment. An empty variable is as if it were not set.
 * @throws SettingsError naming every variable that is wrong, and the nearest name of one that is unknown
 */
export function loadSettings(env: Record<string, string | undefined>): ProcessSettings {
  const known = Object.keys(Environment.properties) as (keyof Environment)[]
  const faults = Object.keys(env)
    .filter(
      (name) => name.startsWith('FANFARE_') && !known.includes(name as keyof Environment) && !isInjected(name, env),
    )
    .map((name) => `${name} is unknown${suggestion(name, known)}`)
  const values: Record<string, unknown> = {}
  for (const name of known) {
    const schema: TSchema = Environment.properties[name]
    const written = env[name] === undefined || env[name] === '' ? formOf(schema).default : env[name]
    if (written === undefined) continue
    try {
      values[name] = Value.Decode(schema, written)
    } catch (err) {
      faults.push(`${name}=${isSecret(name) ? '…' : JSON.stringify(written)}: ${causeOf(err)}`)
    }
  }
  if (faults.length > 0) throw new SettingsError(faults.join('\n'))
  return fromEnvironment(values as Environment)
}

/**
 * The settings of those who embed the hub: what they say, as values or as it would be written in the environment, and
 * the defaults for the rest.
 * @throws SettingsError naming the option that is wrong or unknown
 */
export function resolveSettings(given: Partial<Settings>): Settings {
  const settings: Record<string, unknown> = { ...loadSettings({}).hub }
  for (const [option, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (!isOption(option))
      throw new SettingsError(`The option ${option} is unknown${suggestion(option, Object.keys(VARIABLES))}`)
    settings[option] = checkOption(option, value)
  }
  const resolved = settings as unknown as Settings
  if ([resolved.jwtSecret, resolved.jwtPublicKey, resolved.jwksUrl].filter((key) => key !== undefined).length > 1) {
    throw new SettingsError(
      'There is more than one key to verify tokens with: set one of them (FANFARE_JWT_SECRET, FANFARE_JWT_PUBLIC_KEY or FANFARE_JWKS_URL).',
    )
  }
  return resolved
}

function isOption(name: string): name is keyof Settings {
  return Object.hasOwn(VARIABLES, name)
}

function checkOption(option: keyof Settings, value: unknown): unknown {
  const schema: TSchema = Environment.properties[VARIABLES[option]]
  const { kind, expects } = formOf(schema)
  const what = isSecret(VARIABLES[option]) ? 'it' : quote(value)
  if (typeof value !== 'string' && !(kind && KINDS[kind][1](value))) {
    const expected = kind ? `${KINDS[kind][0]}, or a string as in the environment: ${expects}` : `a string: ${expects}`
    throw new SettingsError(`The option ${option}: ${what} must be ${expected}`)
  }
  try {
    return Value.Decode(schema, typeof value === 'string' ? value : Value.Encode(schema, value))
  } catch (err) {
    throw new SettingsError(`The option ${option}: ${what} ${causeOf(err)}`)
  }
}

/** Every variable with its default and its words, for the docs. */
export function describeSettings(): {
  name: string
  default: string | undefined
  description: string
  expects: string
}[] {
  return Object.entries(Environment.properties).map(([name, schema]) => {
    const { default: fallback, description, expects } = formOf(schema)
    return { name, default: fallback, description, expects }
  })
}

function fromEnvironment(env: Environment): ProcessSettings {
  const hub = Object.fromEntries(Object.entries(VARIABLES).map(([option, variable]) => [option, env[variable]]))
  return {
    host: env.HOST,
    port: env.PORT,
    logLevel: env.LOG_LEVEL,
    trustProxy: env.FANFARE_TRUST_PROXY,
    hub: hub as unknown as Settings,
  }
}

/** How a setting is written: the words that its schema carries. */
function formOf(schema: TSchema): Form {
  return schema as TSchema & Form
}

/** Kubernetes tells every container of a Service named fanfare by variables of its own. */
function isInjected(name: string, env: Record<string, string | undefined>): boolean {
  return env.FANFARE_SERVICE_HOST !== undefined && /^FANFARE_(SERVICE|PORT)(_|$)/.test(name)
}

function parseTrust(text: string): TrustProxy {
  if (text === 'true' || text === 'false') return text === 'true'
  if (/^[1-9]\d?$/.test(text)) return Number(text)
  const networks = text.split(',').map((network) => network.trim())
  requireNoFault(TRUST, networks.map(faultOfNetwork))
  return networks.join(',')
}

/** Says why something is no address and no network in CIDR notation; `undefined` when it is one. */
function faultOfNetwork(network: string): string | undefined {
  const [address, prefix, ...rest] = network.split('/') as [string, ...string[]]
  const version = address.includes('%') ? 0 : isIP(address) // a zone belongs to this machine
  if (version === 0) return `${quote(network)} is no address (names are not looked up)`
  const longest = version === 4 ? 32 : 128
  if (prefix === '0' && rest.length === 0)
    return `${quote(network)} is every IPv${version} address: write true to believe everybody`
  const isPrefix = prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= longest)
  return isPrefix && rest.length === 0
    ? undefined
    : `${quote(network)} is no network: behind "/" an IPv${version} address has 1 to ${longest}`
}

/**
 * Checks whose X-Forwarded-* headers are believed, for those who build the application themselves.
 * @throws SettingsError saying what is wrong
 */
export function checkTrustProxy(given: TrustProxy): TrustProxy {
  try {
    return Value.Decode(Environment.properties.FANFARE_TRUST_PROXY, String(given))
  } catch (err) {
    throw new SettingsError(`The option trustProxy: ${quote(given)} ${causeOf(err)}`)
  }
}

/**
 * Ends a sentence about an unknown name with the nearest known one. The prefix that most names have makes no name near.
 */
function suggestion(name: string, known: readonly string[]): string {
  const bare = (full: string): string => full.replace(/^FANFARE_/, '')
  const meant = nearest(bare(name), known.map(bare))
  return meant === undefined ? '.' : `; did you mean ${known.find((candidate) => bare(candidate) === meant)}?`
}

/** What can be fetched: not with a user or a password in it, which fetch refuses, naming them. */
function isHttp(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { protocol, username, password } = new URL(value)
  return ['http:', 'https:'].includes(protocol) && username === '' && password === ''
}

/** Whether a value is not to be repeated: it is a secret, or may hold one. */
function isSecret(name: string): boolean {
  return /SECRET|KEY$|URL$/.test(name)
}

/** What the parser of a setting said; the decoder wraps it. */
function causeOf(err: unknown): string {
  for (let cause = err; cause instanceof Error; cause = cause.cause)
    if (cause.message.startsWith('must be')) return cause.message
  return err instanceof Error ? err.message : String(err)
}
