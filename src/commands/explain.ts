/** Explains a token: its claims, and whether a hub with given settings accepts it. */
import { createDecoder } from 'fast-jwt'
import { lacksClaim, readClaims, whyVoid } from '../auth/principal.js'
import { TokenVerifier } from '../auth/verifier.js'
import { Problem } from '../errors.js'
import type { Action } from '../model/principal.js'
import { resolveGrant } from '../model/topic.js'
import { SettingsError } from '../model/settings-error.js'
import type { Settings } from '../settings.js'

export interface Explanation {
  lines: string[]
  accepted: boolean
}

type Claims = Record<string, unknown>

const ACTIONS: readonly Action[] = ['subscribe', 'publish', 'presence']

/** Explains a token, with or without the word `Bearer` before it. Only the hub knows the revocations. */
export async function explain(text: string, settings: Settings): Promise<Explanation> {
  const token = text.trim().replace(/^Bearer +/i, '')
  const claims = decode(token)
  const refusal = await refusalOf(token, settings)
  return {
    lines: [
      ...(claims ? describe(claims, settings.jwtClaim) : []),
      refusal === undefined ? acceptance(claims, settings) : `A hub with these settings refuses it: ${refusal}`,
    ],
    accepted: refusal === undefined,
  }
}

function decode(token: string): Claims | undefined {
  try {
    return createDecoder()(token) as Claims
  } catch {
    return undefined // the verifier names the fault
  }
}

async function refusalOf(token: string, settings: Settings): Promise<string | undefined> {
  try {
    readClaims(await new TokenVerifier(settings).verify(token), settings.jwtClaim, [])
    return undefined
  } catch (err) {
    if (err instanceof SettingsError) return err.message
    if (err instanceof Problem) return `${err.message} (${err.status} ${err.code})`
    throw err
  }
}

/** Returns the sentence about an accepted token, with the end of the clock tolerance if the token has expired. */
function acceptance(claims: Claims | undefined, { clockTolerance }: Settings): string {
  const exp = typeof claims?.exp === 'number' ? claims.exp * 1_000 : Infinity
  const tolerated =
    exp > Date.now()
      ? ''
      : `, though it has expired, until ${new Date(exp + clockTolerance).toISOString()} (FANFARE_CLOCK_TOLERANCE)`
  return `A hub with these settings accepts it${tolerated}, unless it has been revoked.`
}

function describe(claims: Claims, claimName: string): string[] {
  const { sub, jti, iss, aud } = claims
  const granted = isObject(claims[claimName]) ? claims[claimName] : {}
  const rows: [string, string | undefined][] = [
    ['subject', print(sub) ?? 'none'],
    ['token id', print(jti)],
    ['issuer', print(iss)],
    ['audience', print(aud)],
    ['not before', printTime(claims.nbf)],
    ['expires', printTime(claims.exp) ?? 'never'],
    ...ACTIONS.flatMap((action) => grantRows(action, granted[action], typeof sub === 'string' ? sub : undefined)),
    ['admin', granted.admin === true ? 'yes' : 'no'],
    ['info', print(granted.info)],
  ]
  return [
    ...rows.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(10)}  ${value}`])),
    ...(claims[claimName] === undefined ? [lacksClaim(claimName)] : []),
    '',
  ]
}

/** Returns a row for the grants of an action, and a row for each void grant. */
function grantRows(action: Action, granted: unknown, sub: string | undefined): [string, string | undefined][] {
  if (granted === undefined) return [[action, 'nothing']]
  if (!Array.isArray(granted) || !granted.every((grant) => typeof grant === 'string')) return [[action, print(granted)]]
  const resolved = granted.map((grant) => ({ grant, pattern: resolveGrant(grant, sub) }))
  const patterns = resolved.flatMap(({ pattern }) => pattern ?? [])
  const voids = resolved.filter(({ pattern }) => pattern === undefined)
  return [
    [action, patterns.length === 0 ? 'nothing' : patterns.join(', ')],
    ...voids.map(({ grant }): [string, string] => ['', `${print(grant)!} is void: ${reasonOf(grant, sub)}`]),
  ]
}

function reasonOf(grant: string, sub: string | undefined): string {
  return resolveGrant(grant, 'subject') === undefined ? 'it is neither a topic nor a pattern.' : whyVoid(sub)
}

/**
 * Prints a value as JSON without control characters for terminals. JSON escapes most of them; this function also
 * escapes U+007F to U+009F.
 */
function print(value: unknown): string | undefined {
  return value === undefined
    ? undefined
    : JSON.stringify(value).replace(/[\u007f-\u009f]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`)
}

function printTime(seconds: unknown): string | undefined {
  const time = typeof seconds === 'number' ? new Date(seconds * 1_000) : undefined
  return time && !Number.isNaN(time.getTime()) ? time.toISOString() : print(seconds)
}

function isObject(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
