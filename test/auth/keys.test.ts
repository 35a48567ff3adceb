import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import t from 'tap'
import { fromPublicKey, fromSecret } from '../../src/auth/keys.js'

function pemOf({ publicKey }: { publicKey: KeyObject }): string {
  return publicKey.export({ type: 'spki', format: 'pem' }).toString()
}

await t.test('a secret is for HS256 only', (t) => {
  t.strictSame(fromSecret('x'), { key: 'x', algorithms: ['HS256'] })
  t.end()
})

await t.test('the kind of a public key decides the algorithms', (t) => {
  t.strictSame(fromPublicKey(pemOf(generateKeyPairSync('rsa', { modulusLength: 2048 }))).algorithms, [
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
  ])
  for (const [namedCurve, algorithm] of [
    ['P-256', 'ES256'],
    ['P-384', 'ES384'],
    ['P-521', 'ES512'],
  ] as const) {
    t.strictSame(fromPublicKey(pemOf(generateKeyPairSync('ec', { namedCurve }))).algorithms, [algorithm])
  }
  t.strictSame(fromPublicKey(pemOf(generateKeyPairSync('ed25519'))).algorithms, ['EdDSA', 'Ed25519'])
  t.strictSame(fromPublicKey(pemOf(generateKeyPairSync('ed448'))).algorithms, ['EdDSA', 'Ed448'])
  t.end()
})

await t.test('line ends may be written as \\n, and space around it does not matter', (t) => {
  const publicKey = pemOf(generateKeyPairSync('ed25519'))
  t.strictSame(fromPublicKey(publicKey.trim().replaceAll('\n', '\\n')), fromPublicKey(publicKey))
  t.strictSame(fromPublicKey(` \n${publicKey}\n\n`), fromPublicKey(publicKey))
  t.end()
})

await t.test('an RSA key of fewer than 2,048 bits is refused (RFC 7518, 3.3)', (t) => {
  for (const modulusLength of [1_024, 2_040]) {
    const weak = generateKeyPairSync('rsa', { modulusLength })
    const message = new RegExp(`FANFARE_JWT_PUBLIC_KEY holds an RSA key of ${modulusLength} bits`)
    t.throws(() => fromPublicKey(pemOf(weak)), { name: 'SettingsError', message })
    t.throws(() => fromPublicKey(weak.publicKey.export({ type: 'pkcs1', format: 'pem' }).toString()), {
      name: 'SettingsError',
      message,
    })
  }
  t.end()
})

await t.test('other keys are refused, with a message that does not repeat the key', (t) => {
  const { privateKey } = generateKeyPairSync('ed25519')
  t.throws(() => fromPublicKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()), {
    name: 'SettingsError',
    message: /private key/,
  })
  for (const text of ['', 'x', 'a-secret', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----']) {
    t.throws(() => fromPublicKey(text), {
      name: 'SettingsError',
      message: /FANFARE_JWT_PUBLIC_KEY is not a public key in PEM/,
    })
  }
  for (const other of [generateKeyPairSync('x25519'), generateKeyPairSync('ec', { namedCurve: 'secp256k1' })]) {
    t.throws(() => fromPublicKey(pemOf(other)), {
      name: 'SettingsError',
      message: /use RSA, EC \(P-256, P-384, P-521\) or Ed25519/,
    })
  }
  t.end()
})
