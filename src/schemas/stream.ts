/** The query of streams and history, and a page of history. */
import { Type, type Static } from './typebox.js'
import { Cursor, Repeatable } from './common.js'

const text = (description: string) => Type.String({ description })

const reading = {
  type: Type.Optional(Repeatable),
  lastEventId: Type.Optional(
    Type.String({ description: 'the same as the header Last-Event-ID; the header takes precedence' }),
  ),
  replay: Type.Optional(
    Type.String({
      description:
        'how many retained events are sent first: a number up to 1,000, "all", or "latest" (the newest of each topic)',
    }),
  ),
  from: Type.Optional(
    Type.String({
      description:
        'instead of replay: "start", or an RFC 3339 time; events since then are sent first. History: only events since then',
    }),
  ),
  format: Type.Optional(Type.String({ description: 'raw, json or cloudevents' })),
  cursor: Type.Optional(
    Type.String({
      description: 'a named cursor of the token\'s "sub"; without a last event id, the stream starts after this cursor',
    }),
  ),
  slow: Type.Optional(
    Type.String({
      description:
        'what a stalled subscriber gets when it reads again: "resume" (all events) or "latest" (the newest event of each topic)',
    }),
  ),
  presence: Type.Optional(
    Type.String({ description: 'true: also sends joins and leaves of subjects on these topics' }),
  ),
  observe: Type.Optional(
    Type.String({
      description: "true, for admins: the stream is neither present nor counted among a topic's subscribers",
    }),
  ),
  ticket: Type.Optional(text('a ticket from POST /tickets instead of a token; for streams only')),
  after: Type.Optional(Type.String({ description: 'history: only events after this cursor' })),
  before: Type.Optional(Type.String({ description: 'history: the newest events before this cursor' })),
  limit: Type.Optional(text('history: 1 to 1,000 events, default 100')),
  last: Type.Optional(text('history: only the newest events, 1 to 1,000 of them')),
}

export const TopicQuery = Type.Object(reading)
export const EventsQuery = Type.Object({ topic: Type.Optional(Repeatable), ...reading })
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
