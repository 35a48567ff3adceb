/** What an application says of somebody: in place of the claims of a token, or for a token that it has issued. */
import type { FastifyRequest } from 'fastify'
import { Problem } from '../errors.js'
import { HubError } from '../model/hub-error.js'
import { isShallow } from '../model/json.js'
import { quote } from '../model/quote.js'
import { readClaims, type Bearer } from './principal.js'

/**
 * Who somebody is, and what they may do. Grants are topics and patterns; `{sub}` as a whole segment stands for the
 * subject.
 */
export interface PrincipalInput {
  subject?: string | undefined
  subscribe?: readonly string[] | undefined
  publish?: readonly string[] | undefined
  presence?: readonly string[] | undefined
  /** What others are told of the subject where it is present: any JSON value. */
  info?: unknown
  admin?: boolean | undefined
}

/** Who makes a request, as the application's own login knows. */
export interface AuthenticatedPrincipal extends PrincipalInput {
  /** When the login ends: its streams end then. A date, or milliseconds since the epoch of Unix. */
  expiresAt?: Date | number | undefined
}

/** Says who makes a request that has no token; `undefined`: nobody in particular. */
export type Authenticate = (
  request: FastifyRequest,
) => AuthenticatedPrincipal | undefined | Promise<AuthenticatedPrincipal | undefined>

/** The members of a principal. */
const MEMBERS = ['subject', 'subscribe', 'publish', 'presence', 'info', 'admin'] as const

/** The claims of a token that says what an application says. */
export interface InputClaims {
  sub?: string
  grants: Record<string, unknown>
}

/**
 * Reads what an application says as the claims of a token, without checking their values.
 * @param others members that it may have besides
 * @throws HubError `invalid-claims` for what is no object, and for unknown members
 */
export function toClaims(input: unknown, others: readonly string[] = []): InputClaims {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new HubError(
      'invalid-claims',
      `A principal is an object such as { subject, subscribe, publish }, not ${quote(input)}.`,
    )
  }
  const known: readonly string[] = [...MEMBERS, ...others]
  const unknown = Object.keys(input).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new HubError(
      'invalid-claims',
      `A principal has no member ${quote(unknown)}: its members are ${known.join(', ')}.`,
    )
  const { subject, ...rest } = input as PrincipalInput
  if (!isShallow(rest.info)) throw new HubError('invalid-claims', 'The "info" of a principal is nested too deeply.')
  const grants = Object.fromEntries(
    Object.entries(rest).filter(([name, value]) => value !== undefined && !others.includes(name)),
  )
  return { ...(subject === undefined ? {} : { sub: subject }), grants }
}

/**
 * Checks claims that an application's words have been made into.
 * @param claimName which claim holds the grants
 * @param subscribeToo what anybody may subscribe to
 * @throws HubError `invalid-claims` saying which is wrong
 */
export function checkClaims(
  claims: Record<string, unknown>,
  claimName: string,
  subscribeToo: readonly string[],
): Bearer {
  try {
    return readClaims(claims, claimName, subscribeToo)
  } catch (err) {
    if (err instanceof Problem) throw new HubError('invalid-claims', err.message, { cause: err })
    throw err
  }
}

/** The name of the claim for grants, where there is no token: messages name it. */
const NO_CLAIM = 'principal'

/**
 * Reads what an application answers of a request.
 * @param subscribeToo what anybody may subscribe to
 * @throws HubError `invalid-claims` saying what is wrong with it
 */
export function readPrincipal(answer: unknown, subscribeToo: readonly string[]): Bearer {
  const { sub, grants } = toClaims(answer, ['expiresAt'])
  const { expiresAt } = answer as AuthenticatedPrincipal
  const end: unknown = expiresAt instanceof Date ? expiresAt.getTime() : expiresAt
  if (end !== undefined && (typeof end !== 'number' || !Number.isFinite(end))) {
    throw new HubError(
      'invalid-claims',
      `expiresAt is a Date, or a number of milliseconds since 1970, not ${quote(expiresAt)}.`,
    )
  }
  return checkClaims(
    { ...(sub === undefined ? {} : { sub }), ...(end === undefined ? {} : { exp: end / 1_000 }), [NO_CLAIM]: grants },
    NO_CLAIM,
    subscribeToo,
  )
}
