import t from 'tap'
import { SettingsError } from '../src/model/settings-error.js'
import { describeSettings, loadSettings, resolveSettings, type Settings } from '../src/settings.js'

/** The message of the refusal, line by line. */
function faults(env: Record<string, string>): string[] {
  try {
    loadSettings(env)
  } catch (err) {
    if (err instanceof SettingsError) return err.message.split('\n')
    throw err
  }
  return []
}

await t.test('every setting has a default', (t) => {
  t.match(loadSettings({}), {
    host: '127.0.0.1',
    port: 3_000,
    workers: 1,
    logLevel: 'info',
    trustProxy: false,
    hub: {
      durability: 'sync',
      retainEvents: 1_000,
      retainAge: 24 * 3_600_000,
      retainBytes: 0,
      dedupWindow: 120_000,
      jwtSecret: undefined,
      jwtPublicKey: undefined,
      jwksUrl: undefined,
      jwtIssuer: undefined,
      jwtAudience: undefined,
      clockTolerance: 5_000,
      jwtClaim: 'fanfare',
      queryToken: false,
      anonymousSubscribe: [],
      ticketTtl: 60_000,
      corsOrigins: [],
      heartbeat: 15_000,
      longPoll: 20_000,
      slowTimeout: 30_000,
      maxConnections: 10_000,
      maxConnectionsPerSubject: 100,
      maxConnectionsPerAddress: 0,
      maxConnectionAge: 0,
      presenceGrace: 5_000,
      publishRate: 0,
      maxEventSize: 256 * 1024,
      console: true,
      drain: 10_000,
    },
  })
  t.end()
})

