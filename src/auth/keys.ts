/** Keys that verify tokens. The key determines the accepted algorithms, never the token. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import type { Algorithm } from 'fast-jwt'
import { SettingsError } from '../model/settings-error.js'

/**
 * The name of a signature's algorithm (RFC 7518, 3.1; RFC 8037; RFC 9864). fast-jwt supports the names of RFC 9864, but
 * its types lack them.
 */
export type SignatureAlgorithm = Algorithm | 'Ed25519' | 'Ed448'

/** A key and its accepted algorithms. */
export interface VerificationKey {
  key: string
  algorithms: SignatureAlgorithm[]
}

/** The minimum size of an RSA key in bits (RFC 7518, 3.3 and 3.5). */
const RSA_BITS = 2_048

const EC_ALGORITHMS: Record<string, Algorithm> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }

/**
 * Returns the key of a shared secret, for HS256 only.
 * @throws SettingsError for a key of another kind
 */
export function fromSecret(secret: string): VerificationKey {
  if (secret.includes('-----BEGIN'))
    throw new SettingsError('FANFARE_JWT_SECRET holds a PEM key: set FANFARE_JWT_PUBLIC_KEY for a public key.')
  return { key: secret, algorithms: ['HS256'] }
}

/**
 * Returns the key of a public key in PEM. Line ends may be written as `\n`.
 * @throws SettingsError for a text that is not a public key, and for a private key
 */
export function fromPublicKey(text: string): VerificationKey {
  const pem = text.replaceAll('\\n', '\n').trim()
  if (pem.includes('PRIVATE KEY'))
    throw new SettingsError(
      'FANFARE_JWT_PUBLIC_KEY holds a private key: set the public key, and keep the private key away from the hub.',
    )
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch (err) {
    throw new SettingsError('FANFARE_JWT_PUBLIC_KEY is not a public key in PEM ("-----BEGIN PUBLIC KEY-----").', {
      cause: err,
    })
  }
  if (isWeakRsa(key))
    throw new SettingsError(
      `FANFARE_JWT_PUBLIC_KEY holds an RSA key of ${key.asymmetricKeyDetails?.modulusLength ?? 0} bits: an RSA key needs ${RSA_BITS} bits or more (RFC 7518, 3.3).`,
    )
  return { key: pem, algorithms: algorithmsOf(key) }
}

/**
 * Returns a public key of a key set for the algorithm in a token's header. The algorithm of Ed25519 has two names (RFC
 * 9864, 2.2), and the key accepts both.
 */
export function fromKeyObject(key: KeyObject, algorithm: SignatureAlgorithm): VerificationKey {
  const algorithms = algorithmsOf(key)
  return {
    key: key.export({ type: 'spki', format: 'pem' }).toString(),
    algorithms: algorithms.includes('EdDSA') ? algorithms : [algorithm],
  }
}

/** Whether a key is an RSA key that is too short for tokens (RFC 7518, 3.3 and 3.5). */
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
    'FANFARE_JWT_PUBLIC_KEY is a key of an unsupported kind: use RSA, EC (P-256, P-384, P-521) or Ed25519.',
  )
}
