/** The bodies and answers of tickets and revocations. */
import { Type, type Static } from './typebox.js'

const moment = (description: string) =>
  Type.String({ format: 'date-time', description, examples: ['2026-12-31T23:59:59Z'] })

export const TicketReceipt = Type.Object({
  ticket: Type.String({ description: 'opens streams, as the query parameter "ticket"' }),
  expiresAt: moment('the time at which the ticket expires'),
})

/** The route checks that exactly one of subject and jti is given. */
const revoked = {
  subject: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'revokes all tokens with this "sub"; give exactly one of subject and jti',
    }),
  ),
  jti: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 4_096,
      description: 'revokes the token with this "jti"; give exactly one of subject and jti',
    }),
  ),
}

export const RevocationBody = Type.Object(
  { ...revoked, until: moment('the time at which the revocation ends, in the future') },
  { additionalProperties: false },
)
export type RevocationBody = Static<typeof RevocationBody>

export const Revocation = Type.Object({
  id: Type.String(),
  ...revoked,
  until: moment('the time at which the revocation ends'),
})

export const RevocationList = Type.Object({ revocations: Type.Array(Revocation) })