/** Each variable with a valid value and the resulting setting. */
const values: [name: string, written: string, read: object][] = [
  ['HOST', '0.0.0.0', { host: '0.0.0.0' }],
  ['HOST', '::', { host: '::' }],
  ['HOST', 'hub.internal', { host: 'hub.internal' }],
  ['HOST', '/run/fanfare.sock', { host: '/run/fanfare.sock' }],
  ['HOST', 'unix:fanfare.sock', { host: 'unix:fanfare.sock' }],
  ['PORT', '0', { port: 0 }],
  ['PORT', '65535', { port: 65_535 }],
  ['FANFARE_WORKERS', '4', { workers: 4 }],
  ['FANFARE_WORKERS', 'auto', { workers: 0 }],
  ['LOG_LEVEL', 'silent', { logLevel: 'silent' }],
  ['FANFARE_TRUST_PROXY', 'true', { trustProxy: true }],
  ['FANFARE_TRUST_PROXY', '2', { trustProxy: 2 }],
  ['FANFARE_TRUST_PROXY', '10.0.0.0/8, ::1', { trustProxy: '10.0.0.0/8,::1' }],
  [
    'FANFARE_TRUST_PROXY',
    '10.0.0.0/32,::1/128,::ffff:10.0.0.0/104',
    { trustProxy: '10.0.0.0/32,::1/128,::ffff:10.0.0.0/104' },
  ],
  ['FANFARE_LOG', 'memory', { hub: { log: 'memory' } }],
  ['FANFARE_LOG', 'file:./data', { hub: { log: 'file:./data' } }],
  ['FANFARE_LOG', 'nats://localhost', { hub: { log: 'nats://localhost' } }],
  ['FANFARE_LOG', 'nats://a:4222, nats://b:1,[::1]:7', { hub: { log: 'nats://a:4222, nats://b:1,[::1]:7' } }],
  ['FANFARE_LEADER_TIMEOUT', '2s', { hub: { leaderTimeout: 2_000 } }],
  ['FANFARE_NATS_PREFIX', 'shop', { hub: { natsPrefix: 'shop' } }],
  ['FANFARE_NATS_REPLICAS', '3', { hub: { natsReplicas: 3 } }],
  ['FANFARE_NATS_TIMEOUT', '2s', { hub: { natsTimeout: 2_000 } }],
  ['FANFARE_NATS_USER', 'hub', { hub: { natsUser: 'hub' } }],
  ['FANFARE_NATS_PASSWORD', 'a secret', { hub: { natsPassword: 'a secret' } }],
  ['FANFARE_NATS_NKEY', 'SUABC', { hub: { natsNkey: 'SUABC' } }],
  ['FANFARE_NATS_CREDENTIALS_FILE', 'hub.creds', { hub: { natsCredentialsFile: 'hub.creds' } }],
  ['FANFARE_NATS_TLS', 'true', { hub: { natsTls: true } }],
  ['FANFARE_NATS_CA_FILE', 'ca.pem', { hub: { natsCaFile: 'ca.pem' } }],
  ['FANFARE_NATS_CERT_FILE', 'cert.pem', { hub: { natsCertFile: 'cert.pem' } }],
  ['FANFARE_NATS_KEY_FILE', 'key.pem', { hub: { natsKeyFile: 'key.pem' } }],
  ['FANFARE_DURABILITY', 'commit', { hub: { durability: 'commit' } }],
  ['FANFARE_RETAIN_EVENTS', '1', { hub: { retainEvents: 1 } }],
  ['FANFARE_RETAIN_EVENTS', '1_000_000', { hub: { retainEvents: 1e6 } }],
  ['FANFARE_RETAIN_AGE', '7d', { hub: { retainAge: 7 * 86_400_000 } }],
  ['FANFARE_RETAIN_BYTES', '512MiB', { hub: { retainBytes: 512 * 1024 ** 2 } }],
  ['FANFARE_RETAIN_BYTES', 'auto', { hub: { retainBytes: 0 } }],
  ['FANFARE_MAX_TOPICS', '5', { hub: { maxTopics: 5 } }],
  ['FANFARE_DEDUP_WINDOW', '90s', { hub: { dedupWindow: 90_000 } }],
  ['FANFARE_LEADER_TIMEOUT', '2s', { hub: { leaderTimeout: 2_000 } }],
  ['FANFARE_JWT_SECRET', 'a secret', { hub: { jwtSecret: 'a secret' } }],
  ['FANFARE_JWKS_URL', 'https://login.example.com/jwks', { hub: { jwksUrl: 'https://login.example.com/jwks' } }],
  ['FANFARE_TICKET_TTL', '10s', { hub: { ticketTtl: 10_000 } }],
  ['FANFARE_PRESENCE_GRACE', '0s', { hub: { presenceGrace: 0 } }],
  ['FANFARE_MAX_CURSORS_PER_SUBJECT', '7', { hub: { maxCursorsPerSubject: 7 } }],
  ['FANFARE_CURSOR_TTL', '7d', { hub: { cursorTtl: 7 * 86_400_000 } }],
  ['FANFARE_STREAM_TTL', '2h', { hub: { streamTtl: 7_200_000 } }],
  ['FANFARE_MAX_STREAM_SIZE', '1MiB', { hub: { maxStreamSize: 1024 ** 2 } }],
  ['FANFARE_UPLOAD_IDLE', '1m', { hub: { uploadIdle: 60_000 } }],
  ['FANFARE_PUBLISH_RATE', '50', { hub: { publishRate: 50 } }],
  ['FANFARE_PUBLISH_RATE', 'off', { hub: { publishRate: 0 } }],
  ['FANFARE_MAX_CONNECTIONS_PER_SUBJECT', '7', { hub: { maxConnectionsPerSubject: 7 } }],
  ['FANFARE_MAX_CONNECTIONS_PER_ADDRESS', '20', { hub: { maxConnectionsPerAddress: 20 } }],
  ['FANFARE_JWT_PUBLIC_KEY', 'a key', { hub: { jwtPublicKey: 'a key' } }],
  ['FANFARE_JWT_ISSUER', 'https://id.example.com', { hub: { jwtIssuer: 'https://id.example.com' } }],
  ['FANFARE_JWT_AUDIENCE', 'hub', { hub: { jwtAudience: 'hub' } }],
  ['FANFARE_CLOCK_TOLERANCE', '0s', { hub: { clockTolerance: 0 } }],
  ['FANFARE_JWT_CLAIM', 'https://example.com/hub', { hub: { jwtClaim: 'https://example.com/hub' } }],
  ['FANFARE_QUERY_TOKEN', 'true', { hub: { queryToken: true } }],
  ['FANFARE_QUERY_TOKEN', 'false', { hub: { queryToken: false } }],
  ['FANFARE_ANONYMOUS_SUBSCRIBE', 'news, public.**,,', { hub: { anonymousSubscribe: ['news', 'public.**'] } }],
  [
    'FANFARE_CORS_ORIGINS',
    'https://a.example,http://localhost:8080',
    { hub: { corsOrigins: ['https://a.example', 'http://localhost:8080'] } },
  ],
  [
    'FANFARE_CORS_ORIGINS',
    'https://*.example.com, capacitor://localhost',
    { hub: { corsOrigins: ['https://*.example.com', 'capacitor://localhost'] } },
  ],
  ['FANFARE_CORS_ORIGINS', '*', { hub: { corsOrigins: ['*'] } }],
  ['FANFARE_HEARTBEAT', '250ms', { hub: { heartbeat: 250 } }],
  ['FANFARE_LONG_POLL', '5s', { hub: { longPoll: 5_000 } }],
  ['FANFARE_SLOW_TIMEOUT', '1m', { hub: { slowTimeout: 60_000 } }],
  ['FANFARE_MAX_CONNECTIONS', '1', { hub: { maxConnections: 1 } }],
  ['FANFARE_MAX_CONNECTION_AGE', 'off', { hub: { maxConnectionAge: 0 } }],
  ['FANFARE_MAX_CONNECTION_AGE', '1h', { hub: { maxConnectionAge: 3_600_000 } }],
  ['FANFARE_MAX_EVENT_SIZE', '1MiB', { hub: { maxEventSize: 1024 ** 2 } }],
  ['FANFARE_CONSOLE', 'false', { hub: { console: false } }],
  ['FANFARE_METRICS', 'false', { hub: { metrics: false } }],
  ['FANFARE_METRICS_PORT', '9464', { metricsPort: 9_464 }],
  ['FANFARE_SCHEMAS', './schemas.json', { hub: { schemas: './schemas.json' } }],
  ['FANFARE_DOCS', 'false', { hub: { docs: false } }],
  ['FANFARE_DRAIN', '0s', { hub: { drain: 0 } }],
  ['FANFARE_NATIVE_SOCKETS', 'off', { hub: { nativeSockets: 'off' } }],
]

