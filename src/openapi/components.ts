/** The schemas with a name: every schema that a file of src/schemas exports, except those of paths and queries. */
import * as access from '../schemas/access.js'
import * as block from '../schemas/block.js'
import * as claims from '../schemas/claims.js'
import * as common from '../schemas/common.js'
import * as connection from '../schemas/connection.js'
import * as cursor from '../schemas/cursor.js'
import * as event from '../schemas/event.js'
import * as finite from '../schemas/finite.js'
import * as node from '../schemas/node.js'
import * as presence from '../schemas/presence.js'
import * as problem from '../schemas/problem.js'
import * as stats from '../schemas/stats.js'
import * as status from '../schemas/status.js'
import * as stream from '../schemas/stream.js'
import * as systemEvent from '../schemas/system-event.js'
import * as topic from '../schemas/topic.js'

/** The files of schemas. A test fails if one is missing here. */
const FILES: object[] = [
  access,
  block,
  claims,
  common,
  connection,
  cursor,
  event,
  finite,
  node,
  presence,
  problem,
  stats,
  status,
  stream,
  systemEvent,
  topic,
]

/** Exports that are parameters of paths and queries, or parts of them. */
const PARAMETERS = /(?:Params|Query)$/

/** Returns the schemas by name, sorted. */
export function namedSchemas(): Map<string, object> {
  const named = FILES.flatMap((file) => Object.entries(file as Record<string, unknown>)).filter(
    (entry): entry is [string, object] =>
      typeof entry[1] === 'object' && entry[1] !== null && !PARAMETERS.test(entry[0]),
  )
  return new Map(named.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The member that stands for a reference while @fastify/swagger builds the document: it would resolve a `$ref`. */
const MARK = 'x-fanfare-ref'

/** Replaces schemas by marks of their names. Schemas are compared as JSON, since TypeBox copies some of them. */
export class References {
  readonly #names: ReadonlyMap<string, string>

  constructor(schemas: ReadonlyMap<string, object>) {
    this.#names = new Map([...schemas].reverse().map(([name, schema]) => [JSON.stringify(schema), name]))
  }

  /**
   * Returns a copy of a schema with marks.
   * @param itself the name of the schema, which it must not refer to
   */
  mark(value: unknown, itself?: string): unknown {
    if (typeof value !== 'object' || value === null) return value
    const name = this.#names.get(JSON.stringify(value))
    if (name !== undefined && name !== itself) return { [MARK]: name }
    if (Array.isArray(value)) return value.map((item) => this.mark(item))
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, this.mark(member)]))
  }
}

/** Returns a copy of a value in which each mark is a `$ref`. */
export function withReferences(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(withReferences)
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) =>
      key === MARK ? ['$ref', `#/components/schemas/${String(member)}`] : [key, withReferences(member)],
    ),
  )
}
