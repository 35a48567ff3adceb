/** The requests and answers of finite topics. */
import { Type, type Static } from './typebox.js'

export const StreamParams = Type.Object({
  '*': Type.String({ description: 'the path of the stream: "chats/42/r7" is the topic "chats.42.r7"' }),
})

export const StreamQuery = Type.Object({
  offset: Type.Optional(
    Type.String({ description: 'a Stream-Next-Offset of an earlier answer, "-1" (the start, the default) or "now"' }),
  ),
  live: Type.Optional(Type.String({ description: '"long-poll" or "sse": waits for new messages; needs "offset"' })),
  cursor: Type.Optional(Type.String({ description: 'the Stream-Cursor of the last answer to a live read' })),
  ticket: Type.Optional(
    Type.String({ description: 'a ticket from POST /tickets instead of a token; for live=sse only' }),
  ),
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
})
export type FiniteInfo = Static<typeof FiniteInfo>

/** The state of a finite topic after `POST /streams/{path}/cancel`. */
export const CancelledStream = Type.Object({
  topic: Type.String(),
  status: Type.String({ description: '"cancelled", or how the stream had ended before: "done" or "error"' }),
})
export type CancelledStream = Static<typeof CancelledStream>
