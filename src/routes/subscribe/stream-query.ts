/** Reads the query parameters of a stream: its start, format and options. */
import type { FastifyRequest } from 'fastify'
import { Problem } from '../../errors.js'
import type { StartRequest } from '../../hub/start.js'
import type { SlowPolicy } from '../../hub/stream.js'
import { quote } from '../../model/quote.js'
import { MAX_REPLAY, type EventsQuery } from '../../schemas/stream.js'
import { Compile, Type } from '../../schemas/typebox.js'
import type { Format } from '../../wire/sse.js'
import { readCount } from '../request/counts.js'

/** The parameters for streams only, and those for pages of history only. */
export const STREAM_ONLY = ['lastEventId', 'replay', 'format', 'cursor', 'slow', 'presence', 'observe'] as const
export const PAGE_ONLY = ['after', 'before', 'limit', 'last'] as const

const dateTime = Compile(Type.String({ format: 'date-time' }))

/** Refuses parameters of the other representation. If they were ignored, a client would lose events silently. */
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
  throw new Problem('invalid-request', 'format must be "raw", "json" or "cloudevents".')
}

export function readPolicy(slow = 'resume'): SlowPolicy {
  if (slow === 'resume' || slow === 'latest') return slow
  throw new Problem('invalid-request', 'slow must be "resume" or "latest".')
}

export function readFlag(name: string, value = 'false'): boolean {
  if (value === 'true' || value === 'false') return value === 'true'
  throw new Problem('invalid-request', `${name} must be "true" or "false".`)
}

/**
 * Reads where a stream starts. An empty last event id counts as missing.
 * @param clockTolerance how far the clock of the client may be ahead, in milliseconds
 */
export function readStart(
  request: FastifyRequest,
  { lastEventId: inQuery, replay, from }: EventsQuery,
  clockTolerance: number,
): StartRequest {
  const header = [request.headers['last-event-id']].flat()[0]
  if (replay !== undefined && from !== undefined)
    throw new Problem('invalid-request', 'Use either "replay" or "from", not both.')
  return {
    lastEventId: [header, inQuery].find((id) => id !== undefined && id !== ''),
    replay:
      replay === undefined || replay === 'all' || replay === 'latest'
        ? replay
        : readCount('replay', replay, { minimum: 0, maximum: MAX_REPLAY }),
    from: from === undefined ? undefined : readFrom(from, clockTolerance),
  }
}

/**
 * Reads the parameter `from`: a time in milliseconds since the Unix epoch, or the start of the topics.
 * @throws Problem `invalid-request`
 */
export function readFrom(from: string, clockTolerance: number): number | 'start' {
  return from === 'start' ? from : readTime(from, clockTolerance)
}

/**
 * Returns a time (RFC 3339, 5.6) in milliseconds since the Unix epoch. A leap second counts as the second before it. A
 * time in the future is refused, since the stream would not wait for it: events before that time would be sent too.
 */
function readTime(text: string, clockTolerance: number): number {
  const time = dateTime.Check(text) ? Date.parse(text.toUpperCase().replace(/:60(?=[.Z+-])/, ':59')) : NaN
  if (time > Date.now() + clockTolerance) {
    throw new Problem(
      'invalid-request',
      `from must not be in the future, but is ${quote(text)}. Leave it out to start with the next event.`,
    )
  }
  if (!Number.isNaN(time)) return time
  throw new Problem(
    'invalid-request',
    `from must be "start" or an RFC 3339 time such as 2026-12-31T23:59:59Z (write "+" as %2B in a URL), not ${quote(text)}.`,
  )
}
