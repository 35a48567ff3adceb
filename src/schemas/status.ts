/** The answers of status and health. */
import { Type } from './typebox.js'

export const Status = Type.Object({
  status: Type.Literal('ok'),
  clients: Type.Integer({ minimum: 0, description: 'how many streams are open, in all processes' }),
  topics: Type.Integer({ minimum: 0, description: 'how many topics the log holds' }),
  uptime: Type.Number({ minimum: 0, description: 'in seconds' }),
  version: Type.String(),
  nodes: Type.Optional(Type.Integer({ minimum: 2, description: 'how many processes the hub has, if several' })),
})

export const Health = Type.Object({ status: Type.Literal('ok') })
