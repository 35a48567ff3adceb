/** The body of a refusal: problem details (RFC 9457). */
import { Type } from './typebox.js'

export const Problem = Type.Object({
  type: Type.String({ format: 'uri-reference' }),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String({ description: 'the fault of this request, and what to do about it' }),
  code: Type.String({ description: 'stable; see docs/errors.md' }),
  requestId: Type.String(),
  errors: Type.Optional(Type.Array(Type.Object({ path: Type.String(), message: Type.String() }))),
  line: Type.Optional(Type.Integer({ description: 'NDJSON: the number of the refused line, from 1' })),
  accepted: Type.Optional(Type.Integer({ description: 'NDJSON: how many events before that line are stored' })),
})

export const Refusal = Type.Object({
  code: Type.String(),
  status: Type.Integer(),
  title: Type.String(),
})
