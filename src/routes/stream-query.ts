/** Reads the parameters of a request for events: where a stream is to begin, and what it is to be like. */
import type { FastifyRequest } from 'fastify'
import { Problem } from '../errors.js'
import type { StartRequest } from '../hub/start.js'
import type { SlowPolicy } from '../hub/stream.js'
import { quote } from '../model/quote.js'
import type { EventsQuery } from '../schemas/stream.js'
import { Compile, Type } from '../schemas/typebox.js'
import type { Format } from '../wire/sse.js'
import { readCount } from './counts.js'

/** The most retained events that can be asked for by number. */
const MAX_REPLAY = 1_000

/** Parameters that only an event stream has, and those that only a page of history has. */
export const STREAM_ONLY = ['lastEventId', 'replay', 'from', 'format', 'cursor', 'slow', 'presence', 'observe'] as const
export const PAGE_ONLY = ['after', 'limit', 'last'] as const

const dateTime = Compile(Type.String({ format: 'date-time' }))

/** Refuses parameters of the other representation: ignored, they would lose events without a word. */
export function refuseMisplaced(
  query: EventsQuery,
  names: readonly (keyof EventsQuery)[],
  theirs: string,
  ours: string,
): void {
  const misplaced = names.find((name) => query[name] !== undefined)
  if (misplaced !== undefined)
    throw new Problem(
      'invalid-request',
      `The query parameter ${quote(misplaced)} is for ${theirs}, and this request is for ${ours}.`,
    )
}

export function readFormat(format = 'raw'): Format {
  if (format === 'raw' || format === 'json' || format === 'cloudevents') return format
  throw new Problem('invalid-request', 'format is "raw", "json" or "cloudevents".')
}

export function readPolicy(slow = 'resume'): SlowPolicy {
  if (slow === 'resume' || slow === 'latest') return slow
  throw new Problem('invalid-request', 'slow is "resume" or "latest".')
}

export function readFlag(name: string, value = 'false'): boolean {
  if (value === 'true' || value === 'false') return value === 'true'
  throw new Problem('invalid-request', `${name} is "true" or "false".`)
}

/**
 * Reads where a stream is to begin. An empty last event id is none.
 * @param clockTolerance how far the clock of the client may be ahead, in milliseconds
 */
export function readStart(
  request: FastifyRequest,
  { lastEventId: inQuery, replay, from }: EventsQuery,
  clockTolerance: number,
): StartRequest {
  const header = [request.headers['last-event-id']].flat()[0]
  if (replay !== undefined && from !== undefined)
    throw new Problem('invalid-request', 'A stream begins with "replay" or with "from", not with both.')
  return {
    lastEventId: [header, inQuery].find((id) => id !== undefined && id !== ''),
    replay:
      replay === undefined || replay === 'all' || replay === 'latest'
        ? replay
        : readCount('replay', replay, 0, MAX_REPLAY),
    from: from === undefined || from === 'start' ? from : readTime(from, clockTolerance),
  }
}

/**
 * Returns a time (RFC 3339, 5.6) in milliseconds since the epoch of Unix. A leap second is read as the second before
 * it. A time in the future is refused: events that come before it would be sent all the same.
 */
function readTime(text: string, clockTolerance: number): number {
  const time = dateTime.Check(text) ? Date.parse(text.toUpperCase().replace(/:60(?=[.Z+-])/, ':59')) : NaN
  if (time > Date.now() + clockTolerance) {
    throw new Problem(
      'invalid-request',
      `from is a time in the future: ${quote(text)}. Leave it out for what comes from now on.`,
    )
  }
  if (!Number.isNaN(time)) return time
  throw new Problem(
    'invalid-request',
    `from is "start" or an RFC 3339 time such as 2026-12-31T23:59:59Z (a "+" in a URL is written %2B); ${quote(text)} is neither.`,
  )
}
