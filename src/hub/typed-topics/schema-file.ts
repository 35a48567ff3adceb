/** Reads the file of `FANFARE_SCHEMAS`: JSON Schemas by pattern, or by pattern and type. */
import { readFileSync } from 'node:fs'
import { isType } from '../../model/event.js'
import { isObject, isSchema, visitSchemas, type JsonSchema, type PatternSchemas } from '../../model/json-schema.js'
import { quote } from '../../model/quote.js'
import { SettingsError } from '../../model/settings-error.js'
import { isPattern, isReserved } from '../../model/topic.js'

/** The name that stands for all other types, and for events without a type. */
export const OTHER_TYPES = '*'

/** Keywords that change what a `$ref` means, or what a check returns. */
const UNSUPPORTED = ['$anchor', '$dynamicAnchor', '$dynamicRef', '$async', '$vocabulary'] as const
const DIALECT = 'https://json-schema.org/draft/2020-12/schema'

/**
 * Reads the file.
 * @throws SettingsError naming the first fault
 */
export function readSchemaFile(path: string): PatternSchemas[] {
  const file = parseFile(path)
  const { $defs = {}, ...patterns } = file
  if (!isObject($defs)) throw fault(path, 'its member "$defs" must be an object of schemas')
  return Object.entries(patterns).map(([pattern, entry]) => readEntry(path, pattern, entry, $defs))
}

/** Returns the refusal of a file. */
export function fault(path: string, words: string): SettingsError {
  return new SettingsError(`The file of FANFARE_SCHEMAS (as a plugin: schemas), ${JSON.stringify(path)}: ${words}.`)
}

function parseFile(path: string): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (err) {
    throw fault(path, `it cannot be read (${(err as NodeJS.ErrnoException).code ?? String(err)})`)
  }
  let file: unknown
  try {
    file = JSON.parse(text.replace(/^\ufeff/, ''))
  } catch (err) {
    throw fault(path, `it is not valid JSON (${(err as Error).message})`)
  }
  if (!isObject(file)) throw fault(path, 'it must be an object whose names are patterns and whose values are schemas')
  return file
}

function readEntry(path: string, pattern: string, entry: unknown, shared: Record<string, unknown>): PatternSchemas {
  if (!isPattern(pattern)) throw fault(path, `${quote(pattern)} is neither a topic nor a pattern`)
  if (isReserved(pattern))
    throw fault(path, `${quote(pattern)} is a system topic, to which only the hub itself publishes`)
  const ready = (schema: unknown, what: string) => prepare(path, schema, what, shared)
  if (!isObject(entry) || !('types' in entry)) return { pattern, schema: ready(entry, quote(pattern)) }
  const { types, ...others } = entry
  if (!isObject(types) || Object.keys(others).length > 0)
    throw fault(path, `the member "types" of ${quote(pattern)} must be an object of schemas, and its only member`)
  if (Object.keys(types).length === 0)
    throw fault(
      path,
      `the member "types" of ${quote(pattern)} is empty: name a type, or set ${quote(pattern)} to false`,
    )
  const schemas = Object.entries(types).map(([type, schema]): [string, JsonSchema] => {
    if (type !== OTHER_TYPES && !isType(type))
      throw fault(path, `${quote(type)}, in the types of ${quote(pattern)}, is not a valid event type`)
    return [type, ready(schema, `${quote(pattern)} for the type ${quote(type)}`)]
  })
  return { pattern, types: new Map(schemas) }
}

/** Returns a schema with the shared definitions of the file, and without `$id` and `$schema`. */
function prepare(path: string, schema: unknown, what: string, shared: Record<string, unknown>): JsonSchema {
  if (!isSchema(schema)) throw fault(path, `the schema of ${what} must be an object, true or false`)
  if (typeof schema === 'boolean') return schema
  const { $schema, $defs, ...rest } = schema
  delete rest['$id']
  if ($schema !== undefined && (typeof $schema !== 'string' || $schema.replace(/#$/, '') !== DIALECT))
    throw fault(path, `the schema of ${what} has the "$schema" ${quote($schema)}, but the hub reads ${DIALECT}`)
  if ($defs !== undefined && !isObject($defs))
    throw fault(path, `the member "$defs" of the schema of ${what} must be an object of schemas`)
  const definitions = { ...shared, ...$defs }
  const prepared = Object.keys(definitions).length > 0 ? { ...rest, $defs: definitions } : rest
  visitSchemas(prepared, (inner) => {
    const keyword = [...UNSUPPORTED, '$id'].find((name) => Object.hasOwn(inner, name))
    if (keyword !== undefined)
      throw fault(path, `the schema of ${what} uses ${quote(keyword)}, which the hub does not support there`)
    const { $ref } = inner
    if (typeof $ref === 'string' && !/^#(?:\/|$)/.test($ref))
      throw fault(path, `the schema of ${what} refers to ${quote($ref)}, but a reference must begin with "#/"`)
  })
  return prepared
}
