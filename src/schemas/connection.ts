/** The descriptions of open streams, and the bodies that change them. */
import { Type, type Static } from './typebox.js'
import { Cursor } from './common.js'
import { PAGE_SIZE, parameter, values } from './parameters.js'

export const ConnectionParams = Type.Object({
  id: parameter('the id of a stream, from the header fanfare-connection or from fanfare.open', values.nonEmpty),
})

const Patterns = Type.Array(Type.String({ description: 'a topic or a pattern' }))

export const Connection = Type.Object({
  id: Type.String(),
  subject: Type.Union([Type.String(), Type.Null()], { description: 'the "sub" of the stream\'s token' }),
  address: Type.Optional(
    Type.Union([Type.String(), Type.Null()], {
      description:
        'the address of the subscriber; null on a Unix socket; absent if a process of an older version answers',
    }),
  ),
  topics: Patterns,
  since: Type.String({ format: 'date-time' }),
  cursor: Cursor,
  expiresAt: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: "the time at which the stream's token expires",
  }),
  sent: Type.Object({ events: Type.Integer({ minimum: 0 }), bytes: Type.Integer({ minimum: 0 }) }),
  lag: Type.Integer({ minimum: 0, description: 'how many events of the log may still be unsent' }),
})
export type Connection = Static<typeof Connection>

export const ConnectionsQuery = Type.Object({
  topic: Type.Optional(
    parameter('only streams that receive the events of this topic, or have this pattern', values.pattern),
  ),
  subject: Type.Optional(parameter('only streams of this subject')),
  search: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'only streams whose id, subject or address contains this text, in upper or lower case',
    }),
  ),
  order: Type.Optional(
    Type.Enum(['id', 'lag'], {
      description: '"lag": the streams with the greatest lag, without a next page',
      default: 'id',
    }),
  ),
  limit: Type.Optional(parameter('how many streams', values.count(PAGE_SIZE))),
  after: Type.Optional(parameter('the cursor of the previous page')),
})

export const ConnectionsPage = Type.Object({
  connections: Type.Array(Connection),
  more: Type.Boolean(),
  cursor: Type.Union([Type.String(), Type.Null()], {
    description: 'the parameter "after" of the next page; null if this page is empty',
  }),
})

export const TopicsChange = Type.Object(
  {
    subscribe: Type.Optional(Patterns),
    unsubscribe: Type.Optional(Patterns),
    replay: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1_000,
        description: 'how many retained events of the added topics are sent first',
      }),
    ),
  },
  { additionalProperties: false },
)

export const HeldTopics = Type.Object({ topics: Patterns })
export const RenewedToken = Type.Object({ topics: Patterns, expiresAt: Connection.properties.expiresAt })

export const SubjectQuery = Type.Object({
  subject: Type.String({ minLength: 1, description: 'the "sub" of the tokens of the streams' }),
})
export const Closed = Type.Object({ closed: Type.Integer({ minimum: 0 }) })
