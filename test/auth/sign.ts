import { createHmac, sign as signBytes, constants, type KeyObject } from 'node:crypto'

/** The algorithms of RFC 7518, 3.1, RFC 8037, 3.1 and RFC 9864, 2.2 that are signed with a private key. */
export type Algorithm =
  'RS256' | 'RS384' | 'RS512' | 'PS256' | 'ES256' | 'ES384' | 'ES512' | 'EdDSA' | 'Ed25519' | 'Ed448'

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Signs a JWT (RFC 7519) with Node's own cryptography only. */
export function signWith(key: KeyObject, alg: Algorithm, claims: unknown, header: object = {}): string {
  const input = `${encode({ alg, typ: 'JWT', ...header })}.${encode(claims)}`
  const padding = alg.startsWith('PS')
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : {}
  const encoding = alg.startsWith('ES') ? { dsaEncoding: 'ieee-p1363' as const } : {}
  const signature = signBytes(alg.startsWith('Ed') ? null : `sha${alg.slice(2)}`, Buffer.from(input), {
    key,
    ...padding,
    ...encoding,
  })
  return `${input}.${signature.toString('base64url')}`
}

/** Signs a JWT with HMAC, for any header. */
export function signWithSecret(secret: string | Buffer, claims: unknown, header: object = {}): string {
  const input = `${encode({ alg: 'HS256', typ: 'JWT', ...header })}.${encode(claims)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}
