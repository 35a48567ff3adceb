/** The principal of a request, and the checks of its grants. */
import { Problem } from '../errors.js'
import { isShallow } from '../model/json.js'
import type { Action, Principal } from '../model/principal.js'
import { quote } from '../model/quote.js'
import { arrayOf, isAnything, isBoolean, isString, isTime, optional, shapeOf } from '../model/shape.js'
import { covers, isReserved, resolveGrant } from '../model/topic.js'
import { Claims, GrantClaims } from '../schemas/claims.js'
import { Compile } from '../schemas/typebox.js'

/**
 * The latest time that RFC 3339 can express, in milliseconds since the Unix epoch. Tokens expire then at the latest.
 */
const LAST_DATE = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/** The principal of a request. */
export interface Bearer extends Principal {
  /**
   * When the hub stops accepting the token, in milliseconds since the Unix epoch: its `exp`, or the end of the clock
   * tolerance if the request came after `exp`. A stream ends at `expiresAt` in either case.
   */
  acceptedUntil: number | undefined
}

const isGrants = shapeOf<Bearer['grants']>({
  subscribe: arrayOf(isString),
  publish: arrayOf(isString),
  presence: arrayOf(isString),
})

/** Whether a value of another process is the principal of a request. */
export const isBearer = shapeOf<Bearer>({
  anonymous: isBoolean,
  subject: optional(isString),
  tokenId: optional(isString),
  expiresAt: optional(isTime),
  acceptedUntil: optional(isTime),
  admin: isBoolean,
  info: isAnything,
  grants: isGrants,
  missingClaim: optional(isString),
  voidGrants: isGrants,
})

const NO_GRANTS: Principal['grants'] = { subscribe: [], publish: [], presence: [] }

const registered = Compile(Claims)
const granting = Compile(GrantClaims)

/**
 * Returns the principal of a request without a token.
 * @param subscribe the topics and patterns that need no token
 */
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
 * Reads the claims of a verified token.
 * @param claimName the name of the claim that holds the grants
 * @param anonymousSubscribe the topics and patterns that need no token
 * @throws Problem `invalid-claims` naming the invalid claim
 */
export function readClaims(
  claims: Record<string, unknown>,
  claimName: string,
  anonymousSubscribe: readonly string[],
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
    info: isShallow(granted.info) ? granted.info : undefined, // a deeper value cannot be encoded for presence
    grants: {
      subscribe: [...subscribe.patterns, ...anonymousSubscribe],
      publish: publish.patterns,
      presence: presence.patterns,
    },
    missingClaim,
    voidGrants: { subscribe: subscribe.voids, publish: publish.voids, presence: presence.voids },
  }
}

/**
 * Resolves `{sub}` in grants. A grant with `{sub}` is void if the subject is not a single segment of a topic.
 * @throws Problem `invalid-claims` for any other grant that is not a pattern
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
        `The token's claim ${where} holds ${quote(grant)}, which is neither a topic nor a pattern.`,
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
 * Checks that a principal may perform an action on every one of `patterns`. One grant must cover the whole of each
 * pattern. Topics of the hub itself need an admin.
 * @throws Problem `not-granted` naming the pattern without a grant; `missing-token` for a request without a token
 */
export function authorize(principal: Principal, action: Action, patterns: Iterable<string>): void {
  for (const pattern of patterns) {
    if (isGranted(principal, action, pattern)) continue
    if (principal.anonymous) throw missingToken(action, pattern)
    throw new Problem(
      'not-granted',
      (isReserved(pattern)
        ? `${quote(pattern)} is a system topic: the token needs "admin": true.`
        : `The token's ${action} grants do not cover ${quote(pattern)}: a single grant must cover all of it.${wordsForVoids(principal, action, pattern)}`) +
        wordsForClaim(principal),
    )
  }
}

/**
 * Checks that a principal has a grant for an action, on any topic.
 * @throws Problem `not-granted`; `missing-token` for a request without a token
 */
export function authorizeSome(principal: Principal, action: Action): void {
  if (principal.grants[action].length > 0) return
  requireToken(principal, action)
  const [voided] = principal.voidGrants[action]
  const why = voided === undefined ? '' : ` Its grant ${quote(voided)} is void: ${whyVoid(principal.subject)}`
  throw new Problem('not-granted', `The token has no ${action} grants.${why}${wordsForClaim(principal)}`)
}

/** Whether a principal may perform an action on all topics of a pattern. */
export function isGranted(principal: Principal, action: Action, pattern: string): boolean {
  return isReserved(pattern) ? principal.admin : principal.grants[action].some((grant) => covers(grant, pattern))
}

/**
 * Checks that a principal is an admin.
 * @param what the action that needs an admin, as it follows "To" in messages
 * @throws Problem `not-granted`; `missing-token` for a request without a token
 */
export function authorizeAdmin(principal: Principal, what: string): void {
  if (principal.admin) return
  requireToken(principal, what)
  throw new Problem('not-granted', `To ${what}, the token needs "admin": true.${wordsForClaim(principal)}`)
}

/**
 * Checks that a request has a token.
 * @param what the action that needs a token, as it follows "To" in messages
 * @throws Problem `missing-token`
 */
export function requireToken(principal: Principal, what: string): void {
  if (principal.anonymous) throw new Problem('missing-token', `To ${what}, the request needs a token.`)
}

/** Returns the sentence about a token without the claim for grants. */
export function lacksClaim(name: string): string {
  return `The token has no claim ${quote(name)} (the name is the setting FANFARE_JWT_CLAIM), so it grants nothing.`
}

/** Returns the reason why grants with `{sub}` are void for a subject. */
export function whyVoid(sub: string | undefined): string {
  return sub === undefined ? 'the token has no "sub".' : 'the token\'s "sub" is not a single segment of a topic.'
}

function wordsForClaim({ missingClaim }: Principal): string {
  return missingClaim === undefined ? '' : ` ${lacksClaim(missingClaim)}`
}

/** Returns a hint if a void grant would cover the pattern for some subject. It repeats neither grant nor subject. */
function wordsForVoids({ subject, voidGrants }: Principal, action: Action, pattern: string): string {
  return voidGrants[action].some((grant) => covers(grant.replaceAll('{sub}', '*'), pattern))
    ? ` A grant with {sub} that could cover it is void: ${whyVoid(subject)}`
    : ''
}

function missingToken(action: Action, pattern: string): Problem {
  return new Problem(
    'missing-token',
    `To ${action === 'presence' ? 'see who is present on' : `${action} to`} ${quote(pattern)}, the request needs a token.`,
  )
}
