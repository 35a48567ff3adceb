/** Who makes a request, and what they may do. */
import { Problem } from '../errors.js'
import { isShallow } from '../model/json.js'
import type { Action, Principal } from '../model/principal.js'
import { quote } from '../model/quote.js'
import { covers, isReserved, resolveGrant } from '../model/topic.js'
import { Claims, GrantClaims } from '../schemas/claims.js'
import { Compile } from '../schemas/typebox.js'

/** The last time that can be written down (RFC 3339), in milliseconds since the epoch of Unix: no token ends later. */
const LAST_DATE = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/** Who makes a request. */
export interface Bearer extends Principal {
  /**
   * Until when the token is accepted, in milliseconds since the epoch of Unix: its `exp`, or the end of the tolerance
   * for clocks where the request came after that. A stream ends at `expiresAt` all the same.
   */
  acceptedUntil: number | undefined
}

const NO_GRANTS: Principal['grants'] = { subscribe: [], publish: [], presence: [] }

const registered = Compile(Claims)
const granting = Compile(GrantClaims)

/** Somebody without a token, who may subscribe to what anybody may. */
export function anonymous(subscribe: readonly string[]): Bearer {
  return {
    anonymous: true,
    subject: undefined,
    tokenId: undefined,
    expiresAt: undefined,
    acceptedUntil: undefined,
    admin: false,
    info: undefined,
    grants: { ...NO_GRANTS, subscribe },
    missingClaim: undefined,
    voidGrants: NO_GRANTS,
  }
}

/**
 * Reads the claims of a token whose signature has been checked.
 * @param claimName which claim holds the grants
 * @param subscribeToo what anybody may subscribe to
 * @throws Problem `invalid-claims` naming the claim that is not as it should be
 */
export function readClaims(
  claims: Record<string, unknown>,
  claimName: string,
  subscribeToo: readonly string[],
): Bearer {
  const granted = claims[claimName] ?? {}
  const missingClaim = claims[claimName] === undefined ? claimName : undefined
  if (!registered.Check(claims)) throw invalidClaims(registered.Errors(claims)[0], '')
  if (!granting.Check(granted)) throw invalidClaims(granting.Errors(granted)[0], `/${claimName}`)
  const { sub, exp, jti } = claims
  const read = (action: Action) => readGrants(granted[action], sub, `${claimName}.${action}`)
  const expiresAt = exp === undefined ? undefined : Math.min(exp * 1_000, LAST_DATE)
  const [subscribe, publish, presence] = [read('subscribe'), read('publish'), read('presence')]
  return {
    anonymous: false,
    subject: sub,
    tokenId: jti,
    expiresAt,
    acceptedUntil: expiresAt,
    admin: granted.admin ?? false,
    info: isShallow(granted.info) ? granted.info : undefined, // deeper, it could not be told to others
    grants: {
      subscribe: [...subscribe.patterns, ...subscribeToo],
      publish: publish.patterns,
      presence: presence.patterns,
    },
    missingClaim,
    voidGrants: { subscribe: subscribe.voids, publish: publish.voids, presence: presence.voids },
  }
}

/**
 * A grant with `{sub}` is void when the subject is not one plain segment; any other that is no pattern is a mistake.
 */
function readGrants(
  grants: readonly string[] = [],
  sub: string | undefined,
  where: string,
): { patterns: string[]; voids: string[] } {
  const patterns: string[] = []
  const voids: string[] = []
  for (const grant of grants) {
    const pattern = resolveGrant(grant, sub)
    if (pattern !== undefined) patterns.push(pattern)
    else if (resolveGrant(grant, 'subject') !== undefined) voids.push(grant)
    else
      throw new Problem(
        'invalid-claims',
        `The token's claim ${where} holds ${quote(grant)}, which is no topic or pattern.`,
      )
  }
  return { patterns, voids }
}

