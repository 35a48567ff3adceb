/** What tabs tell each other. */
import { HubError } from '../errors.js'
import type { HubBlock } from '../reader.js'
import type { HubState } from '../types.js'

/** A HubError as it can be sent to another tab. */
export interface Refusal {
  code: string
  status: number
  detail: string
}

/** What a leader passes on. The state has no error: `refusal` is the error. */
export type News =
  | { kind: 'block'; block: HubBlock }
  | { kind: 'state'; state: HubState; refusal: Refusal | undefined }
  | { kind: 'refused'; patterns: readonly string[]; refusal: Refusal }
  | { kind: 'complete'; patterns: readonly string[] }

/** A tab wants these topics and patterns; none: it leaves. A leader answers with `at`. */
export interface Want {
  kind: 'want'
  from: string
  patterns: string[]
}

/** A tab has become the leader. All messages of this leader have its term. */
export interface Lead {
  kind: 'lead'
  term: string
}

/** The position of a leader's stream, after its message number `n`. */
export interface At {
  kind: 'at'
  term: string
  n: number
  state: HubState
  /** The open block of the stream, with the cursor of now; `undefined`: it has not been open. */
  opening: HubBlock | undefined
}

export type Message = Want | Lead | At | (News & { term: string; n: number })

export function refusalOf({ code, status, message }: HubError): Refusal {
  return { code, status, detail: message }
}

export function errorOf({ code, status, detail }: Refusal): HubError {
  return new HubError(code, status, detail)
}
