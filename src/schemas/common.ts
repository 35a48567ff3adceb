/** Shapes that several others are made of. */
import Type from 'typebox'
import { CURSOR_SYNTAX } from '../hub/cursor.js'
import { PATTERN_SYNTAX, TOPIC_MAX_LENGTH, TOPIC_SYNTAX } from '../hub/topic.js'

export const Topic = Type.String({
  pattern: TOPIC_SYNTAX,
  maxLength: TOPIC_MAX_LENGTH,
  description: '1 to 16 segments joined by ".", each 1 to 64 of A-Z a-z 0-9 _ ~ : @ -; 200 characters at most',
  examples: ['orders.42'],
})

export const Pattern = Type.String({
  pattern: PATTERN_SYNTAX,
  maxLength: TOPIC_MAX_LENGTH,
  description: 'a topic in which a whole segment may be * (exactly one segment) and the last may be ** (one or more)',
  examples: ['orders.*', '**'],
})

export const Cursor = Type.String({ pattern: CURSOR_SYNTAX, description: 'a position in the log', examples: ['8f3kq0zt-1042'] })

/** What stands in a path: checked by the hub, which says what is wrong with it. */
export const TopicParams = Type.Object({ topic: Type.String({ description: 'a topic or, to subscribe, a pattern' }) })

/** A query parameter that may be given once or several times. */
export const Repeatable = Type.Union([Type.String(), Type.Array(Type.String())])

/** The values of a repeatable parameter. */
export function listOf(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value]
}
