/** The bodies and answers of named cursors. */
import { Type, type Static } from './typebox.js'
import { Cursor } from './common.js'

export const CursorParams = Type.Object({
  name: Type.String({ description: '1 to 64 of letters, digits, "-" and "_"' }),
})

export const NamedCursor = Type.Object({
  name: Type.String(),
  id: Cursor,
  expiresAt: Type.String({
    format: 'date-time',
    description: 'the time at which the hub deletes the cursor if it stays unused',
  }),
})
export type NamedCursor = Static<typeof NamedCursor>

export const NamedCursors = Type.Object({ cursors: Type.Array(NamedCursor, { description: 'sorted by name' }) })

export const Acknowledgement = Type.Object(
  { id: Type.String({ description: 'a cursor; all events up to it have been read' }) },
  { additionalProperties: false },
)