function invalidClaims(error: { instancePath: string; message: string } | undefined, prefix: string): Problem {
  const claim = `${prefix}${error?.instancePath ?? ''}`.slice(1).replaceAll('/', '.')
  return new Problem(
    'invalid-claims',
    `The token's claim ${quote(claim)} is invalid: ${error?.message ?? 'it has the wrong type'}.`,
  )
}

/**
 * Checks that a principal may do something with every one of `patterns`: each must be covered whole by one grant. The
 * hub's own topics are for admins.
 * @throws Problem `not-granted` naming the pattern that is not covered, `missing-token` where there was no token
 */
export function authorize(principal: Principal, action: Action, patterns: Iterable<string>): void {
  for (const pattern of patterns) {
    if (isGranted(principal, action, pattern)) continue
    if (principal.anonymous) throw missingToken(action, pattern)
    throw new Problem(
      'not-granted',
      (isReserved(pattern)
        ? `${quote(pattern)} is one of the hub's own topics: the token needs "admin": true.`
        : `The token's ${action} grants do not cover ${quote(pattern)}: one grant has to cover the whole of it.${wordsForVoids(principal, action, pattern)}`) +
        wordsForClaim(principal),
    )
  }
}

/**
 * Checks that a principal may do something with some topic at all.
 * @throws Problem `not-granted`, `missing-token` where there was no token
 */
export function authorizeSome(principal: Principal, action: Action): void {
  if (principal.grants[action].length > 0) return
  requireToken(principal, action)
  const [voided] = principal.voidGrants[action]
  const why = voided === undefined ? '' : ` Its grant ${quote(voided)} is void: ${whyVoid(principal.subject)}`
  throw new Problem('not-granted', `The token has no ${action} grants.${why}${wordsForClaim(principal)}`)
}

/** Whether a principal may do something with a pattern: with all that it stands for. */
export function isGranted(principal: Principal, action: Action, pattern: string): boolean {
  return isReserved(pattern) ? principal.admin : principal.grants[action].some((grant) => covers(grant, pattern))
}

/**
 * Checks that a principal is an admin.
 * @param what the thing that only admins do, as it stands after "To"
 * @throws Problem `not-granted`, `missing-token` where there was no token
 */
export function authorizeAdmin(principal: Principal, what: string): void {
  if (principal.admin) return
  requireToken(principal, what)
  throw new Problem('not-granted', `To ${what} the token needs "admin": true.${wordsForClaim(principal)}`)
}

/**
 * Checks that a request has a token, whatever it grants.
 * @param what the thing that needs it, as it stands after "To"
 * @throws Problem `missing-token`
 */
export function requireToken(principal: Principal, what: string): void {
  if (principal.anonymous) throw new Problem('missing-token', `To ${what} a token is needed.`)
}

/** What is wrong with a token without the claim for grants. */
export function lacksClaim(name: string): string {
  return `The token has no claim ${quote(name)} (the setting FANFARE_JWT_CLAIM says what it is called), so it grants nothing.`
}

/** Why grants with `{sub}` are void for a subject that is not one segment of a topic. */
export function whyVoid(sub: string | undefined): string {
  return sub === undefined ? 'the token has no "sub".' : 'the token\'s "sub" is not a single segment of a topic.'
}

function wordsForClaim({ missingClaim }: Principal): string {
  return missingClaim === undefined ? '' : ` ${lacksClaim(missingClaim)}`
}

/** Said only where some subject's grant would cover what is asked for; neither grant nor subject is repeated. */
function wordsForVoids({ subject, voidGrants }: Principal, action: Action, pattern: string): string {
  return voidGrants[action].some((grant) => covers(grant.replaceAll('{sub}', '*'), pattern))
    ? ` A grant with {sub} may be meant for it, and is void: ${whyVoid(subject)}`
    : ''
}

function missingToken(action: Action, pattern: string): Problem {
  return new Problem(
    'missing-token',
    `To ${action === 'presence' ? 'see who is present on' : `${action} to`} ${quote(pattern)} a token is needed.`,
  )
}
