/** The blocks of an event stream, and the data in them. They describe streams; nothing is validated with them. */
import { Cursor } from './common.js'
import { HistoryEvent } from './stream.js'
import { Type, type TSchema } from './typebox.js'

/** The text of a field that is JSON of a schema (JSON Schema 2020-12, Validation, 8). */
const jsonOf = (contentSchema: TSchema) => Type.String({ contentMediaType: 'application/json', contentSchema })

const Empty = Type.Object({}, { additionalProperties: false })

export const Opened = Type.Object({
  connection: Type.String({ description: 'the id of the stream, for the routes of connections' }),
  topics: Type.Array(Type.String(), { description: 'the topics and patterns of the stream' }),
})

export const Gap = Type.Object({
  reason: Type.Union(
    (['expired', 'epoch', 'future', 'invalid', 'skipped'] as const).map((reason) => Type.Literal(reason)),
    { description: 'why events are missing' },
  ),
  after: Type.String({ description: 'the last event id that the subscriber resumed after, as it was sent' }),
  oldest: Type.Union([Cursor, Type.Null()], { description: 'the oldest event that is still kept' }),
})

export const Closing = Type.Object({
  reason: Type.Union(
    (['expired', 'revoked', 'drain', 'slow', 'lifetime', 'busy', 'replaced'] as const).map((reason) =>
      Type.Literal(reason),
    ),
    { description: 'why the hub ends the stream' },
  ),
  retry: Type.Optional(Type.Integer({ description: 'busy: when to try again, in milliseconds' })),
})

/** An event on a stream with `format=json`. */
export const StreamEvent = Type.Object({
  ...HistoryEvent.properties,
  id: Type.Union([Cursor, Type.Null()], { description: 'null for an ephemeral event' }),
})

/** An event on a stream with `format=cloudevents` (CloudEvents JSON Event Format 1.0.2). */
export const CloudEvent = Type.Object(
  {
    specversion: Type.Literal('1.0'),
    id: Type.String({ description: 'the cursor; a unique id for an ephemeral event' }),
    source: Type.String({ description: '/topics/ and the topic' }),
    type: Type.String({ description: 'the type of the event; "message" without one' }),
    time: Type.String({ format: 'date-time' }),
    subject: Type.String({ description: 'the topic' }),
    datacontenttype: Type.Optional(Type.String()),
    data: Type.Optional(Type.Unknown()),
    data_base64: Type.Optional(Type.String()),
  },
  { description: 'attributes of the event are further members' },
)

const retry = Type.Integer({ minimum: 0, description: 'how long to wait before a reconnect, in milliseconds' })

export const OpenBlock = Type.Object({
  retry,
  id: Type.Optional(Cursor),
  event: Type.Literal('fanfare.open'),
  data: jsonOf(Opened),
})
export const GapBlock = Type.Object({
  id: Type.Optional(Cursor),
  event: Type.Literal('fanfare.gap'),
  data: jsonOf(Gap),
})
export const LiveBlock = Type.Object({ id: Cursor, event: Type.Literal('fanfare.live'), data: jsonOf(Empty) })
export const HeartbeatBlock = Type.Object({ id: Cursor, event: Type.Literal('fanfare.heartbeat'), data: jsonOf(Empty) })
export const CloseBlock = Type.Object({ retry, event: Type.Literal('fanfare.close'), data: jsonOf(Closing) })

export const EventBlock = Type.Object({
  id: Type.Optional(Cursor),
  event: Type.Optional(
    Type.String({ pattern: '^(?!fanfare\\.(?:open|gap|live|heartbeat|close)$)', description: 'the type of the event' }),
  ),
  topic: Type.Optional(Type.String({ description: 'on streams of several topics or of a pattern' })),
  data: Type.String({
    description:
      'the payload; with format=json a StreamEvent, with format=cloudevents a CloudEvent, as one line of JSON',
  }),
})

/** One block of a stream, as an object of its fields. */
export const StreamBlock = Type.Union([OpenBlock, GapBlock, EventBlock, LiveBlock, HeartbeatBlock, CloseBlock])
