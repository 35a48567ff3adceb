/** The bodies and answers of named cursors. */
import { Type, type Static } from './typebox.js'
import { Cursor } from './common.js'
import { parameter } from './parameters.js'

/** The syntax of the name of a cursor, as the source of a regular expression. */
export const CURSOR_NAME_SYNTAX = '^[A-Za-z0-9_-]{1,64}$'

export const CursorParams = Type.Object({
  name: parameter('1 to 64 of letters, digits, "-" and "_"', { type: 'string', pattern: CURSOR_NAME_SYNTAX }),
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
