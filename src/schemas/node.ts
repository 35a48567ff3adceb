/** The processes of the hub. */
import { Type } from './typebox.js'

export const Nodes = Type.Array(
  Type.Object({
    node: Type.String({ description: 'the name of the process; a connection id begins with it' }),
    version: Type.String(),
    since: Type.String({ format: 'date-time', description: 'when the process started' }),
    connections: Type.Integer({ minimum: 0, description: 'how many streams are open in the process' }),
    lag: Type.Integer({
      minimum: 0,
      description: 'how many events of the log the process has not taken yet, compared with the process that has most',
    }),
    leader: Type.Optional(
      Type.Boolean({ description: 'whether the process writes the log; absent if the log has no such process' }),
    ),
  }),
)
