/** What a token says of itself. The console cannot verify it: the hub alone decides. */

export interface Claims {
  subject: string | undefined
  /** When it expires, in milliseconds since the Unix epoch; `undefined`: never. */
  expiresAt: number | undefined
  /** Topics and patterns by what they grant; a segment `{sub}` stands for the subject. */
  subscribe: string[]
  publish: string[]
  presence: string[]
}

/** Returns the claims of a token; `undefined` if it cannot be read. */
export function readClaims(token: string): Claims | undefined {
  const [, payload = ''] = token.split('.')
  try {
    const bytes = Uint8Array.from(atob(payload.replace(/-/g, '+').replace(/_/g, '/')), (one) => one.charCodeAt(0))
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>
    const subject = typeof claims['sub'] === 'string' ? claims['sub'] : undefined
    const grants = grantsOf(claims)
    const list = (name: string) => patternsOf(grants[name], subject)
    return {
      subject,
      expiresAt: typeof claims['exp'] === 'number' ? claims['exp'] * 1_000 : undefined,
      subscribe: list('subscribe'),
      publish: list('publish'),
      presence: list('presence'),
    }
  } catch {
    return undefined
  }
}

/** The name of the claim is a setting of the hub: any claim that looks like grants will do. */
function grantsOf(claims: Record<string, unknown>): Record<string, unknown> {
  const isGrants = (claim: unknown): claim is Record<string, unknown> =>
    typeof claim === 'object' && claim !== null && ['subscribe', 'publish', 'presence'].some((name) => name in claim)
  return [claims['fanfare'], ...Object.values(claims)].find(isGrants) ?? {}
}

function patternsOf(grants: unknown, subject: string | undefined): string[] {
  if (!Array.isArray(grants)) return []
  return grants
    .filter((grant): grant is string => typeof grant === 'string')
    .map((grant) => (subject === undefined ? grant : grant.replaceAll('{sub}', subject)))
}
