/** The requests and answers of finite topics. */
import { parameter, values } from './parameters.js'
import { Type, type Static } from './typebox.js'

/** The syntax of an offset, as the source of a regular expression. The start of a stream may have a second zero. */
export const OFFSET_SYNTAX = '^(\\d{16})(?:_0{16})?$'

export const StreamParams = Type.Object({
  '*': parameter(
    'the path of the stream, which may have slashes: "chats/42/r7" is the topic "chats.42.r7"',
    values.nonEmpty,
  ),
})

export const StreamQuery = Type.Object({
  offset: Type.Optional(
    parameter('a Stream-Next-Offset of an earlier answer, "-1" (the start) or "now"', {
      anyOf: [{ type: 'string', pattern: OFFSET_SYNTAX }, values.choice('-1', 'now')],
      default: '-1',
    }),
  ),
  live: Type.Optional(
    parameter('waits for new messages: once, or as an event stream; needs "offset"', values.choice('long-poll', 'sse')),
  ),
  cursor: Type.Optional(parameter('the Stream-Cursor of the last answer to a live read')),
  ticket: Type.Optional(parameter('a ticket from POST /tickets instead of a token; for live=sse only')),
})
export type StreamQuery = Static<typeof StreamQuery>

/** The state of a finite topic, in the description of the topic. */
export const FiniteInfo = Type.Object({
  path: Type.Union([Type.String(), Type.Null()], {
    description:
      'its path below the URL of the hub, such as "/streams/chats/42/r7"; null if no path leads to the topic',
  }),
  status: Type.String({ description: '"open", "done", "error", "cancelled" or "expired"' }),
  contentType: Type.String(),
  size: Type.Integer({ minimum: 0, description: 'the bytes of all messages, without those that a fork inherits' }),
  createdAt: Type.String({ format: 'date-time' }),
  createdBy: Type.Optional(Type.String({ description: 'for admins: the subject that created it' })),
  fork: Type.Optional(
    Type.Object(
      {
        topic: Type.String({ description: 'the topic that it is a fork of' }),
        lastId: Type.String({ description: 'the id up to which it inherits the events of that topic' }),
      },
      { description: 'of a fork, if the token has a subscribe grant for its source' },
    ),
  ),
})
export type FiniteInfo = Static<typeof FiniteInfo>

/** The state of a finite topic after `POST /streams/{path}/cancel`. */
export const CancelledStream = Type.Object({
  topic: Type.String(),
  status: Type.String({ description: '"cancelled", or how the stream had ended before: "done" or "error"' }),
})
export type CancelledStream = Static<typeof CancelledStream>
