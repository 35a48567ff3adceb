/** The parameters of an operation, with the schemas of their values. */
import { describedBy } from '../schemas/parameters.js'
import type { Operation } from './operation.js'
import type { Route } from './route.js'

/** A parameter as @fastify/swagger has made it. */
export interface Parameter {
  name: string
  in: string
  description?: string
  required?: boolean
  schema?: object
  /** How a query has several values. */
  style?: string
  explode?: boolean
}

type Properties = Record<string, unknown>

/** Returns the parameters. A request has texts; the schemas are those of the values that the texts stand for. */
export function parametersOf(
  described: readonly Parameter[],
  { schema }: Route,
  { headers = {} }: Operation,
): Parameter[] {
  const query = propertiesOf(schema.querystring)
  const params = propertiesOf(schema.params)
  return described.map((parameter) => {
    const { name, in: place } = parameter
    if (place === 'header') return { ...parameter, schema: headers[name]!.schema }
    const own = place === 'path' ? (params[name] ?? params['*']) : query[name]
    const { schema: value = withoutDescription(parameter.schema), isRequired = false } = describedBy(own) ?? {}
    return {
      ...parameter,
      ...(isRequired && { required: true }),
      ...(isArray(value) && { style: 'form', explode: true }),
      schema: value,
    }
  })
}

function propertiesOf(schema: unknown): Properties {
  return (schema as { properties?: Properties } | undefined)?.properties ?? {}
}

function isArray(schema: object | undefined): boolean {
  return schema !== undefined && 'type' in schema && schema.type === 'array'
}

/** The description is that of the parameter. */
function withoutDescription(schema: object = {}): object {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== 'description'))
}
