/** The claims of a token. */
import { Type, type Static } from './typebox.js'

/** A topic or pattern. `{sub}` as a whole segment stands for the token's subject. */
export const Grant = Type.String({ maxLength: 200, examples: ['orders.*', 'users.{sub}.**'] })

const Grants = Type.Array(Grant, { maxItems: 1_000 })

/** The value of the claim `fanfare` (the name is a setting). */
export const GrantClaims = Type.Object({
  subscribe: Type.Optional(Grants),
  publish: Type.Optional(Grants),
  presence: Type.Optional(Grants),
  info: Type.Optional(Type.Unknown({ description: 'what presence shows others about the subject' })),
  admin: Type.Optional(Type.Boolean()),
})
export type GrantClaims = Static<typeof GrantClaims>

/** The registered claims (RFC 7519, 4.1) that the hub reads. Times are in seconds. */
export const Claims = Type.Object({
  sub: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  exp: Type.Optional(Type.Number()),
  nbf: Type.Optional(Type.Number()),
  iss: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())])),
  aud: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())])),
  jti: Type.Optional(Type.String()),
})
export type Claims = Static<typeof Claims>
