import { createHmac } from 'node:crypto'

/** The secret that hubs started by the tests verify HS256 tokens with. */
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
  /** In seconds since 1970, as in RFC 7519; a fraction is allowed there. */
  exp?: number
  nbf?: number
}

export interface Signing {
  secret?: string
  /** What the header claims, and, for the HS family, what it is signed with. `none` leaves the signature empty. */
  algorithm?: 'HS256' | 'HS384' | 'HS512' | 'none'
}

/**
 * A JWT (RFC 7519) made with nothing but an HMAC, so that the tests do not rely on the library that the hub verifies
 * with.
 */
export function token(grants: Grants, { secret = SECRET, algorithm = 'HS256' }: Signing = {}): string {
  const { subscribe, publish, presence, admin, info, ...claims } = grants
  return sign(
    { alg: algorithm, typ: 'JWT' },
    { ...claims, fanfare: { subscribe, publish, presence, admin, info } },
    secret,
  )
}

/** A JWT of any header and claims; signed with HMAC when the header's `alg` is of the HS family, otherwise unsigned. */
export function sign(header: Record<string, unknown>, claims: unknown, secret: string): string {
  const input = `${encode(header)}.${encode(claims)}`
  const bits = /^HS(256|384|512)$/.exec(String(header['alg']))?.[1]
  const signature = bits ? createHmac(`sha${bits}`, secret).update(input).digest('base64url') : ''
  return `${input}.${signature}`
}

/** A token that may do everything but administer. */
export function anyTopic(): string {
  return token({ subscribe: ['**'], publish: ['**'] })
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
