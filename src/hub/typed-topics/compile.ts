/** Compiles JSON Schemas (2020-12) with Ajv. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { FormatsPluginOptions } from 'ajv-formats'
import type { EventFault } from '../../model/hub-error.js'
import { visitSchemas, type JsonSchema } from '../../model/json-schema.js'

/** How many faults of an event are described. */
const MAX_FAULTS = 20
/** The maximum length of a path in a description, in characters. */
const MAX_PATH = 500
/** The minimum length of a payload whose check has a time limit, in characters. */
const LONG = 4_096

/** The fault of a schema whose references lead back to it. */
const ENDLESS = 'it refers to itself for the same value, so a check would never end'

/** A compiled schema. */
export interface Compiled {
  /** Returns the faults of a value; an empty array if it fits. */
  faultsOf(value: unknown): EventFault[]
  /** Whether the check of a payload of this length may take long. */
  mayTakeLong(length: number): boolean
}

/** Returns a function that compiles schemas, which throws an Error with the fault of a schema in words. */
export function createCompiler(): (schema: JsonSchema) => Compiled {
  const ajv = new Ajv2020({
    strict: true,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    allowMatchingProperties: true,
    multipleOfPrecision: 9, // decimals such as 0.07 are no exact multiples of 0.01 in binary
    ownProperties: true, // otherwise `toString` would fulfil `required`
    logger: false,
  })
  const addFormats = formats as unknown as (to: Ajv2020, options: FormatsPluginOptions) => Ajv2020
  addFormats(ajv, { mode: 'full' })
  ajv.removeKeyword('uniqueItems')
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    compile: (isUnique: boolean) => (items: unknown[]) => !isUnique || areUnique(items),
    error: { message: 'must not have duplicate items' },
  })
  return (schema) => {
    if (ajv.validateSchema(schema) !== true) throw new Error(describe(ajv.errors?.[0]))
    let check: ValidateFunction
    try {
      check = ajv.compile(schema)
    } catch (err) {
      const words = err instanceof RangeError ? ENDLESS : (err as Error).message.replace(/^strict mode: /, '')
      throw new Error(words, { cause: err })
    }
    requireEnd(check)
    const isRisky = hasRisk(schema)
    return {
      faultsOf: (value) => (check(value) ? [] : describeFaults(check.errors ?? [])),
      mayTakeLong: (length) => isRisky || length > LONG,
    }
  }
}

/**
 * Checks that a schema does not refer to itself without going into a part of the value, which would never end.
 * @throws Error in words
 */
function requireEnd(check: ValidateFunction): void {
  for (const value of [null, true, 0, '', [], {}]) {
    try {
      check(value)
    } catch (err) {
      throw new Error(ENDLESS, { cause: err })
    }
  }
}

/** Whether a check may take more than a time that is proportional to the payload: backtracking, or recursion. */
function hasRisk(schema: JsonSchema): boolean {
  let isRisky = false
  visitSchemas(schema, (inner) => {
    if ('pattern' in inner || 'patternProperties' in inner || '$ref' in inner) isRisky = true
  })
  return isRisky
}

/**
 * Whether an array has no two equal items. Ajv compares each item with each other one, which takes minutes for an
 * event of the maximum size.
 */
function areUnique(items: readonly unknown[]): boolean {
  return new Set(items.map((item) => JSON.stringify(sorted(item)))).size === items.length
}

/** Returns a copy of a JSON value whose members are sorted by name. The names get a prefix, so none is an index. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(sorted)
  const members = value as Record<string, unknown>
  return Object.fromEntries(
    Object.keys(members)
      .sort()
      .map((name) => [`.${name}`, sorted(members[name])]),
  )
}

function describe(error: ErrorObject | undefined): string {
  return `${error?.instancePath || 'it'} ${error?.message ?? 'is not valid'}`
}

function describeFaults(errors: readonly ErrorObject[]): EventFault[] {
  return errors.slice(0, MAX_FAULTS).map(({ instancePath, keyword, params, message = 'is not valid' }) => {
    if (keyword === 'false schema') return { path: cut(instancePath), message: 'is not allowed' }
    const { additionalProperty, unevaluatedProperty } = params as Record<string, unknown>
    const unknown = additionalProperty ?? unevaluatedProperty
    if (typeof unknown === 'string')
      return { path: cut(`${instancePath}/${escapePointer(unknown)}`), message: 'is not known' }
    return { path: cut(instancePath), message: cut(message) }
  })
}

/** Writes a name as a part of a JSON pointer (RFC 6901, 3). */
function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

function cut(text: string): string {
  return text.length > MAX_PATH ? `${text.slice(0, MAX_PATH)}…` : text
}
