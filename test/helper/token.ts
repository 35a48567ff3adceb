import { createHmac } from 'node:crypto'

/** The secret of HS256 tokens for hubs in tests. */
export const SECRET = 'a secret of the tests, at least thirty-two characters long'

export interface Grants {
  subscribe?: string[]
  publish?: string[]
  presence?: string[]
  admin?: boolean
  info?: unknown
  sub?: string
  jti?: string
  iss?: string
  aud?: string
  /** In seconds since the Unix epoch; RFC 7519 allows a fraction. */
  exp?: number
  nbf?: number
}

export interface Signing {
  secret?: string
  /** The algorithm of the header and, for the HS family, of the signature. `none` leaves the signature empty. */
  algorithm?: 'HS256' | 'HS384' | 'HS512' | 'none'
}

/** Returns a JWT (RFC 7519) that is made with an HMAC alone, independent of the hub's JWT library. */
export function token(grants: Grants, { secret = SECRET, algorithm = 'HS256' }: Signing = {}): string {
  const { subscribe, publish, presence, admin, info, ...claims } = grants
  return sign(
    { alg: algorithm, typ: 'JWT' },
    { ...claims, fanfare: { subscribe, publish, presence, admin, info } },
    secret,
  )
}

/**
 * Returns a JWT of any header and claims. It is signed with HMAC if the header's `alg` is of the HS family, otherwise
 * unsigned.
 */
export function sign(header: Record<string, unknown>, claims: unknown, secret: string): string {
  const input = `${encode(header)}.${encode(claims)}`
  const bits = /^HS(256|384|512)$/.exec(String(header['alg']))?.[1]
  const signature = bits ? createHmac(`sha${bits}`, secret).update(input).digest('base64url') : ''
  return `${input}.${signature}`
}

/** Returns a token with all grants except admin. */
export function anyTopic(): string {
  return token({ subscribe: ['**'], publish: ['**'] })
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
