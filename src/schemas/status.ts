/** How the hub is. */
import { Type } from './typebox.js'

export const Status = Type.Object({
  status: Type.Literal('ok'),
  clients: Type.Integer({ minimum: 0, description: 'streams that are open' }),
  topics: Type.Integer({ minimum: 0, description: 'topics in the log' }),
  uptime: Type.Number({ minimum: 0, description: 'seconds' }),
  version: Type.String(),
})

export const Health = Type.Object({ status: Type.Literal('ok') })