await t.test('TLS needs a certificate, a key and a port', (t) => {
  t.strictSame(faults({ FANFARE_TLS_CERT: 'cert.pem' }), [
    'FANFARE_TLS_CERT is set without FANFARE_TLS_KEY: set both for TLS, or neither',
  ])
  t.strictSame(faults({ FANFARE_TLS_KEY: 'key.pem' }), [
    'FANFARE_TLS_KEY is set without FANFARE_TLS_CERT: set both for TLS, or neither',
  ])
  t.match(faults({ HOST: '/run/hub.sock', FANFARE_TLS_CERT: 'cert.pem', FANFARE_TLS_KEY: 'key.pem' }), [
    /^HOST is a Unix socket, which FANFARE_TLS_CERT does not apply to/,
  ])
  const pem = '-----BEGIN PRIVATE KEY-----'
  t.strictSame(faults({ FANFARE_TLS_CERT: 'cert.pem', FANFARE_TLS_KEY: pem }).slice(0, 1), [
    'FANFARE_TLS_KEY=…: must be the path of a file',
  ])
  t.end()
})

await t.test('the port of the metrics is another one than that of the hub, and its address needs it', (t) => {
  t.strictSame(faults({ FANFARE_METRICS_HOST: '127.0.0.1' }), [
    'FANFARE_METRICS_HOST is set without FANFARE_METRICS_PORT: set both, or neither',
  ])
  const same = [
    'FANFARE_METRICS_PORT and PORT are both 3000, and two servers cannot share a port: set FANFARE_METRICS_PORT to another port, or leave it out if the port of the hub may serve the metrics',
  ]
  const ports = { PORT: '3000', FANFARE_METRICS_PORT: '3000' }
  const tls = { FANFARE_TLS_CERT: 'cert.pem', FANFARE_TLS_KEY: 'key.pem' }
  t.strictSame(faults({ FANFARE_METRICS_PORT: '3000' }), same, 'also the default of PORT')
  t.strictSame(faults({ ...ports, ...tls }), same)
  for (const [HOST, FANFARE_METRICS_HOST] of [
    ['0.0.0.0', '127.0.0.1'],
    ['10.0.0.7', '::'],
    ['127.0.0.1', 'localhost'],
    ['hub.internal', '0.0.0.0'],
  ] as const)
    t.strictSame(faults({ ...ports, HOST, FANFARE_METRICS_HOST }), same, HOST)
  for (const env of [
    { PORT: '0', FANFARE_METRICS_PORT: '0' },
    { ...ports, HOST: '/run/hub.sock' },
    { ...ports, HOST: '10.0.0.7', FANFARE_METRICS_HOST: '127.0.0.1' },
    { ...ports, HOST: '0.0.0.0', FANFARE_METRICS_HOST: '::1' },
    { PORT: '0', FANFARE_METRICS_PORT: '3000', FANFARE_METRICS_HOST: '127.0.0.1' },
  ])
    t.doesNotThrow(() => loadSettings(env), JSON.stringify(env))
  t.end()
})

