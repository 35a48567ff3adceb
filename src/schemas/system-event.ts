/** The data of the events that the hub itself publishes. They describe events; nothing is validated with them. */
import { Connection } from './connection.js'
import { Type } from './typebox.js'

const amount = (description: string) => Type.Number({ minimum: 0, description })
const traffic = (description: string) =>
  Type.Object({ in: amount('per second'), out: amount('per second') }, { description })

/** The data of an event of `fanfare.stats`. */
export const StatsEvent = Type.Object({
  time: Type.String({ format: 'date-time' }),
  connections: amount('open streams'),
  topics: amount('topics in the log'),
  events: traffic('published and sent events'),
  busiest: Type.Array(Type.Object({ topic: Type.String(), rate: amount('events per second') }), {
    description: 'the topics with the most published events',
  }),
  bytes: traffic('bytes of payloads, and bytes sent'),
  latency: Type.Object(
    { p50: amount('in milliseconds'), p99: amount('in milliseconds') },
    { description: 'from the publish to the sockets of all live streams' },
  ),
  lagging: amount('open streams that are not live'),
  memory: amount('resident bytes'),
  log: Type.Object({ events: amount('events in the log'), bytes: amount('their bytes') }),
  eventLoopDelay: amount('in milliseconds, at the 99th percentile'),
  nodes: Type.Optional(Type.Integer({ minimum: 2, description: 'how many processes the hub has, if several' })),
})

/** The data of an event of `fanfare.connections`. */
export const ConnectionEvent = Type.Object({
  change: Type.Union([Type.Literal('opened'), Type.Literal('changed'), Type.Literal('closed')]),
  reason: Type.Optional(
    Type.String({ description: 'closed: the reason of fanfare.close, or "gone" if the subscriber closed the stream' }),
  ),
  ...Connection.properties,
})

/** The data of `fanfare.join` and `fanfare.leave`. */
export const PresenceEvent = Type.Object({
  topic: Type.String(),
  subject: Type.String(),
  info: Type.Unknown({ description: 'the claim "info" of the subject\'s token' }),
  subjects: Type.Integer({ minimum: 0, description: 'how many subjects are present after the change' }),
})
