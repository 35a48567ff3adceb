/** Whose a stream or a request is, and what they may do. */

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
}
