/** Schemas that several other schemas share. */
import { CURSOR_SYNTAX } from '../model/cursor.js'
import { Type } from './typebox.js'

export const Cursor = Type.String({
  pattern: CURSOR_SYNTAX,
  description: 'a position in the log',
  examples: ['8f3kq0zt-1042'],
})

/** The topic in a path. The schema does not check it: the hub does, with better messages. */
export const TopicParams = Type.Object({ topic: Type.String({ description: 'a topic or, to subscribe, a pattern' }) })

/** A query parameter that may be given once or several times. */
export const Repeatable = Type.Union([Type.String(), Type.Array(Type.String())])

/** The values of a repeatable parameter. */
export function listOf(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value]
}
