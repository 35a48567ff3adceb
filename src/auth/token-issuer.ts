/** Issues tokens that the hub accepts, signed with the hub's own secret. */
import { createSigner } from 'fast-jwt'
import { HubError } from '../model/hub-error.js'
import { requireOptions } from '../model/options.js'
import { quote } from '../model/quote.js'
import { SettingsError } from '../model/settings-error.js'
import { parseDuration } from '../model/units.js'
import type { Settings } from '../settings.js'
import { fromSecret } from './keys.js'
import { checkClaims, toClaims, type PrincipalInput } from './principal-input.js'
import { whyVoid } from './principal.js'

export interface IssueOptions {
  /** How long the token is valid: milliseconds, or a duration such as `15m`. At least a second. */
  expiresIn: number | string
}

export type IssueToken = (principal: PrincipalInput, options: IssueOptions) => string

/** Times in tokens are whole seconds. RFC 7519, 2 allows fractions, but some libraries do not read them. */
const SECOND = 1_000

type IssuerSettings = Pick<Settings, 'jwtSecret' | 'jwtClaim' | 'jwtIssuer' | 'jwtAudience'>

/**
 * Returns a function that signs tokens. The function throws a SettingsError if the hub has no secret, and a HubError
 * `invalid-claims` for claims that the hub would refuse and for grants that would be void.
 */
export function createTokenIssuer({ jwtSecret, jwtClaim, jwtIssuer, jwtAudience }: IssuerSettings): IssueToken {
  if (jwtSecret === undefined) {
    return () => {
      throw new SettingsError(
        'The hub needs the option jwtSecret to issue tokens. With a public key or a key set, the owner of the private key issues them.',
      )
    }
  }
  const sign = createSigner({ key: fromSecret(jwtSecret).key, algorithm: 'HS256' })
  return (principal, options) => {
    const { sub, grants } = toClaims(principal)
    const claims = toJson({ iss: jwtIssuer, aud: jwtAudience, sub, exp: expiryOf(options), [jwtClaim]: grants })
    requireNoVoids(checkClaims(claims, jwtClaim, []))
    return sign(claims)
  }
}

/** Returns the claims as JSON values, without members that are `undefined`. */
function toJson(claims: Record<string, unknown>): Record<string, unknown> {
  try {
    return JSON.parse(JSON.stringify(claims)) as Record<string, unknown>
  } catch (err) {
    throw new HubError(
      'invalid-claims',
      `The principal cannot be written as JSON: ${err instanceof Error ? err.message : String(err)}`,
      { cause: err },
    )
  }
}

/** Returns when a token expires, in seconds since the Unix epoch. */
function expiryOf(options: unknown): number {
  const { expiresIn } = requireOptions(options, 'The options of a token', ['expiresIn'], 'invalid-claims')
  const time = typeof expiresIn === 'string' ? parseDuration(expiresIn) : expiresIn
  if (typeof time !== 'number' || !Number.isFinite(time) || time < SECOND) {
    throw new HubError(
      'invalid-claims',
      `expiresIn must be a number of milliseconds, 1,000 or more, or a duration such as "15m", not ${quote(expiresIn)}.`,
    )
  }
  return Math.floor((Date.now() + time) / SECOND)
}

function requireNoVoids({ subject, voidGrants }: ReturnType<typeof checkClaims>): void {
  const [voided] = Object.values(voidGrants).flat()
  if (voided !== undefined)
    throw new HubError('invalid-claims', `The grant ${quote(voided)} would be void: ${whyVoid(subject)}`)
}
