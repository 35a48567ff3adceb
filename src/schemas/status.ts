/** The answers of status and health. */
import { Type } from './typebox.js'

export const Status = Type.Object({
  status: Type.Literal('ok'),
  clients: Type.Integer({ minimum: 0, description: 'how many streams are open' }),
  topics: Type.Integer({ minimum: 0, description: 'how many topics the log holds' }),
  uptime: Type.Number({ minimum: 0, description: 'in seconds' }),
  version: Type.String(),
})

export const Health = Type.Object({ status: Type.Literal('ok') })
