/** Tokens for the benches. */
import { createHmac } from 'node:crypto'

/** The secret of every hub that the benches start. */
export const SECRET = 'a secret of the benches, at least thirty-two characters long'

/** Returns a JSON Web Token (RFC 7519, HS256) that may publish and subscribe to everything. */
export function createToken(subject: string): string {
  const input = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: subject, fanfare: { subscribe: ['**'], publish: ['**'] } })}`
  return `${input}.${createHmac('sha256', SECRET).update(input).digest('base64url')}`
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
