import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { KeySet as Keys, type KeyHeader, type KeySetOptions } from '../../src/auth/key-set.js'
import { poll } from '../helper/deadline.js'
import { jwk, startKeyServer } from './key-server.js'

/** Finds one key like the verifier: first among the known keys, then after a fetch. */
class KeySet {
  readonly set: Keys
  readonly refresh: () => Promise<void>

  constructor(url: string, options?: KeySetOptions) {
    this.set = new Keys(url, options)
    this.refresh = () => this.set.refresh()
  }

  /** @param token the token that asks for the key; by default one per header */
  async find(header: KeyHeader, token = JSON.stringify(header)): Promise<KeyObject> {
    const presentedAt = performance.now()
    let found = await this.set.find(header)
    if (found.length === 0) {
      await this.refresh()
      found = await this.set.find(header)
    }
    const [key, ...more] = found
    if (more.length > 0) throw new Error(`${more.length} more keys than one`)
    if (!key) throw this.set.refusalOf(token, header, presentedAt)
    return key
  }
}

const first = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const second = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

await t.test('keys are found by their kid, and fetched once', async (t) => {
  const server = await startKeyServer(t, [
    jwk(first, { kid: 'k1' }),
    jwk(second, { kid: 'k2' }),
    jwk(rsa, { kid: 'r', alg: 'RS256', use: 'sig' }),
  ])
  const keys = new KeySet(server.url)
  const [a, b, again] = await Promise.all([
    keys.find({ alg: 'ES256', kid: 'k1' }),
    keys.find({ alg: 'ES256', kid: 'k2' }),
    keys.find({ alg: 'ES256', kid: 'k1' }),
  ])
  t.ok(a.equals(first.publicKey))
  t.ok(b.equals(second.publicKey))
  t.equal(again, a, 'both calls return the same object')
  t.ok((await keys.find({ alg: 'RS256' })).equals(rsa.publicKey), 'a single matching key is found without kid')
  t.equal(server.fetches, 1)
})

await t.test('refuses tokens without a matching key', async (t) => {
  const server = await startKeyServer(t, [
    jwk(first, { kid: 'k1' }),
    jwk(second, { kid: 'k2' }),
    jwk(rsa, { kid: 'r', alg: 'RS256' }),
    jwk(rsa, { kid: 'e', use: 'enc' }),
  ])
  const keys = new KeySet(server.url, { cooldown: 0 })
  for (const header of [
    { alg: 'ES256', kid: 'k3' },
    { alg: 'ES384', kid: 'k1' },
    { alg: 'RS256', kid: 'k1' },
    { alg: 'PS256', kid: 'r' },
    { alg: 'RS512', kid: 'r' },
    { alg: 'RS256', kid: 'e' },
    { alg: 'ES256', kid: '../../k1' },
    { alg: 'ES256', kid: '__proto__' },
    { alg: 'ES384' },
  ]) {
    await t.rejects(keys.find(header), { code: 'invalid-signature' }, JSON.stringify(header))
  }
  for (const kid of ['', 'x'.repeat(257), 7, null, ['k1'], { k1: 1 }, true])
    await t.rejects(keys.find({ alg: 'ES256', kid }), { code: 'malformed-token' }, JSON.stringify(kid).slice(0, 20))
})

await t.test('a fetch finds a new key', async (t) => {
  const server = await startKeyServer(t, [jwk(first, { kid: 'k1' })])
  let changes = 0
  const keys = new KeySet(server.url, { cooldown: 0, onChange: () => changes++ })
  await keys.find({ alg: 'ES256', kid: 'k1' })
  server.keys = [jwk(second, { kid: 'k2' })]
  t.ok((await keys.find({ alg: 'ES256', kid: 'k2' })).equals(second.publicKey))
  t.equal(changes, 1)
  await t.rejects(keys.find({ alg: 'ES256', kid: 'k1' }), { code: 'invalid-signature' }, 'a removed key is not found')
})

await t.test('many unknown keys cause few requests to the key server', async (t) => {
  const server = await startKeyServer(t, [jwk(first, { kid: 'k1' })])
  const keys = new KeySet(server.url, { cooldown: 60_000 })
  await keys.refresh()
  for (let n = 0; n < 20; n++) {
    const unknown = Array.from({ length: 200 }, () => keys.find({ alg: 'ES256', kid: randomBytes(8).toString('hex') }))
    for (const result of await Promise.allSettled(unknown))
      t.match(result, { status: 'rejected', reason: { code: 'keys-unavailable' } })
  }
  await keys.find({ alg: 'ES256', kid: 'k1' })
  t.equal(server.fetches, 1)
  server.keys = undefined
  const failing = new KeySet(server.url, { cooldown: 60_000 })
  for (let n = 0; n < 20; n++)
    await t.rejects(failing.find({ alg: 'ES256', kid: 'k1' }), { code: 'keys-unavailable', isTemporary: true })
  t.equal(server.fetches, 2, 'a failing key server gets few requests too')
})

