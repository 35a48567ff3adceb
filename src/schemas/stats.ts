/** The statistics of the last hour. */
import { parameter, values } from './parameters.js'
import { Type, type Static } from './typebox.js'

const column = (description: string) =>
  Type.Array(Type.Union([Type.Number({ minimum: 0 }), Type.Null()]), { description })

export const StatsQuery = Type.Object({
  range: Type.Optional(parameter('how far back, from 1m to 1h', { ...values.duration, default: '1h' })),
})

/** Each member of `fanfare.stats` as a column: a number for each period, `null` where nothing was measured. */
export const StatsHistory = Type.Object({
  from: Type.String({ format: 'date-time', description: 'when the first period began' }),
  interval: Type.Number({ description: 'the length of a period, in seconds' }),
  connections: column('open streams'),
  lagging: column('open streams that are not live'),
  topics: column('topics in the log'),
  events: Type.Object({ in: column('published events per second'), out: column('sent events per second') }),
  bytes: Type.Object({ in: column('payload bytes per second'), out: column('sent bytes per second') }),
  latency: Type.Object({ p50: column('in milliseconds'), p99: column('in milliseconds') }),
  memory: column('resident bytes'),
  log: Type.Object({ events: column('events in the log'), bytes: column('their bytes') }),
  eventLoopDelay: column('in milliseconds, at the 99th percentile'),
  nodes: Type.Optional(
    Type.Integer({ minimum: 2, description: 'how many processes have answered, if there are several' }),
  ),
})
export type StatsHistory = Static<typeof StatsHistory>
