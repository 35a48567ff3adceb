/** Tokens for the benches: JSON Web Tokens (RFC 7519) that may publish and subscribe to everything. */
import { createHmac, sign } from 'node:crypto'

/** The secret of every hub that the benches start without a public key. */
export const SECRET = 'a secret of the benches, at least thirty-two characters long'

/** @param privateKey a key for ES256, as PEM; default: HS256 with `SECRET` */
export function createToken(subject: string, privateKey?: string): string {
  const header = { alg: privateKey === undefined ? 'HS256' : 'ES256', typ: 'JWT' }
  const input = `${encode(header)}.${encode({ sub: subject, fanfare: { subscribe: ['**'], publish: ['**'] } })}`
  const signature =
    privateKey === undefined
      ? createHmac('sha256', SECRET).update(input).digest()
      : sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
