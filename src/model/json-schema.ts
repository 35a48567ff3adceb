/** Walks through a JSON Schema (2020-12). Data in `const`, `enum`, `default` and `examples` is not a schema. */

/** A JSON Schema. */
export type JsonSchema = boolean | SchemaObject
export type SchemaObject = Record<string, unknown>

/** The schemas of one pattern of topics: one for all events, or one for each type. */
export interface PatternSchemas {
  pattern: string
  /** The schema of all events; `undefined`: the schema depends on the type. */
  schema?: JsonSchema
  /** The schemas by type. */
  types?: ReadonlyMap<string, JsonSchema>
}

/** Keywords whose value is a schema. */
const ONE = [
  'items',
  'contains',
  'additionalProperties',
  'propertyNames',
  'unevaluatedItems',
  'unevaluatedProperties',
  'not',
  'if',
  'then',
  'else',
  'contentSchema',
]
/** Keywords whose value is an array of schemas. */
const SEVERAL = ['allOf', 'anyOf', 'oneOf', 'prefixItems']
/** Keywords whose value is an object of schemas. */
const NAMED = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']

/** Whether a value has the form of a JSON Schema. */
export function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'boolean' || isObject(value)
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Returns a copy of a schema in which `change` has replaced each object that is a schema, the innermost first. */
export function mapSchemas(schema: unknown, change: (schema: SchemaObject) => SchemaObject): unknown {
  if (!isObject(schema)) return schema
  const copy: SchemaObject = { ...schema }
  const inner = (value: unknown) => mapSchemas(value, change)
  for (const keyword of ONE) if (keyword in copy) copy[keyword] = inner(copy[keyword])
  for (const keyword of SEVERAL) {
    const schemas = copy[keyword]
    if (Array.isArray(schemas)) copy[keyword] = schemas.map(inner)
  }
  for (const keyword of NAMED) {
    const schemas = copy[keyword]
    if (isObject(schemas))
      copy[keyword] = Object.fromEntries(Object.entries(schemas).map(([name, value]) => [name, inner(value)]))
  }
  return change(copy)
}

/** Calls `visit` with each object that is a schema, the outermost last. */
export function visitSchemas(schema: unknown, visit: (schema: SchemaObject) => void): void {
  mapSchemas(schema, (inner) => {
    visit(inner)
    return inner
  })
}
