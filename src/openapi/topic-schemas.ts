/** Describes the schemas of typed topics. */
import { mapSchemas, type JsonSchema, type PatternSchemas, type SchemaObject } from '../model/json-schema.js'

/** The schemas of typed topics in a document. */
export interface TypedTopicsPart {
  /** The schemas by name. */
  components: Record<string, unknown>
  /** References to the schemas by pattern, or by pattern and type. */
  patterns: Record<string, unknown>
}

/** Returns the schemas as components. References within a schema are made relative to the whole document. */
export function describeTopics(topics: readonly PatternSchemas[]): TypedTopicsPart {
  const components: Record<string, unknown> = {}
  const add = (title: string, schema: JsonSchema) => {
    const name = freeName(title, components)
    const $ref = `#/components/schemas/${name}`
    components[name] = mapSchemas(asObject(schema), (inner) =>
      typeof inner.$ref === 'string' ? { ...inner, $ref: `${$ref}${inner.$ref.slice(1)}` } : inner,
    )
    return { $ref }
  }
  const patterns = topics.map(({ pattern, schema, types = [] }) => [
    pattern,
    schema === undefined
      ? { types: Object.fromEntries([...types].map(([type, inner]) => [type, add(`${pattern}-${type}`, inner)])) }
      : add(pattern, schema),
  ])
  return { components, patterns: Object.fromEntries(patterns) as Record<string, unknown> }
}

/** Some tools do not read a component that is true or false. */
function asObject(schema: JsonSchema): SchemaObject {
  return typeof schema === 'object' ? schema : schema ? {} : { not: {} }
}

/** Returns a name that a component may have (OpenAPI 3.2.0, 4.7.1). Names of topics begin with `topic-`. */
function freeName(title: string, taken: object): string {
  const name = `topic-${title
    .replaceAll('**', 'all')
    .replaceAll('*', 'any')
    .replaceAll(/[^\w.-]/g, '_')}`
  let free = name
  for (let number = 2; Object.hasOwn(taken, free); number++) free = `${name}-${number}`
  return free
}
