/**
 * The bodies and answers of publishing. The hub checks the events; the schemas of events only describe the faults of
 * events that the hub refuses.
 */
import { ATTRIBUTES } from '../model/attributes.js'
import { BATCH_MAX } from '../model/event.js'
import { Type, type Static } from './typebox.js'
import { Cursor } from './common.js'
import { parameter } from './parameters.js'

const members = {
  data: Type.Optional(Type.Unknown({ description: 'any JSON value; exactly one of data, text and bytes' })),
  text: Type.Optional(Type.String({ description: 'a text; exactly one of data, text and bytes' })),
  bytes: Type.Optional(
    Type.String({ description: 'base64 with padding (RFC 4648, section 4); exactly one of data, text and bytes' }),
  ),
  type: Type.Optional(
    Type.String({
      description:
        'the "event:" field on a stream; 1 to 128 characters, no control characters or noncharacters, not starting with "fanfare."',
    }),
  ),
  id: Type.Optional(
    Type.String({
      description:
        "the publisher's own id, 1 to 128 printable ASCII characters; an event with a known id is not stored again; not for ephemeral events",
    }),
  ),
  attributes: Type.Optional(
    Type.Record(Type.String(), Type.String(), {
      description: `up to ${ATTRIBUTES.count} attributes: names of 1 to ${ATTRIBUTES.name} of a-z and 0-9, values of 1 to ${ATTRIBUTES.value} characters, at most ${ATTRIBUTES.bytes} bytes together`,
    }),
  ),
  ephemeral: Type.Optional(Type.Boolean({ description: 'true: sent to the current subscribers only, never stored' })),
}

export const EventBody = Type.Object(members, { additionalProperties: false })
export const BatchEvent = Type.Object(
  { topic: Type.String({ description: 'a topic' }), ...members },
  { additionalProperties: false },
)
export const BatchBody = Type.Object(
  { events: Type.Array(BatchEvent, { minItems: 1, maxItems: BATCH_MAX }) },
  { additionalProperties: false },
)
export type EventBody = Static<typeof EventBody>
export type BatchEvent = Static<typeof BatchEvent>
export type BatchBody = Static<typeof BatchBody>

export const PublishQuery = Type.Object({
  type: Type.Optional(
    parameter('the type of an event with a text/plain body; it has no control characters or noncharacters', {
      type: 'string',
      minLength: 1,
      maxLength: 128,
      pattern: '^(?!fanfare\\.)',
    }),
  ),
})

export const Receipt = Type.Object({
  id: Type.Union([Cursor, Type.Null()], { description: 'null for an ephemeral event' }),
  topic: Type.String(),
  duplicate: Type.Boolean(),
  subscribers: Type.Integer({ minimum: 0, description: 'the subscribers on this node that get the event' }),
})

export const BatchReceipt = Type.Object({
  events: Type.Array(
    Type.Object({ id: Type.Union([Cursor, Type.Null()]), topic: Type.String(), duplicate: Type.Boolean() }),
  ),
})
export type BatchReceipt = Static<typeof BatchReceipt>

export const StreamReceipt = Type.Object({
  accepted: Type.Integer({ minimum: 0 }),
  duplicates: Type.Integer({ minimum: 0 }),
  lastId: Type.Union([Cursor, Type.Null()], {
    description: 'the id of the last stored event; null if nothing was stored',
  }),
})
export type StreamReceipt = Static<typeof StreamReceipt>