await t.test('every setting can be set', (t) => {
  for (const [name, written, read] of values) t.match(loadSettings({ [name]: written }), read, `${name}=${written}`)
  t.match(loadSettings({ FANFARE_TLS_CERT: 'cert.pem', FANFARE_TLS_KEY: 'key.pem' }), {
    tls: { certFile: 'cert.pem', keyFile: 'key.pem' },
  })
  t.match(loadSettings({ FANFARE_METRICS_PORT: '9464', FANFARE_METRICS_HOST: '10.0.0.7' }), { metricsHost: '10.0.0.7' })
  const together = ['FANFARE_TLS_CERT', 'FANFARE_TLS_KEY', 'FANFARE_METRICS_HOST']
  const tested = new Set([...values.map(([name]) => name), ...together])
  for (const { name } of describeSettings()) t.ok(tested.has(name), `${name} is in the table of this test`)
  t.end()
})

await t.test('an empty variable counts as unset', (t) => {
  t.strictSame(loadSettings(Object.fromEntries(describeSettings().map(({ name }) => [name, '']))), loadSettings({}))
  t.end()
})

await t.test('an invalid value is refused with the variable and the expected form', (t) => {
  const wrong: [name: string, written: string, expected: RegExp][] = [
    ...['-1', '65536', '80a', '3000.5', ' 3000', '0x50'].map((written): [string, string, RegExp] => [
      'PORT',
      written,
      /a port, 0 to 65535/,
    ]),
    ...['127.0.0.1:80', '[::1]', 'http://a.example', 'a b', 'a..b', 'unix:', `/${'x'.repeat(110)}`].map(
      (written): [string, string, RegExp] => [
        'HOST',
        written,
        /an IP address, a host name, or the path of a Unix socket/,
      ],
    ),
    ...['0', '-1', '1.5', '1001', 'many', 'off'].map((written): [string, string, RegExp] => [
      'FANFARE_WORKERS',
      written,
      /"auto" or a whole number, 1 to 1000/,
    ]),
    ...['loud', 'INFO'].map((written): [string, string, RegExp] => [
      'LOG_LEVEL',
      written,
      /one of fatal, error, warn, info, debug, trace, silent/,
    ]),
    ...['disk', 'file', 'file:', 'Memory'].map((written): [string, string, RegExp] => [
      'FANFARE_LOG',
      written,
      /memory/,
    ]),
    ['FANFARE_DURABILITY', 'none', /one of sync, commit/],
    ...['0', '-1', '1.5', 'many', '1e3', '1 000'].flatMap((written) =>
      ['FANFARE_RETAIN_EVENTS', 'FANFARE_MAX_CONNECTIONS'].map((name): [string, string, RegExp] => [
        name,
        written,
        /a whole number, 1 or more/,
      ]),
    ),
    ...['15', '15 s', '-1s', 'soon', '24 hours', '1KiB', 'off'].flatMap((written) =>
      ['FANFARE_RETAIN_AGE', 'FANFARE_DEDUP_WINDOW', 'FANFARE_HEARTBEAT', 'FANFARE_SLOW_TIMEOUT', 'FANFARE_DRAIN'].map(
        (name): [string, string, RegExp] => [name, written, /a duration such as 250ms, 15s or 24h/],
      ),
    ),
    ...['0s', '0ms'].flatMap((written) =>
      ['FANFARE_HEARTBEAT', 'FANFARE_SLOW_TIMEOUT', 'FANFARE_RETAIN_AGE'].map((name): [string, string, RegExp] => [
        name,
        written,
        /more than 0/,
      ]),
    ),
    ['FANFARE_MAX_EVENT_SIZE', '0B', /more than 0/],
    ['FANFARE_MAX_CONNECTIONS', '1_0_', /a whole number/],
    ...['never', '1'].map((written): [string, string, RegExp] => [
      'FANFARE_MAX_CONNECTION_AGE',
      written,
      /"off" or a duration/,
    ]),
    ...['1', '1 KiB', '1kib', 'big', '1s'].flatMap((written) =>
      ['FANFARE_RETAIN_BYTES', 'FANFARE_MAX_EVENT_SIZE'].map((name): [string, string, RegExp] => [
        name,
        written,
        /a size such as 256KiB or 1GiB/,
      ]),
    ),
    ...['yes', '1', 'TRUE', 'constructor'].map((written): [string, string, RegExp] => [
      'FANFARE_QUERY_TOKEN',
      written,
      /true or false/,
    ]),
    ...[
      'yes',
      '0',
      'TRUE',
      'proxy.example.com',
      '10.0.0.0/8;::1',
      '-1',
      '10.0.0.0/33',
      '10.0.0.0/0',
      '::1/129',
      '::1/',
      '10.0.0.0/8/8',
      '10.0.0.0/255.0.0.0',
      '10.0.0/8',
      '010.0.0.1',
      'fe80::1%eth0',
      '127.0.0.1,',
      '1.5',
    ].map((written): [string, string, RegExp] => [
      'FANFARE_TRUST_PROXY',
      written,
      /false, true, a number of proxies, or addresses and networks/,
    ]),
    ...['a..b', 'news,**.a', 'a b'].map((written): [string, string, RegExp] => [
      'FANFARE_ANONYMOUS_SUBSCRIBE',
      written,
      /topics or patterns, separated by commas/,
    ]),
    ...[
      'app.example.com',
      'https://app.example.com/',
      'https://a.example;https://b.example',
      'https://a.example/path',
      'null',
      'https://*',
      'https://*example.com',
      'https://ok.example,ws://app.example.com',
    ].map((written): [string, string, RegExp] => [
      'FANFARE_CORS_ORIGINS',
      written,
      /origins such as https:\/\/app\.example\.com/,
    ]),
  ]
  for (const [name, written, expected] of wrong) {
    const [fault, ...rest] = faults({ [name]: written })
    t.strictSame(rest, [])
    t.ok(fault?.startsWith(`${name}=${JSON.stringify(written)}: must be `), `${name}=${written}: ${String(fault)}`)
    t.match(fault, expected)
  }
  t.end()
})