await t.test('several keys may match', async (t) => {
  const many = Array.from({ length: 30 }, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }))
  const server = await startKeyServer(t, [
    ...many.map((pair, n) => jwk(pair, n < 3 ? { kid: 'twice' } : {})),
    jwk(rsa, { kid: 'r' }),
    { kty: 'EC', crv: 'P-256', kid: 'twice', x: 'AA', y: 'AA' },
  ])
  const keys = new Keys(server.url, { cooldown: 60_000 })
  const twice = await keys.find({ alg: 'ES256', kid: 'twice' })
  t.strictSame(
    twice.map((key) => many.findIndex(({ publicKey }) => key.equals(publicKey))),
    [0, 1, 2],
    'all usable keys with this kid',
  )
  t.equal((await keys.find({ alg: 'ES256' })).length, 20, 'at most 20 keys match')
  t.equal((await keys.find({ alg: 'ES256' }))[0], twice[0], 'both calls return the same object')
})

await t.test('RSA keys of fewer than 2,048 bits are not used', async (t) => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 })
  const server = await startKeyServer(t, [jwk(weak, { kid: 'weak' }), jwk(weak), jwk(rsa, { kid: 'r' })])
  const told: unknown[] = []
  const keys = new KeySet(server.url, { cooldown: 0, onWeakKeys: (kids) => told.push(kids) })
  for (const alg of ['RS256', 'PS512']) {
    t.ok((await keys.find({ alg })).equals(rsa.publicKey), alg)
    await t.rejects(
      keys.find({ alg, kid: 'weak' }),
      { code: 'invalid-signature', message: /fewer than 2,048 bits/ },
      alg,
    )
  }
  t.strictSame(told, [['weak', undefined]])
  server.keys = [jwk(weak, { kid: 'weak' })]
  const errors: unknown[] = []
  const none = new KeySet(server.url, { onHealth: (err) => errors.push(err?.message) })
  await t.rejects(none.find({ alg: 'RS256', kid: 'weak' }), { code: 'keys-unavailable' })
  t.match(errors, [/no usable public keys.*fewer than 2,048 bits/])
})

await t.test('an Ed25519 key is found by either name of its algorithm (RFC 9864)', async (t) => {
  const ed25519 = generateKeyPairSync('ed25519')
  for (const members of [{}, { alg: 'EdDSA' }, { alg: 'Ed25519' }]) {
    const server = await startKeyServer(t, [jwk(ed25519, { kid: 'e', ...members }), jwk(first, { kid: 'k1' })])
    const keys = new KeySet(server.url, { cooldown: 0 })
    for (const alg of ['EdDSA', 'Ed25519'])
      t.ok((await keys.find({ alg, kid: 'e' })).equals(ed25519.publicKey), `${JSON.stringify(members)} ${alg}`)
    await t.rejects(keys.find({ alg: 'Ed25519', kid: 'k1' }), { code: 'invalid-signature' })
  }
})

await t.test('an outage of the key server does not lock out tokens of known keys', async (t) => {
  const server = await startKeyServer(t, [jwk(first, { kid: 'k1' })])
  const health: (string | undefined)[] = []
  const keys = new KeySet(server.url, { cooldown: 0, maxAge: 0, onHealth: (err) => health.push(err?.message) })
  const key = await keys.find({ alg: 'ES256', kid: 'k1' })
  for (const answer of [undefined, 'not JSON', '{}', '{"keys":7}', '[]', 'null']) {
    server.keys = answer
    await delay(2) // the keys are too old now (maxAge)
    t.equal(await keys.find({ alg: 'ES256', kid: 'k1' }), key, String(answer))
    await t.rejects(keys.find({ alg: 'ES256', kid: 'k2' }), { code: 'keys-unavailable', status: 503 }, String(answer))
  }
  t.strictSame(health, ['the key server answered 500'], 'the outage is reported once')
  server.keys = [jwk(second, { kid: 'k2' })]
  const next = await poll(
    () => keys.find({ alg: 'ES256', kid: 'k2' }).catch(() => undefined),
    () => 'the new key is not found',
  )
  t.ok(next.equals(second.publicKey))
  t.strictSame(health.slice(1), [undefined], 'the end of the outage is reported once')
})

