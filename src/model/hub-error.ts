/** The stable codes of the hub's errors. `src/errors.ts` has their HTTP statuses and titles. */
export type HubErrorCode =
  | 'invalid-request'
  | 'invalid-topic'
  | 'reserved-topic'
  | 'invalid-pattern'
  | 'invalid-cursor'
  | 'invalid-event'
  | 'invalid-claims'
  | 'event-too-large'
  | 'schema-mismatch'
  | 'too-many-topics'
  | 'too-many-ids'
  | 'too-many-cursors'
  | 'log-unavailable'
  | 'unavailable'
  | 'hub-closed'

/** One fault of an event. */
export interface EventFault {
  /** The faulty value: a JSON pointer (RFC 6901) into the event. */
  path: string
  message: string
}

/** An error of the hub itself, with a stable `code` and a message that says what to do. */
export class HubError extends Error {
  override name = 'HubError'
  readonly code: HubErrorCode
  /** The index of the refused event in a list, from 0. */
  index: number | undefined
  /** The faults of an event that does not fit the schema of its topic. */
  errors: readonly EventFault[] | undefined

  constructor(code: HubErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
