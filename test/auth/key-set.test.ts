import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { KeySet } from '../../src/auth/key-set.js'
import { poll } from '../helper/deadline.js'
import { jwk, startKeyServer } from './key-server.js'

const first = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const second = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

await t.test('keys are found by their kid, and fetched once', async (t) => {
  const server = await startKeyServer(t, [jwk(first, { kid: 'k1' }), jwk(second, { kid: 'k2' }), jwk(rsa, { kid: 'r', alg: 'RS256', use: 'sig' })])
  const keys = new KeySet(server.url)
  const [a, b, again] = await Promise.all([keys.find({ alg: 'ES256', kid: 'k1' }), keys.find({ alg: 'ES256', kid: 'k2' }), keys.find({ alg: 'ES256', kid: 'k1' })])
  t.ok(a.equals(first.publicKey))
  t.ok(b.equals(second.publicKey))
  t.equal(again, a, 'the same key is the same object')
  t.ok((await keys.find({ alg: 'RS256' })).equals(rsa.publicKey), 'the only one that fits need not be named')
  t.equal(server.fetches, 1)
})

await t.test('what there is no key for', async (t) => {
  const server = await startKeyServer(t, [jwk(first, { kid: 'k1' }), jwk(second, { kid: 'k2' }), jwk(rsa, { kid: 'r', alg: 'RS256' }), jwk(rsa, { kid: 'e', use: 'enc' })])
  const keys = new KeySet(server.url)
  for (const header of [{ alg: 'ES256', kid: 'k3' }, { alg: 'ES384', kid: 'k1' }, { alg: 'RS256', kid: 'k1' }, { alg: 'PS256', kid: 'r' }, { alg: 'RS512', kid: 'r' }, { alg: 'RS256', kid: 'e' }, { alg: 'ES256', kid: '../../k1' }, { alg: 'ES256', kid: '__proto__' }, { alg: 'ES256' }]) {
    await t.rejects(keys.find(header), { code: 'invalid-signature' }, JSON.stringify(header))
  }
  for (const kid of ['', 'x'.repeat(257), 7, null, ['k1'], { k1: 1 }, true]) await t.rejects(keys.find({ alg: 'ES256', kid }), { code: 'malformed-token' }, JSON.stringify(kid).slice(0, 20))
})

await t.test('a new key is met by fetching again', async (t) => {
  const server = await startKeyServer(t, [jwk(first, { kid: 'k1' })])
  let changes = 0
  const keys = new KeySet(server.url, { cooldown: 0, onChange: () => changes++ })
  await keys.find({ alg: 'ES256', kid: 'k1' })
  server.keys = [jwk(second, { kid: 'k2' })]
  t.ok((await keys.find({ alg: 'ES256', kid: 'k2' })).equals(second.publicKey))
  t.equal(changes, 1)
  await t.rejects(keys.find({ alg: 'ES256', kid: 'k1' }), { code: 'invalid-signature' }, 'and one that is gone is gone')
})

await t.test('a flood of unknown keys is no flood of requests', async (t) => {
  const server = await startKeyServer(t, [jwk(first, { kid: 'k1' })])
  const keys = new KeySet(server.url, { cooldown: 60_000 })
  for (let n = 0; n < 20; n++) {
    const unknown = Array.from({ length: 20 }, () => keys.find({ alg: 'ES256', kid: randomBytes(8).toString('hex') }))
    for (const result of await Promise.allSettled(unknown)) t.match(result, { status: 'rejected', reason: { code: 'invalid-signature' } })
  }
  await keys.find({ alg: 'ES256', kid: 'k1' })
  t.equal(server.fetches, 1)
  server.keys = undefined
  const failing = new KeySet(server.url, { cooldown: 60_000 })
  for (let n = 0; n < 20; n++) await t.rejects(failing.find({ alg: 'ES256', kid: 'k1' }), { code: 'keys-unavailable', isTemporary: true })
  t.equal(server.fetches, 2, 'nor while it fails')
})

await t.test('an outage locks out nobody whose key is known', async (t) => {
  const server = await startKeyServer(t, [jwk(first, { kid: 'k1' })])
  const health: (string | undefined)[] = []
  const keys = new KeySet(server.url, { cooldown: 0, maxAge: 0, onHealth: (err) => health.push(err?.message) })
  const key = await keys.find({ alg: 'ES256', kid: 'k1' })
  for (const answer of [undefined, 'not JSON', '{}', '{"keys":7}', '[]', 'null']) {
    server.keys = answer
    await delay(2)
    t.equal(await keys.find({ alg: 'ES256', kid: 'k1' }), key, String(answer))
    await t.rejects(keys.find({ alg: 'ES256', kid: 'k2' }), { code: 'keys-unavailable', status: 503 }, String(answer))
  }
  t.strictSame(health, ['the key server answered 500'], 'which is told once')
  server.keys = [jwk(second, { kid: 'k2' })]
  const next = await poll(() => keys.find({ alg: 'ES256', kid: 'k2' }).catch(() => undefined), () => 'the new key is not known')
  t.ok(next.equals(second.publicKey))
  t.strictSame(health.slice(1), [undefined], 'and so is its end')
})

await t.test('whose key is known does not wait for a fetch', async (t) => {
  const server = await startKeyServer(t, [jwk(first, { kid: 'k1' })])
  const keys = new KeySet(server.url, { cooldown: 0, maxAge: 0 })
  const key = await keys.find({ alg: 'ES256', kid: 'k1' })
  let release = (): void => undefined
  server.hold = new Promise((resolve) => (release = resolve))
  await delay(2)
  t.equal(await keys.find({ alg: 'ES256', kid: 'k1' }), key)
  await poll(async () => (server.fetches === 2 ? true : undefined), () => 'the set is not fetched again')
  release()
})

await t.test('a key that cannot be used is the key server\'s fault', async (t) => {
  const server = await startKeyServer(t, [{ kty: 'EC', crv: 'P-256', kid: 'broken', x: 'AA', y: 'AA' }, { ...first.privateKey.export({ format: 'jwk' }), kid: 'private' }])
  const keys = new KeySet(server.url)
  for (const kid of ['broken', 'private']) await t.rejects(keys.find({ alg: 'ES256', kid }), { code: 'keys-unavailable' }, kid)
})

await t.test('a set without keys locks out nobody', async (t) => {
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