await t.test('a token of a known key does not wait for a fetch', async (t) => {
  const server = await startKeyServer(t, [jwk(first, { kid: 'k1' })])
  const keys = new KeySet(server.url, { cooldown: 0, maxAge: 0 })
  const key = await keys.find({ alg: 'ES256', kid: 'k1' })
  let release = (): void => undefined
  server.hold = new Promise((resolve) => (release = resolve))
  await delay(2) // the keys are too old now (maxAge)
  t.equal(await keys.find({ alg: 'ES256', kid: 'k1' }), key)
  await poll(
    async () => (server.fetches === 2 ? true : undefined),
    () => 'the key set is not fetched again',
  )
  release()
})

await t.test('a set without keys does not replace the known keys', async (t) => {
  const server = await startKeyServer(t, [jwk(first, { kid: 'k1' })])
  const keys = new KeySet(server.url, { cooldown: 0, maxAge: 0 })
  await keys.find({ alg: 'ES256', kid: 'k1' })
  for (const useless of [[], [{ kty: 'oct', kid: 'k1', k: 'AAAA' }]]) {
    server.keys = useless
    await keys.refresh()
    t.ok((await keys.find({ alg: 'ES256', kid: 'k1' })).equals(first.publicKey))
  }
  await t.rejects(keys.find({ alg: 'ES256', kid: 'k2' }), { code: 'keys-unavailable' })
})

await t.test('a malformed or private key is not used, and is reported once', async (t) => {
  const broken = [
    { kty: 'EC', crv: 'P-256', kid: 'broken', x: 'AA', y: 'AA' },
    { ...second.privateKey.export({ format: 'jwk' }), kid: 'private' },
    { kty: 'RSA' },
  ]
  const server = await startKeyServer(t, [...broken, jwk(first, { kid: 'k1' })])
  const told: unknown[] = []
  const keys = new KeySet(server.url, { cooldown: 0, onBrokenKeys: (kids) => told.push(kids) })
  t.ok((await keys.find({ alg: 'ES256' })).equals(first.publicKey), 'the only usable key is found without kid')
  for (const kid of ['broken', 'private'])
    await t.rejects(
      keys.find({ alg: 'ES256', kid }),
      { code: 'invalid-signature', message: /malformed or private/ },
      kid,
    )
  server.keys = [jwk(rsa, { kid: 'r' }), ...broken]
  t.ok((await keys.find({ alg: 'RS256', kid: 'r' })).equals(rsa.publicKey), 'the fetched set has a new key')
  t.strictSame(told, [['broken', 'private', undefined]])
  server.keys = [...broken.map((key) => ({ ...key, kid: 'newly-broken' })), jwk(first, { kid: 'k1' })]
  await keys.find({ alg: 'ES256', kid: 'k1' })
  t.strictSame(told.slice(1), [['newly-broken', 'newly-broken', 'newly-broken']], 'a new broken key is reported')
})

await t.test('items that are not objects do not prevent the use of other keys', async (t) => {
  const server = await startKeyServer(t, [])
  server.keys = [null, 5, 'x', [], jwk(first, { kid: 'k1' })] as object[]
  const told: unknown[] = []
  const keys = new KeySet(server.url, { cooldown: 0, onBrokenKeys: (kids) => told.push(kids) })
  t.ok((await keys.find({ alg: 'ES256', kid: 'k1' })).equals(first.publicKey))
  t.ok((await keys.find({ alg: 'ES256' })).equals(first.publicKey))
  t.strictSame(told, [[undefined, undefined, undefined, undefined]])
})

await t.test('a set of malformed and private keys alone is an outage', async (t) => {
  const server = await startKeyServer(t, [
    { kty: 'EC', crv: 'P-256', kid: 'broken', x: 'AA', y: 'AA' },
    { ...first.privateKey.export({ format: 'jwk' }), kid: 'private' },
  ])
  const errors: unknown[] = []
  const keys = new KeySet(server.url, { onHealth: (err) => errors.push(err?.message) })
  for (const kid of ['broken', 'private'])
    await t.rejects(keys.find({ alg: 'ES256', kid }), { code: 'keys-unavailable' }, kid)
  t.match(errors, [/no usable public keys: its keys are malformed, private/])
})
