/** Sessions, tickets and revocations. */
import { Type, type Static } from './typebox.js'

const moment = (description: string) =>
  Type.String({ format: 'date-time', description, examples: ['2026-12-31T23:59:59Z'] })

export const TicketReceipt = Type.Object({
  ticket: Type.String({ description: 'to be sent as ?ticket= when a stream is opened' }),
  expiresAt: moment('until when it opens streams'),
})

/** Exactly one of subject and jti; the route says so. */
const revoked = {
  subject: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'all tokens with this "sub"; exactly one of subject and jti',
    }),
  ),
  jti: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 4_096,
      description: 'the token with this "jti"; exactly one of subject and jti',
    }),
  ),
}

export const RevocationBody = Type.Object(
  { ...revoked, until: moment('until when its tokens are refused: in the future') },
  { additionalProperties: false },
)
export type RevocationBody = Static<typeof RevocationBody>

export const Revocation = Type.Object({
  id: Type.String(),
  ...revoked,
  until: moment('until when its tokens are refused'),
})

export const RevocationList = Type.Object({ revocations: Type.Array(Revocation) })
