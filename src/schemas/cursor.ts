/** Named cursors. */
import { Type, type Static } from './typebox.js'
import { Cursor } from './common.js'

export const CursorParams = Type.Object({
  name: Type.String({ description: '1 to 64 of letters, digits, "-" and "_"' }),
})

export const NamedCursor = Type.Object({
  name: Type.String(),
  id: Cursor,
  expiresAt: Type.String({ format: 'date-time', description: 'when it is forgotten unless it is used before' }),
})
export type NamedCursor = Static<typeof NamedCursor>

export const NamedCursors = Type.Object({ cursors: Type.Array(NamedCursor, { description: 'by name' }) })

export const Acknowledgement = Type.Object(
  { id: Type.String({ description: 'a cursor: everything up to it has been read' }) },
  { additionalProperties: false },
)
