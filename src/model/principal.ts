/** Whose a stream or a request is, and what they may do. */
import { wallNow } from './clock.js'

/** What a grant is for. */
export type Action = 'subscribe' | 'publish' | 'presence'

/** The bearer of a token, or nobody in particular. */
export interface Principal {
  /** Whether there was no token. */
  anonymous: boolean
  subject: string | undefined
  tokenId: string | undefined
  /** When the token ends, in milliseconds since the epoch of Unix. */
  expiresAt: number | undefined
  admin: boolean
  /** What others are told of the subject where it is present. */
  info: unknown
  /** Topics and patterns. */
  grants: Record<Action, readonly string[]>
  /** The name of the claim for grants where the token has none. */
  missingClaim: string | undefined
  /** Grants with `{sub}` that count for nothing, since the subject is not one segment of a topic. */
  voidGrants: Record<Action, readonly string[]>
}

/**
 * Whether the token of a principal has expired: its streams end then.
 * @param now in milliseconds since the epoch of Unix
 */
export function hasExpired({ expiresAt }: Principal, now = wallNow()): boolean {
  return expiresAt !== undefined && expiresAt <= now
}
