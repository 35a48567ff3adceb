/** A principal as an application describes it: for a request of its own login, or for a token to issue. */
import type { FastifyRequest } from 'fastify'
import { Problem } from '../errors.js'
import { HubError } from '../model/hub-error.js'
import { isShallow } from '../model/json.js'
import { quote } from '../model/quote.js'
import { readClaims, type Bearer } from './principal.js'

/** A subject and its grants. Grants are topics and patterns; `{sub}` as a whole segment stands for the subject. */
export interface PrincipalInput {
  subject?: string | undefined
  subscribe?: readonly string[] | undefined
  publish?: readonly string[] | undefined
  presence?: readonly string[] | undefined
  /** Any JSON value. Presence shows it to others with the subject. */
  info?: unknown
  admin?: boolean | undefined
}

/** The principal of a request, as the application's own login identifies it. */
export interface AuthenticatedPrincipal extends PrincipalInput {
  /** When the login and its streams end: a date, or milliseconds since the Unix epoch. */
  expiresAt?: Date | number | undefined
}

/** Returns the principal of a request without a token; `undefined` for an anonymous request. */
export type Authenticate = (
  request: FastifyRequest,
) => AuthenticatedPrincipal | undefined | Promise<AuthenticatedPrincipal | undefined>

const MEMBERS = ['subject', 'subscribe', 'publish', 'presence', 'info', 'admin'] as const

/** A principal as the claims of a token. */
export interface InputClaims {
  sub?: string
  grants: Record<string, unknown>
}

/**
 * Converts the principal of an application into the claims of a token, without checking their values.
 * @param others further allowed members
 * @throws HubError `invalid-claims` for a value that is not an object, and for unknown members
 */
export function toClaims(input: unknown, others: readonly string[] = []): InputClaims {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new HubError(
      'invalid-claims',
      `A principal must be an object such as { subject, subscribe, publish }, not ${quote(input)}.`,
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
 * Reads the claims of `toClaims`.
 * @param claimName the name of the claim that holds the grants
 * @param anonymousSubscribe the topics and patterns that need no token
 * @throws HubError `invalid-claims` naming the invalid claim
 */
export function checkClaims(
  claims: Record<string, unknown>,
  claimName: string,
  anonymousSubscribe: readonly string[],
): Bearer {
  try {
    return readClaims(claims, claimName, anonymousSubscribe)
  } catch (err) {
    if (err instanceof Problem) throw new HubError('invalid-claims', err.message, { cause: err })
    throw err
  }
}

/** The name of the claim for grants in messages about a principal without a token. */
const NO_CLAIM = 'principal'

/**
 * Reads the answer of the application's function `authenticate`.
 * @param anonymousSubscribe the topics and patterns that need no token
 * @throws HubError `invalid-claims` naming the fault of the answer
 */
export function readPrincipal(answer: unknown, anonymousSubscribe: readonly string[]): Bearer {
  const { sub, grants } = toClaims(answer, ['expiresAt'])
  const { expiresAt } = answer as AuthenticatedPrincipal
  const end: unknown = expiresAt instanceof Date ? expiresAt.getTime() : expiresAt
  if (end !== undefined && (typeof end !== 'number' || !Number.isFinite(end))) {
    throw new HubError(
      'invalid-claims',
      `expiresAt must be a Date, or a number of milliseconds since 1970, not ${quote(expiresAt)}.`,
    )
  }
  return checkClaims(
    { ...(sub === undefined ? {} : { sub }), ...(end === undefined ? {} : { exp: end / 1_000 }), [NO_CLAIM]: grants },
    NO_CLAIM,
    anonymousSubscribe,
  )
}
