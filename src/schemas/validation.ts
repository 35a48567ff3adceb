/** Validates requests, and says in words what is wrong with them. */
import type { FastifySchemaCompiler } from 'fastify'
import { Problem, type ProblemCode, type ProblemDetail } from '../errors.js'
import { Compile, type Static, type TSchema } from './typebox.js'

/** How many faults of one value are described. */
const MAX_FAULTS = 20

/**
 * Compiles a schema. Values are taken as they are: that of the type provider converts those of a query first, by an
 * interpreter that costs a publish a tenth of its time.
 */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema }) => {
  const validator = Compile(schema)
  return (value) => (validator.Check(value) ? { value } : { error: validator.Errors(value) })
}

/** As `compileValidator`, for routes that check their bodies themselves (`requireShape`). */
export const compileExceptBody: FastifySchemaCompiler<TSchema> = (route) =>
  route.httpPart === 'body' ? (value: unknown) => ({ value }) : compileValidator(route)

/** What TypeBox and Ajv say of a value. */
export interface ValidationError {
  keyword: string
  instancePath: string
  message?: string | undefined
  params?: Record<string, unknown> | undefined
}

/** A compiled schema of an object that has no other members than its own. */
export interface Shape<T> {
  check(value: unknown): value is T
  faults(value: unknown): ProblemDetail[]
}

/** Compiles the schema of an object that has no other members than its own. */
export function compileShape<T extends TSchema & { properties: object }>(schema: T): Shape<Static<T>> {
  const validator = Compile(schema)
  return {
    check: (value): value is Static<T> => validator.Check(value),
    faults: (value) => {
      const unknown = unknownMembers(value, schema.properties)
      return unknown.length > 0 ? unknown : describeErrors(validator.Errors(value))
    },
  }
}

/** Looked for before TypeBox is asked, which takes its time over thousands of them. */
function unknownMembers(value: unknown, known: object): ProblemDetail[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return []
  const faults: ProblemDetail[] = []
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(known, name)) faults.push(notKnown('', name))
    if (faults.length >= MAX_FAULTS) break
  }
  return faults
}

/**
 * Checks the shape of something that was parsed.
 * @param what its name in a sentence
 * @param path where it stands in the body, as a JSON pointer
 * @throws Problem of the given code, with the faults as `errors`
 */
export function requireShape<T>(
  shape: Shape<T>,
  value: unknown,
  what: string,
  path: string,
  code: ProblemCode,
): asserts value is T {
  if (shape.check(value)) return
  const errors = shape.faults(value).map((error) => ({ ...error, path: path + error.path }))
  throw new Problem(code, `The ${what} is not as it should be: ${summarize(errors)}`, { errors })
}

/** Says where something is wrong, and what; members that are not known are named. At most the first 20 faults. */
export function describeErrors(errors: readonly ValidationError[]): ProblemDetail[] {
  const details: ProblemDetail[] = []
  for (const { keyword, instancePath, message = 'is not valid', params } of errors) {
    if (details.length >= MAX_FAULTS) break
    if (keyword === 'boolean') continue // what an unknown member gives besides
    if (keyword !== 'additionalProperties') {
      details.push({ path: instancePath, message })
      continue
    }
    const unknown = Array.isArray(params?.additionalProperties)
      ? (params.additionalProperties as unknown[])
      : [params?.additionalProperty]
    for (const name of unknown.slice(0, MAX_FAULTS - details.length)) details.push(notKnown(instancePath, String(name)))
  }
  return details
}

function notKnown(path: string, name: string): ProblemDetail {
  return { path: `${path}/${escape(name)}`, message: 'is not known' }
}

/** The first of them as a sentence. */
export function summarize([first]: readonly ProblemDetail[]): string {
  return first ? `${first.path === '' ? 'it' : first.path} ${first.message}.` : 'it is not valid.'
}

/** Writes a name as a part of a JSON pointer (RFC 6901, 3). Names that are very long are cut. */
export function escape(name: string): string {
  return name.slice(0, MAX_NAME).replaceAll('~', '~0').replaceAll('/', '~1')
}

/** How many characters of a member's name are repeated. */
const MAX_NAME = 200