await t.test('the invalid item of a list is named', (t) => {
  t.strictSame(faults({ FANFARE_TRUST_PROXY: '127.0.0.1, 10.0.0.0/33' }), [
    'FANFARE_TRUST_PROXY="127.0.0.1, 10.0.0.0/33": must be false, true, a number of proxies, or addresses and networks separated by commas: "10.0.0.0/33" is not a network: an IPv4 prefix length is 1 to 32',
  ])
  t.match(faults({ FANFARE_CORS_ORIGINS: 'https://a.example,https://*.example.com/' }), [
    /"https:\/\/\*\.example\.com\/" matches nothing, since browsers write this origin as "https:\/\/\*\.example\.com"$/,
  ])
  t.match(faults({ FANFARE_ANONYMOUS_SUBSCRIBE: 'news,a..b' }), [/: "a\.\.b" is neither a topic nor a pattern$/])
  t.end()
})

await t.test('a URL with user and password is refused, and the refusal does not repeat it', (t) => {
  for (const url of [
    'https://user:hunter2@login.example.com/jwks',
    'https://hunter2@login.example.com/jwks',
    'ftp://user:hunter2@login.example.com/jwks',
  ]) {
    t.strictSame(faults({ FANFARE_JWKS_URL: url }), [
      'FANFARE_JWKS_URL=…: must be a URL without user and password such as https://login.example.com/.well-known/jwks.json',
    ])
    t.throws(() => resolveSettings({ jwksUrl: url }), { message: /^The option jwksUrl: it must be/ })
  }
  t.end()
})

