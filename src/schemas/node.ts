/** The processes of the hub. */
import { Type, type Static, type TSchema } from './typebox.js'

const orNull = <T extends TSchema>(schema: T, description: string) => Type.Union([schema, Type.Null()], { description })
const Count = Type.Integer({ minimum: 0 })
const Time = Type.String({ format: 'date-time' })

/** Members are `null` if the process has never told them to the process that answers. */
export const Node = Type.Object({
  node: Type.String({ description: 'the name of the process; a connection id begins with it' }),
  version: orNull(Type.String(), 'its version'),
  since: orNull(Time, 'when the process started'),
  connections: orNull(Count, 'how many streams are open in the process'),
  leader: Type.Optional(
    Type.Boolean({ description: 'whether the process writes the log; absent if the log has no such process' }),
  ),
  unreachable: Type.Boolean({
    description: 'whether the process runs and does not answer; all other members are then those of its last answer',
  }),
  lag: orNull(
    Count,
    'how many events of the log the process has not taken yet, compared with the process that has most',
  ),
  lagging: orNull(Count, 'how many of its streams are not live: they read the log, or wait for their sockets'),
  topics: orNull(Count, 'how many topics and patterns its streams have, each counted once'),
  published: orNull(Count, 'how many events it has accepted from publishers since its start, without duplicates'),
  sent: orNull(
    Type.Object({ events: Count, bytes: Count }),
    'how many events and bytes it has sent to subscribers since its start',
  ),
  memory: orNull(Count, 'its resident memory in bytes'),
  eventLoopDelay: orNull(
    Type.Number({ minimum: 0 }),
    'the delay of its event loop in milliseconds at the 99th percentile, over the last second; null: not measured yet',
  ),
  time: orNull(Time, 'when these figures were measured, by the clock of the process'),
})
export type Node = Static<typeof Node>

export const Nodes = Type.Array(Node)
