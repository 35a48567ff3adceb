/** Every refusal: problem details (RFC 9457). */
import { Type } from './typebox.js'

export const Problem = Type.Object({
  type: Type.String({ format: 'uri-reference' }),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String({ description: 'what is wrong with this request, and what to do' }),
  code: Type.String({ description: 'stable; see docs/errors.md' }),
  requestId: Type.String(),
  errors: Type.Optional(Type.Array(Type.Object({ path: Type.String(), message: Type.String() }))),
  line: Type.Optional(Type.Integer({ description: 'NDJSON: the line that was refused, from 1' })),
  accepted: Type.Optional(Type.Integer({ description: 'NDJSON: how many events before it are stored' })),
})

export const Refusal = Type.Object({
  code: Type.String(),
  status: Type.Integer(),
  title: Type.String(),
})