await t.test('all faults are reported at once', (t) => {
  const lines = faults({ PORT: 'x', FANFARE_HEARTBEAT: 'x', FANFARE_HEARTBEET: '1s', PATH: '/bin', HOST: '::1' })
  t.equal(lines.length, 3)
  for (const name of ['PORT', 'FANFARE_HEARTBEAT', 'FANFARE_HEARTBEET'])
    t.ok(
      lines.some((line) => line.startsWith(name)),
      name,
    )
  t.end()
})

await t.test('an unknown FANFARE_* is refused with the closest name; other names are ignored', (t) => {
  const table: [name: string, nearest: string][] = [
    ['FANFARE_HEARTBEET', 'FANFARE_HEARTBEAT'],
    ['FANFARE_JWT_SECRETS', 'FANFARE_JWT_SECRET'],
    ['FANFARE_CORS_ORIGIN', 'FANFARE_CORS_ORIGINS'],
    ['FANFARE_RETAIN_EVENT', 'FANFARE_RETAIN_EVENTS'],
    ['FANFARE_MAX_CONECTIONS', 'FANFARE_MAX_CONNECTIONS'],
    ['FANFARE_heartbeat', 'FANFARE_HEARTBEAT'],
    ['FANFARE_LOGS', 'FANFARE_LOG'],
  ]
  for (const [name, nearest] of table) {
    const [fault = ''] = faults({ [name]: 'x' })
    t.ok(fault.startsWith(`${name} is unknown`), fault)
    t.ok(fault.includes(`${nearest}?`), fault)
  }
  t.match(faults({ FANFARE_PORT: '80' }), [/did you mean PORT\?/])
  t.match(faults({ FANFARE_CORS_ORIGINS: 'https://a.example,*' }), [/"\*" cannot be combined/])
  t.match(faults({ FANFARE_TRUST_PROXY: '10.0.0.1,0.0.0.0/0' }), [
    /"0\.0\.0\.0\/0" is every IPv4 address: write true to trust every proxy$/,
  ])
  t.match(faults({ FANFARE_TRUST_PROXY: '::/0' }), [/"::\/0" is every IPv6 address/])
  t.strictSame(faults({ FANFARE_ZZZZZZ: '1' }), ['FANFARE_ZZZZZZ is unknown.'], 'no variable has a similar name')
  t.match(faults({ FANFARE_: '' }), [/^FANFARE_ is unknown/], 'also if the variable is empty')
  t.strictSame(faults({ PATH: '/bin', fanfare_heartbeat: 'x', NODE_ENV: 'production', PORTS: 'x' }), [])
  t.end()
})

