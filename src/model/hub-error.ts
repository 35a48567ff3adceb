/** What the hub refuses, by a stable code. The words for HTTP stand in `src/errors.ts`. */
export type HubErrorCode =
  | 'invalid-request'
  | 'invalid-topic'
  | 'reserved-topic'
  | 'invalid-pattern'
  | 'invalid-cursor'
  | 'invalid-event'
  | 'invalid-claims'
  | 'event-too-large'
  | 'too-many-topics'
  | 'too-many-ids'
  | 'too-many-cursors'
  | 'log-unavailable'
  | 'hub-closed'

/** An error of the hub itself, with a stable `code` and a message that says what to do. */
export class HubError extends Error {
  override name = 'HubError'
  readonly code: HubErrorCode
  /** Which of several events was refused, from 0. */
  index: number | undefined

  constructor(code: HubErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
