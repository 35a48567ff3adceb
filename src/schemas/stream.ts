/** The query of streams and history, and a page of history. */
import { Type, type Static } from './typebox.js'
import { Cursor } from './common.js'
import { CURSOR_NAME_SYNTAX } from './cursor.js'
import { PAGE_SIZE, parameter, repeatable, values } from './parameters.js'

/** The maximum number of topics and patterns of a stream. */
export const MAX_PATTERNS = 100
/** The maximum number of event types of a stream. */
export const MAX_TYPES = 100
/** The maximum number of events in `replay`. */
export const MAX_REPLAY = 1_000

const reading = {
  type: Type.Optional(
    repeatable('only events of these types; default: all', {
      schema: { items: values.nonEmpty, minItems: 1, maxItems: MAX_TYPES },
    }),
  ),
  lastEventId: Type.Optional(parameter('the same as the header Last-Event-ID; the header takes precedence')),
  replay: Type.Optional(
    parameter(
      'how many retained events are sent first: a number, "all", or "latest" (the newest of each topic); default 0',
      { anyOf: [values.count({ minimum: 0, maximum: MAX_REPLAY }), values.choice('all', 'latest')] },
    ),
  ),
  from: Type.Optional(
    parameter(
      'instead of replay: "start", or an RFC 3339 time in the past; events since then are sent first. History: only events since then',
      { anyOf: [values.choice('start'), values.time] },
    ),
  ),
  format: Type.Optional(
    parameter('what the data of an event is: its payload, or JSON with the payload as a member', {
      ...values.choice('raw', 'json', 'cloudevents'),
      default: 'raw',
    }),
  ),
  cursor: Type.Optional(
    parameter('a named cursor of the token\'s "sub"; without a last event id, the stream starts after this cursor', {
      type: 'string',
      pattern: CURSOR_NAME_SYNTAX,
    }),
  ),
  slow: Type.Optional(
    parameter(
      'what a stalled subscriber gets when it reads again: "resume" (all events) or "latest" (the newest event of each topic)',
      { ...values.choice('resume', 'latest'), default: 'resume' },
    ),
  ),
  presence: Type.Optional(parameter('true: also sends joins and leaves of subjects on these topics', values.flag)),
  observe: Type.Optional(
    parameter("true, for admins: the stream is neither present nor counted among a topic's subscribers", values.flag),
  ),
  ticket: Type.Optional(parameter('a ticket from POST /tickets instead of a token; for streams only')),
  after: Type.Optional(parameter('history: only events after this cursor', values.cursor)),
  before: Type.Optional(parameter('history: the newest events before this cursor', values.cursor)),
  limit: Type.Optional(parameter('history: how many events', values.count(PAGE_SIZE))),
  last: Type.Optional(
    parameter('history: only the newest events, as many', values.count({ minimum: 1, maximum: PAGE_SIZE.maximum })),
  ),
}

export const TopicQuery = Type.Object(reading)
export const EventsQuery = Type.Object({
  // the route itself refuses a request without topics
  topic: Type.Optional(
    repeatable('the topics and patterns', {
      schema: { items: values.pattern, minItems: 1, maxItems: MAX_PATTERNS },
      isRequired: true,
    }),
  ),
  ...reading,
})
export type EventsQuery = Static<typeof EventsQuery>

export const HistoryEvent = Type.Object({
  id: Cursor,
  topic: Type.String(),
  type: Type.Optional(Type.String()),
  time: Type.String({ format: 'date-time' }),
  attributes: Type.Optional(Type.Record(Type.String(), Type.String())),
  data: Type.Optional(Type.Unknown()),
  text: Type.Optional(Type.String()),
  bytes: Type.Optional(Type.String({ description: 'base64' })),
})
export type HistoryEvent = Static<typeof HistoryEvent>

export const History = Type.Object({
  events: Type.Array(HistoryEvent),
  cursor: Cursor,
  more: Type.Boolean(),
  gap: Type.Union([
    Type.Null(),
    Type.Object({
      reason: Type.Union([Type.Literal('expired'), Type.Literal('epoch'), Type.Literal('future')]),
      oldest: Type.Union([Cursor, Type.Null()]),
    }),
  ]),
})
export type History = Static<typeof History>
