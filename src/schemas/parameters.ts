/**
 * Parameters of queries and paths. A request has texts, which the routes read themselves, since their messages name the
 * fault. The OpenAPI document describes the values: the member `x-parameter` of a schema has the schema of the value.
 */
import { CURSOR_SYNTAX } from '../model/cursor.js'
import { PATTERN_SYNTAX, TOPIC_MAX_LENGTH, TOPIC_SYNTAX } from '../model/topic.js'
import { DURATION_SYNTAX } from '../model/units.js'
import { Type } from './typebox.js'

/** How the OpenAPI document describes a parameter. */
export interface Described {
  /** The JSON Schema of the value. */
  schema: object
  /** Whether the hub refuses a request without the parameter. */
  isRequired?: boolean
}

const MEMBER = 'x-parameter'

/** A whole number within limits. */
export interface Range {
  minimum: number
  maximum: number
  default?: number
}

/** The number of items of a page. */
export const PAGE_SIZE = { minimum: 1, maximum: 1_000, default: 100 } satisfies Range

/** Schemas of values. */
export const values = {
  text: { type: 'string' },
  nonEmpty: { type: 'string', minLength: 1 },
  topic: { type: 'string', maxLength: TOPIC_MAX_LENGTH, pattern: TOPIC_SYNTAX },
  pattern: { type: 'string', maxLength: TOPIC_MAX_LENGTH, pattern: PATTERN_SYNTAX },
  cursor: { type: 'string', pattern: CURSOR_SYNTAX },
  time: { type: 'string', format: 'date-time' },
  duration: { type: 'string', pattern: DURATION_SYNTAX },
  flag: { type: 'boolean', default: false },
  count: (range: Range) => ({ type: 'integer', ...range }),
  choice: (...choices: string[]) => ({ type: 'string', enum: choices }),
}

/** Returns the member of a schema that describes the value. */
export function describe(described: Described): Record<string, Described> {
  return { [MEMBER]: described }
}

/** A parameter of one value. */
export function parameter(description: string, schema: object = values.text) {
  return Type.String({ description, ...describe({ schema }) })
}

/** A query parameter that may be given once or several times. */
export function repeatable(description: string, { schema, isRequired = false }: Described) {
  return Type.Union([Type.String(), Type.Array(Type.String())], {
    description,
    ...describe({ schema: { type: 'array', ...schema }, isRequired }),
  })
}

/** Returns how the document describes a parameter; `undefined`: the schema of the parameter describes it. */
export function describedBy(parameter: unknown): Described | undefined {
  return (parameter as { [MEMBER]?: Described } | undefined)?.[MEMBER]
}
