/** `fanfare token`: issues and explains tokens. */
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { developmentKey } from '../../src/commands/dev-banner.js'
import { signWith } from '../auth/sign.js'
import { runCommand, type CommandOptions } from '../helper/command.js'
import { history } from '../helper/http.js'
import { startHub } from '../helper/process.js'
import { SECRET, token } from '../helper/token.js'

async function make(t: Test, args: string[], options: CommandOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await runCommand(t, ['token', ...args], options)
  t.strictSame({ code, stderr }, { code: 0, stderr: '' }, `fanfare token ${args.join(' ')}`)
  return stdout.trimEnd()
}

function claimsOf(jwt: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(jwt.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>
}

await t.test('the command issues a token with all options', async (t) => {
  const before = Math.floor(Date.now() / 1_000)
  const made = await make(
    t,
    [
      '--sub',
      'u1',
      '--subscribe',
      'orders.*,users.{sub}.**',
      '--subscribe',
      'news',
      '--publish',
      'orders.*',
      '--presence',
      'rooms.*',
      '--admin',
      '--info',
      '{"name":"x"}',
      '--expires',
      '1h',
      '--jti',
      'j1',
    ],
    {
      env: {
        FANFARE_JWT_ISSUER: 'https://id.example.com',
        FANFARE_JWT_AUDIENCE: 'hub',
        FANFARE_JWT_CLAIM: 'https://example.com/hub',
      },
    },
  )
  const { exp, iat, ...claims } = claimsOf(made) as { exp: number; iat: number }
  t.strictSame(claims, {
    iss: 'https://id.example.com',
    aud: 'hub',
    sub: 'u1',
    jti: 'j1',
    'https://example.com/hub': {
      subscribe: ['orders.*', 'users.{sub}.**', 'news'],
      publish: ['orders.*'],
      presence: ['rooms.*'],
      admin: true,
      info: { name: 'x' },
    },
  })
  t.ok(iat >= before && exp >= before + 3_600 && exp <= before + 3_660)
})

await t.test('a hub accepts the token', async (t) => {
  const hub = await startHub(t)
  t.equal((await history(hub, 'orders.1', '', await make(t, ['--subscribe', 'orders.*']))).status, 200)
  t.equal((await history(hub, 'orders.1', '', await make(t, ['--publish', 'orders.*']))).status, 403)
})

await t.test('an --info that is nested too deep is refused', async (t) => {
  for (const depth of [601, 20_000]) {
    const { code, stderr } = await runCommand(t, ['token', '--info', `${'['.repeat(depth)}${']'.repeat(depth)}`])
    t.equal(code, 1)
    t.match(stderr, /--info is nested deeper than 600 levels of arrays and objects/)
  }
  await make(t, ['--info', `${'['.repeat(600)}${']'.repeat(600)}`])
})

await t.test('a token is signed with a key from a file', async (t) => {
  const secret = 'a secret in a file, at least thirty-two characters long'
  const pairs = [
    generateKeyPairSync('rsa', { modulusLength: 2048 }),
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('ed25519'),
  ] as const
  const pem = (type: 'pkcs8' | 'sec1', key: (typeof pairs)[number]['privateKey']) =>
    key.export({ type, format: 'pem' }).toString()
  const files = {
    secret: `${secret}\n`,
    rsa: pem('pkcs8', pairs[0].privateKey),
    ec: pem('pkcs8', pairs[1].privateKey),
    sec1: pem('sec1', pairs[1].privateKey),
    ed: pem('pkcs8', pairs[2].privateKey),
  }
  const folder = t.testdir(files)
  const explain = (made: string, env: Record<string, string>) =>
    runCommand(t, ['token', '--explain', made], { env: { FANFARE_JWT_SECRET: '', ...env } })
  const none = { env: { FANFARE_JWT_SECRET: '' } }
  t.match(
    await explain(await make(t, ['--secret-file', `${folder}/secret`], none), { FANFARE_JWT_SECRET: secret }),
    { code: 0 },
    'the line end of a secret file does not count',
  )
  for (const [name, pair] of [
    ['rsa', pairs[0]],
    ['ec', pairs[1]],
    ['sec1', pairs[1]],
    ['ed', pairs[2]],
  ] as const) {
    const made = await make(t, ['--key-file', `${folder}/${name}`, '--kid', 'k1'], none)
    t.equal((JSON.parse(Buffer.from(made.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid, 'k1')
    t.match(
      await explain(made, {
        FANFARE_JWT_PUBLIC_KEY: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      }),
      { code: 0 },
      name,
    )
  }
})

await t.test('explain prints what a token allows', async (t) => {
  const made = token({
    sub: 'u1',
    jti: 'j1',
    exp: 4_000_000_000,
    subscribe: ['users.{sub}.**', 'a.*'],
    presence: ['{sub}'],
    admin: true,
    info: { name: 'x\u009b' },
  })
  const { code, stdout } = await runCommand(t, ['token', '--explain', made])
  t.strictSame(
    { code, lines: stdout.trimEnd().split('\n') },
    {
      code: 0,
      lines: [
        'subject     "u1"',
        'token id    "j1"',
        'expires     2096-10-02T07:06:40.000Z',
        'subscribe   users.u1.**, a.*',
        'publish     nothing',
        'presence    u1',
        'admin       yes',
        'info        {"name":"x\\u009b"}',
        '',
        'A hub with these settings accepts it, unless it has been revoked.',
      ],
    },
  )
  const { stdout: voids } = await runCommand(t, [
    'token',
    '--explain',
    token({ sub: 'u.1', subscribe: ['users.{sub}', 'a'] }),
  ])
  t.match(voids, /^subscribe {3}a$/m)
  t.match(voids, /"users\.\{sub\}" is void/)
  t.match(
    await runCommand(t, ['token', '--explain', token({ subscribe: ['a'] })], { env: { FANFARE_JWT_CLAIM: 'hub' } }),
    { code: 0, stdout: /no claim "hub"/ },
  )
})

await t.test('explain prints why a token would be refused', async (t) => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const good = token({ subscribe: ['a'] })
  const table: [jwt: string, env: Record<string, string>, code: string][] = [
    [token({ exp: 1 }), {}, 'expired-token'],
    [token({ nbf: 4_000_000_000 }), {}, 'inactive-token'],
    [token({}, { secret: 'another secret, at least thirty-two characters long' }), {}, 'invalid-signature'],
    [token({}, { algorithm: 'HS512' }), {}, 'invalid-algorithm'],
    [token({}, { algorithm: 'none' }), {}, 'invalid-algorithm'],
    [signWith(rsa.privateKey, 'RS256', {}), {}, 'invalid-algorithm'],
    [good, { FANFARE_JWT_ISSUER: 'x' }, 'invalid-claims'],
    [token({ subscribe: ['a..b'] }), {}, 'invalid-claims'],
    ['x', {}, 'malformed-token'],
  ]
  for (const [jwt, env, refusal] of table) {
    const { code, stdout, stderr } = await runCommand(t, ['token', '--explain', jwt], { env })
    t.strictSame({ code, stderr }, { code: 1, stderr: '' }, refusal)
    t.match(
      stdout,
      new RegExp(`^A hub with these settings refuses it: .* \\(401 ${refusal}\\)\n$`, 'm'),
      stdout.trimEnd().split('\n').at(-1)!,
    )
    t.notMatch(stdout, jwt.length > 10 ? jwt : '\0')
  }
  const keyless = { FANFARE_JWT_SECRET: '', FANFARE_LOG: 'memory' }
  t.match(await runCommand(t, ['token', '--explain', good], { env: keyless }), {
    code: 1,
    stdout: /refuses it: No key to verify/,
  })
})

await t.test('a token for development is accepted with the stored secret, as by the hub', async (t) => {
  const folder = join(t.testdir({}), 'data')
  const env = { FANFARE_JWT_SECRET: '', FANFARE_LOG: `file:${folder}` }
  const { token: made } = developmentKey(folder)
  const explain = (jwt: string, more: Record<string, string> = {}) =>
    runCommand(t, ['token', '--explain', jwt], { env: { ...env, ...more } })
  t.match(await explain(made), { code: 0, stdout: /with these settings accepts it/ })
  t.match(await explain(token({})), { code: 1, stdout: /invalid-signature/ }, 'a token of another secret')
  t.match(await explain(made, { NODE_ENV: 'production' }), { code: 1, stdout: /No key to verify/ }, 'in production')
  t.match(await explain(made, { FANFARE_JWT_SECRET: SECRET }), { code: 1, stdout: /invalid-signature/ }, 'with a key')
  const other = join(t.testdirName, 'other')
  t.match(await explain(made, { FANFARE_LOG: `file:${other}` }), { code: 1, stdout: /No key to verify/ })
  t.notOk(existsSync(other), 'nothing is created')
})

await t.test('explain fetches the keys of a key server', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const server = createServer((_request, response) =>
    response.end(JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1' }] })),
  ).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const env = {
    FANFARE_JWT_SECRET: '',
    FANFARE_JWKS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
  }
  t.match(await runCommand(t, ['token', '--explain', signWith(privateKey, 'EdDSA', {}, { kid: 'k1' })], { env }), {
    code: 0,
  })
  t.match(await runCommand(t, ['token', '--explain', signWith(privateKey, 'EdDSA', {}, { kid: 'k2' })], { env }), {
    code: 1,
    stdout: /invalid-signature/,
  })
})

await t.test('explain accepts either name of the algorithm of Ed25519 (RFC 9864)', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const env = {
    FANFARE_JWT_SECRET: '',
    FANFARE_JWT_PUBLIC_KEY: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  }
  for (const alg of ['EdDSA', 'Ed25519'] as const)
    t.match(await runCommand(t, ['token', '--explain', signWith(privateKey, alg, {})], { env }), { code: 0 }, alg)
})

await t.test('explain accepts an expired token within the tolerance', async (t) => {
  const made = token({ exp: Math.floor(Date.now() / 1_000) - 100 })
  t.match(await runCommand(t, ['token', '--explain', made], { env: { FANFARE_CLOCK_TOLERANCE: '1h' } }), {
    code: 0,
    stdout: /accepts it, though it has expired, until 20\S+Z \(FANFARE_CLOCK_TOLERANCE\), unless/,
  })
  t.match(await runCommand(t, ['token', '--explain', made]), { code: 1, stdout: /expired-token/ })
})

await t.test('an RSA key of fewer than 2,048 bits is refused', async (t) => {
  const folder = t.testdir({
    weak: generateKeyPairSync('rsa', { modulusLength: 1_024 })
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString(),
  })
  t.match(await runCommand(t, ['token', '--key-file', `${folder}/weak`]), {
    code: 1,
    stdout: '',
    stderr: /RSA key of fewer than 2,048 bits/,
  })
})

await t.test('explain reads a token from standard input', async (t) => {
  t.match(await runCommand(t, ['token', '--explain', '-'], { input: `Bearer ${token({ subscribe: ['a'] })}\n` }), {
    code: 0,
    stdout: /^subscribe {3}a$/m,
  })
})

await t.test('an invalid command line is refused', async (t) => {
  const folder = t.testdir({ 'not-a-key': 'x', empty: '' })
  for (const args of [
    ['--expires', 'soon'],
    ['--info', '{'],
    ['--subscribe', 'a..b'],
    ['--publish', 'users.{sub}'],
    ['--publish', 'users.{sub}', '--sub', 'a.b'],
    ['--unknown'],
    ['positional'],
    ['--sub'],
    ['--explain', 'x', '--sub', 'u1'],
    ['--key-file', 'a', '--secret-file', 'b'],
  ]) {
    const { code, stdout, stderr } = await runCommand(t, ['token', ...args])
    t.strictSame({ code, stdout }, { code: 1, stdout: '' }, args.join(' '))
    t.match(stderr, /^.*[.?] See fanfare token --help\.\n$/)
    t.notMatch(stderr, /^\s+at /m, 'stderr has no stack trace')
  }
  for (const [args, env] of [
    [[], { FANFARE_JWT_SECRET: '' }],
    [['--key-file', `${folder}/not-a-key`], {}],
    [['--key-file', `${folder}/missing`], {}],
    [['--secret-file', `${folder}/empty`], {}],
  ] as const) {
    const { code, stdout, stderr } = await runCommand(t, ['token', ...args], { env })
    t.strictSame({ code, stdout }, { code: 1, stdout: '' }, args.join(' '))
    t.match(stderr, /^\S.*\n$/)
    t.notMatch(stderr, /^\s+at /m, 'stderr has no stack trace')
  }
})
