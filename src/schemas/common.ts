/** Schemas that several other schemas share. */
import { CURSOR_SYNTAX } from '../model/cursor.js'
import { parameter, values } from './parameters.js'
import { Type } from './typebox.js'

export const Cursor = Type.String({
  pattern: CURSOR_SYNTAX,
  description: 'a position in the log',
  examples: ['8f3kq0zt-1042'],
})

/** The topic in a path. */
export const TopicParams = Type.Object({ topic: parameter('a topic', values.topic) })
/** The topic or pattern in a path. */
export const PatternParams = Type.Object({ topic: parameter('a topic or a pattern', values.pattern) })

/** The values of a repeatable parameter. */
export function listOf(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value]
}