await t.test('refusals do not repeat secrets', (t) => {
  const texts = [
    ...faults({ FANFARE_JWT_SECRET: 'hunter2', PORT: 'x' }),
    ...faults({ FANFARE_JWT_SECERT: 'hunter2' }),
    ...faults({ FANFARE_JWT_PUBLIC_KEY: 'hunter2', PORT: 'x' }),
    ...faults({ FANFARE_LOG: 'nats://hub:hunter2@localhost' }),
  ]
  t.equal(texts.length, 4)
  for (const text of texts) t.notMatch(text, /hunter2/)
  t.end()
})

await t.test('variables that Kubernetes sets for a Service named fanfare are ignored', (t) => {
  const injected = {
    FANFARE_SERVICE_HOST: '10.0.0.1',
    FANFARE_SERVICE_PORT: '3000',
    FANFARE_SERVICE_PORT_HTTP: '3000',
    FANFARE_PORT: 'tcp://10.0.0.1:3000',
    FANFARE_PORT_3000_TCP: 'tcp://10.0.0.1:3000',
    FANFARE_PORT_3000_TCP_ADDR: '10.0.0.1',
  }
  t.strictSame(loadSettings(injected), loadSettings({}))
  t.equal(faults({ FANFARE_PORT: '3000' }).length, 1, 'FANFARE_PORT alone is an error')
  t.end()
})

await t.test('options are values or strings, and replace the defaults', (t) => {
  const defaults = resolveSettings({})
  t.strictSame(defaults, loadSettings({}).hub)
  t.strictSame(
    resolveSettings({
      heartbeat: 1_000,
      corsOrigins: ['https://a.example', 'https://b.example'],
      jwtSecret: 'x',
      queryToken: true,
    }),
    {
      ...defaults,
      heartbeat: 1_000,
      corsOrigins: ['https://a.example', 'https://b.example'],
      jwtSecret: 'x',
      queryToken: true,
    },
  )
  t.strictSame(
    resolve({
      heartbeat: '1s',
      retainBytes: '1KiB',
      corsOrigins: 'https://a.example, https://b.example',
      maxConnectionAge: 'off',
    }),
    {
      ...defaults,
      heartbeat: 1_000,
      retainBytes: 1_024,
      corsOrigins: ['https://a.example', 'https://b.example'],
      maxConnectionAge: 0,
    },
  )
  t.strictSame(resolve({ heartbeat: undefined, jwtSecret: undefined }), defaults, 'undefined counts as missing')
  t.not(resolveSettings({}).corsOrigins, resolveSettings({}).corsOrigins, 'every call returns its own lists')
  for (const [name, values] of Object.entries({
    heartbeat: [1, 1e9],
    retainBytes: [0, 1, 1e12],
    maxConnectionAge: [0, 5_000],
    maxConnections: [1, 1e6],
    log: ['memory', 'file:/x'],
  })) {
    for (const value of values) t.match(resolve({ [name]: value }), { [name]: value }, `${name}: ${value}`)
  }
  t.end()
})

/** Options of any type, as JavaScript code may pass them. */
function resolve(options: Record<string, unknown>): Settings {
  return resolveSettings(options)
}

/** Values of every JavaScript type. An option accepts only those of its kind below. */
const VALUES = {
  null: null,
  true: true,
  false: false,
  '0': 0,
  '1': 1,
  '-1': -1,
  '1.5': 1.5,
  NaN: NaN,
  Infinity: Infinity,
  '2 ** 53': 2 ** 53,
  '1e21': 1e21,
  '5n': 5n,
  'a symbol': Symbol('x'),
  'a function': () => 1,
  'an object': {},
  'a date': new Date(0),
  'a String': Object('memory') as unknown,
  'an object that is written as a number': { toString: () => '1' },
  'an object that throws': {
    toString: () => {
      throw new Error('mine')
    },
  },
  'an empty array': [],
  'an array of a number': [1],
  'an array of an array': [['a']],
  'an array of null': [null],
  'an array with a comma': ['a,b'],
}

