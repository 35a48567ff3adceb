/**
 * The key that tokens are verified with decides which algorithm they must be signed with; the token has no say in it.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import type { Algorithm } from 'fast-jwt'
import { SettingsError } from '../model/settings-error.js'

/**
 * The name of a signature's algorithm: RFC 7518, 3.1, RFC 8037 and RFC 9864. fast-jwt verifies the last ones, and has
 * no type for them.
 */
export type SignatureAlgorithm = Algorithm | 'Ed25519' | 'Ed448'

/** A key and the algorithms that go with it. */
export interface VerificationKey {
  key: string
  algorithms: SignatureAlgorithm[]
}

/** How many bits an RSA key has at least (RFC 7518, 3.3 and 3.5). */
const RSA_BITS = 2_048

const EC_ALGORITHMS: Record<string, Algorithm> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }

/**
 * A shared secret: HS256 alone.
 * @throws SettingsError when it is a key of another kind
 */
export function fromSecret(secret: string): VerificationKey {
  if (secret.includes('-----BEGIN'))
    throw new SettingsError('FANFARE_JWT_SECRET holds a key in PEM: a public key belongs in FANFARE_JWT_PUBLIC_KEY.')
  return { key: secret, algorithms: ['HS256'] }
}

/**
 * A public key in PEM, in which line ends may be written as `\n`.
 * @throws SettingsError when it is none, or a private one
 */
export function fromPublicKey(text: string): VerificationKey {
  const pem = text.replaceAll('\\n', '\n').trim()
  if (pem.includes('PRIVATE KEY'))
    throw new SettingsError(
      'FANFARE_JWT_PUBLIC_KEY holds a private key: the hub needs only the public one, and should not have the other.',
    )
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch (err) {
    throw new SettingsError('FANFARE_JWT_PUBLIC_KEY holds no public key in PEM ("-----BEGIN PUBLIC KEY-----").', {
      cause: err,
    })
  }
  if (isWeakRsa(key))
    throw new SettingsError(
      `FANFARE_JWT_PUBLIC_KEY holds an RSA key of ${key.asymmetricKeyDetails?.modulusLength ?? 0} bits: tokens are signed with ${RSA_BITS} or more (RFC 7518, 3.3).`,
    )
  return { key: pem, algorithms: algorithmsOf(key) }
}

/**
 * A public key of a key set, for one algorithm that its token names. An Ed25519 key has two names for the same one (RFC
 * 9864, 2.2).
 */
export function fromKeyObject(key: KeyObject, algorithm: SignatureAlgorithm): VerificationKey {
  const algorithms = algorithmsOf(key)
  return {
    key: key.export({ type: 'spki', format: 'pem' }).toString(),
    algorithms: algorithms.includes('EdDSA') ? algorithms : [algorithm],
  }
}

/** Whether a key is RSA and so short that no algorithm for tokens may use it (RFC 7518, 3.3 and 3.5). */
export function isWeakRsa({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  return asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) < RSA_BITS
}

function algorithmsOf(key: KeyObject): SignatureAlgorithm[] {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
    case 'ed25519':
      return ['EdDSA', 'Ed25519']
    case 'ed448':
      return ['EdDSA', 'Ed448']
    case 'ec': {
      const algorithm = EC_ALGORITHMS[key.asymmetricKeyDetails?.namedCurve ?? '']
      if (algorithm) return [algorithm]
    }
  }
  throw new SettingsError(
    'FANFARE_JWT_PUBLIC_KEY is of a kind that tokens are not signed with: use RSA, EC (P-256, P-384, P-521) or Ed25519.',
  )
}
