/** The principal of a stream or a request, and its grants. */
import { wallNow } from './clock.js'

/** The action that a grant allows. */
export type Action = 'subscribe' | 'publish' | 'presence'

/** The bearer of a token, or an anonymous client. */
export interface Principal {
  /** Whether the request had no token. */
  anonymous: boolean
  subject: string | undefined
  tokenId: string | undefined
  /** When the token expires, in milliseconds since the Unix epoch. */
  expiresAt: number | undefined
  admin: boolean
  /** Any JSON value, which presence shows to others with the subject. */
  info: unknown
  /** The granted topics and patterns. */
  grants: Record<Action, readonly string[]>
  /** The name of the claim for grants, if the token lacks it. */
  missingClaim: string | undefined
  /** Grants with `{sub}` that have no effect, since the subject is not a single segment of a topic. */
  voidGrants: Record<Action, readonly string[]>
}

/**
 * Whether the token of a principal has expired. Its streams end then.
 * @param now in milliseconds since the Unix epoch
 */
export function hasExpired({ expiresAt }: Principal, now = wallNow()): boolean {
  return expiresAt !== undefined && expiresAt <= now
}
