/** What an application says of somebody: in place of the claims of a token, or for a token that it has issued. */
import { Problem } from '../errors.js'
import { HubError } from '../model/hub-error.js'
import { isShallow } from '../model/json.js'
import { quote } from '../model/quote.js'
import { readClaims, type Bearer } from './principal.js'

/** Who somebody is, and what they may do. Grants are topics and patterns; `{sub}` as a whole segment stands for the subject. */
export interface PrincipalInput {
  subject?: string | undefined
  subscribe?: readonly string[] | undefined
  publish?: readonly string[] | undefined
  presence?: readonly string[] | undefined
  /** What others are told of the subject where it is present: any JSON value. */
  info?: unknown
  admin?: boolean | undefined
}

/** The members, and where each stands in the claims of a token. */
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
    throw new HubError('invalid-claims', `A principal is an object such as { subject, subscribe, publish }, not ${quote(input)}.`)
  }
  const known: readonly string[] = [...MEMBERS, ...others]
  const unknown = Object.keys(input).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new HubError('invalid-claims', `A principal has no member ${quote(unknown)}: its members are ${known.join(', ')}.`)
  const { subject, ...rest } = input as PrincipalInput
  if (!isShallow(rest.info)) throw new HubError('invalid-claims', 'The "info" of a principal is nested too deeply.')
  const grants = Object.fromEntries(Object.entries(rest).filter(([name, value]) => value !== undefined && !others.includes(name)))
  return { ...(subject === undefined ? {} : { sub: subject }), grants }
}

/**
 * Checks claims that an application's words have been made into.
 * @param claimName which claim holds the grants
 * @param subscribeToo what anybody may subscribe to
 * @throws HubError `invalid-claims` saying which is wrong
 */
export function checkClaims(claims: Record<string, unknown>, claimName: string, subscribeToo: readonly string[]): Bearer {
  try {
    return readClaims(claims, claimName, subscribeToo)
  } catch (err) {
    if (err instanceof Problem) throw new HubError('invalid-claims', err.message, { cause: err })
    throw err
  }
}
