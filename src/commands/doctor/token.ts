/** Examines a token: what it allows, and whether the hub accepts it. */
import { createDecoder } from 'fast-jwt'
import { resolveGrant } from '../../model/topic.js'
import type { HubAddress } from '../hub-address.js'
import { printable } from '../terminal.js'
import { ask, memberOf } from './probe.js'
import { printTime, type Report } from './finding.js'

/** What is known of a token. */
export interface KnownToken {
  /** Whether the hub accepts it. */
  isAccepted: boolean
  /** The patterns that it grants. `undefined`: its claims are not those of the default settings. */
  subscribe?: string[] | undefined
  publish?: string[] | undefined
}

/** The token is examined with `POST /tickets`, which every valid token may do, and which changes nothing. */
export async function examineToken(address: HubAddress, report: Report): Promise<KnownToken> {
  const { token } = address
  if (token === undefined) {
    report(
      'note',
      'No token was given: only topics that are open to anonymous subscribers can be tested. Give one with --token or FANFARE_TOKEN.',
    )
    return { isAccepted: false }
  }
  const claims = decode(token)
  if (!claims) {
    report(
      'fault',
      'The token is not a JSON Web Token: three parts of base64url, joined by ".". Look for a part that was cut off.',
    )
    return { isAccepted: false }
  }
  const grants = grantsOf(claims)
  const { status, body } = await ask(address, '/tickets', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  })
  if (status === 201) {
    report('ok', `The hub accepts the token: ${describe(claims, grants)}.`)
    return { isAccepted: true, ...grants }
  }
  const [code, detail] = [memberOf(body, 'code'), memberOf(body, 'detail')]
  if (typeof detail !== 'string')
    report(
      'fault',
      `The answer to the token is ${status}, and not that of a hub: a proxy may take the header Authorization for itself.`,
    )
  else
    report(
      'fault',
      `The hub refuses the token (${status} ${String(code)}): ${printable(detail)}${adviceOn(String(code), claims)}`,
    )
  return { isAccepted: false, ...grants }
}

type Claims = Record<string, unknown>

function decode(token: string): Claims | undefined {
  try {
    const claims: unknown = createDecoder()(token)
    return typeof claims === 'object' && claims !== null ? (claims as Claims) : undefined
  } catch {
    return undefined
  }
}

/** Returns the patterns in the claim `fanfare`, with the subject in place of `{sub}`. */
function grantsOf(claims: Claims): Pick<KnownToken, 'subscribe' | 'publish'> {
  const sub = typeof claims.sub === 'string' ? claims.sub : undefined
  const patterns = (action: string): string[] | undefined => {
    const given = memberOf(claims.fanfare, action)
    if (!Array.isArray(given)) return claims.fanfare === undefined ? undefined : []
    return given.flatMap((grant) => (typeof grant === 'string' ? (resolveGrant(grant, sub) ?? []) : []))
  }
  return { subscribe: patterns('subscribe'), publish: patterns('publish') }
}

function describe(claims: Claims, { subscribe, publish }: Pick<KnownToken, 'subscribe' | 'publish'>): string {
  const subject = typeof claims.sub === 'string' ? `subject ${printable(JSON.stringify(claims.sub))}` : 'no subject'
  const end =
    typeof claims.exp === 'number' ? `valid for ${printTime(claims.exp * 1_000 - Date.now())}` : 'never expires'
  if (claims.fanfare === undefined) return `${subject}, ${end}; its grants are not in the claim "fanfare"`
  const list = (patterns: string[] = []): string => (patterns.length === 0 ? 'nothing' : patterns.join(', '))
  const admin = memberOf(claims.fanfare, 'admin') === true ? ', an admin' : ''
  return `${subject}${admin}, ${end}; it may subscribe to ${list(subscribe)} and publish to ${list(publish)}`
}

function adviceOn(code: string, { exp }: Claims): string {
  if (code !== 'expired-token' || typeof exp !== 'number') return ''
  return ` It expired ${printTime(Date.now() - exp * 1_000)} ago by the clock of this machine: get a new one.`
}