await t.test('every option takes values of its own kind, and strings as in the environment', (t) => {
  const { hub } = loadSettings({})
  for (const option of Object.keys(hub) as (keyof Settings)[]) {
    const fallback = hub[option]
    const kind = Array.isArray(fallback) ? 'list' : typeof fallback
    const own: Record<string, (keyof typeof VALUES)[]> = {
      list: ['an empty array'],
      number: ['0', '1'],
      boolean: ['true', 'false'],
    }
    for (const [name, value] of Object.entries(VALUES)) {
      const mayBe = (own[kind] ?? []).some((one) => one === name)
      let taken: unknown
      try {
        taken = resolve({ [option]: value })[option]
      } catch (err) {
        t.match(
          err,
          { name: 'SettingsError', message: new RegExp(`^The option ${option}: .* must be `) },
          `${option}: ${name}`,
        )
        if (mayBe) t.equal(name, '0', `${option} takes ${name}`)
        continue
      }
      t.ok(mayBe, `${option} takes ${name}`)
      t.strictSame(taken, value, `${option} keeps ${name}`)
    }
  }
  t.throws(() => resolve({ heartbeat: '15' }), {
    message: 'The option heartbeat: "15" must be a duration such as 250ms, 15s or 24h, more than 0',
  })
  t.throws(() => resolve({ heartbeat: -1 }), {
    message:
      'The option heartbeat: -1 must be a whole number of milliseconds, or a string as in the environment: a duration such as 250ms, 15s or 24h, more than 0',
  })
  for (const retainBytes of [-1, NaN])
    t.throws(() => resolve({ retainBytes }), {
      message: /^The option retainBytes: (-1|NaN) must be a whole number of bytes/,
    })
  t.equal(resolve({ retainBytes: 0 }).retainBytes, 0, '0 means auto')
  for (const drain of [86_400_001, '25h']) t.throws(() => resolve({ drain }), { message: /at most 24h$/ })
  t.end()
})

await t.test('unknown and invalid options are refused by name', (t) => {
  t.throws(() => resolve({ heartBeat: 1 }), {
    name: 'SettingsError',
    message: 'The option heartBeat is unknown; did you mean heartbeat?',
  })
  t.throws(() => resolve({ zzzzzz: 1 }), { name: 'SettingsError', message: 'The option zzzzzz is unknown.' })
  t.throws(() => resolve({ host: 'x' }), { name: 'SettingsError', message: /host/ })
  t.throws(() => resolve({ jwtSecret: 'x', jwtPublicKey: 'y' }), {
    name: 'SettingsError',
    message: /set one of FANFARE_JWT_SECRET/,
  })
  const wrong: [option: string, value: unknown][] = [
    ['heartbeat', 'soon'],
    ['heartbeat', NaN],
    ['heartbeat', -1],
    ['heartbeat', Infinity],
    ['heartbeat', null],
    ['heartbeat', {}],
    ['maxConnections', 0],
    ['maxConnections', 1.5],
    ['retainEvents', '0'],
    ['maxEventSize', '1'],
    ['corsOrigins', ['app.example.com']],
    ['corsOrigins', 'https://a.example/'],
    ['anonymousSubscribe', ['a..b']],
    ['queryToken', 'no'],
    ['queryToken', 1],
    ['log', 'disk'],
    ['durability', 'none'],
    ['jwtSecret', ''],
    ['jwtPublicKey', ''],
    ['jwtSecret', 7],
  ]
  for (const [option, value] of wrong)
    t.throws(
      () => resolve({ [option]: value }),
      { name: 'SettingsError', message: option },
      `${option}: ${JSON.stringify(value)}`,
    )
  t.end()
})

await t.test('every variable has a description for the docs', (t) => {
  for (const { name, description, expects, default: fallback } of describeSettings()) {
    t.match(name, /^(HOST|PORT|LOG_LEVEL|FANFARE_[A-Z_]+)$/)
    t.match(description, /^[A-Z].*\.$/)
    t.match(expects, /./)
    if (fallback !== undefined && fallback !== '')
      t.strictSame(
        loadSettings({ [name]: fallback }),
        loadSettings({}),
        `the default of ${name} equals the unset value`,
      )
  }
  t.end()
})
