/** Validates requests and describes their faults. */
import type { FastifySchemaCompiler } from 'fastify'
import { Problem, type ProblemCode, type ProblemDetail } from '../errors.js'
import { Compile, type Static, type TSchema } from './typebox.js'

/** How many faults of one value are described. */
const MAX_FAULTS = 20

/**
 * Compiles a schema. The validator does not convert values. The compiler of Fastify's type provider converts them with
 * an interpreter, which takes a tenth of the time of a publish.
 */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema }) => {
  const validator = Compile(schema)
  return (value) => (validator.Check(value) ? { value } : { error: validator.Errors(value) })
}

/** Compiles like `compileValidator`, but accepts any body: for routes that check the body themselves. */
export const compileExceptBody: FastifySchemaCompiler<TSchema> = (route) =>
  route.httpPart === 'body' ? (value: unknown) => ({ value }) : compileValidator(route)

/** A fault as TypeBox and Ajv report it. */
export interface ValidationError {
  keyword: string
  instancePath: string
  message?: string | undefined
  params?: Record<string, unknown> | undefined
}

/** A compiled schema of an object without additional members. */
export interface Shape<T> {
  check(value: unknown): value is T
  faults(value: unknown): ProblemDetail[]
}

/** Compiles the schema of an object without additional members. */
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

/** Returns a fault for each unknown member, at most 20. TypeBox is slow with thousands of unknown members. */
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
 * Checks the shape of a parsed value.
 * @param what the name of the value in messages, as it follows "The"
 * @param path the position of the value in the body, as a JSON pointer
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
  throw new Problem(code, `The ${what} is invalid: ${summarize(errors)}`, { errors })
}

/** Returns at most the first 20 faults, each with its path. An unknown member is a fault of its own. */
export function describeErrors(errors: readonly ValidationError[]): ProblemDetail[] {
  const details: ProblemDetail[] = []
  for (const { keyword, instancePath, message = 'is not valid', params } of errors) {
    if (details.length >= MAX_FAULTS) break
    if (keyword === 'boolean') continue // an unknown member is reported twice: skip the report without a name
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

/** Returns the first fault as the end of a sentence. */
export function summarize([first]: readonly ProblemDetail[]): string {
  return first ? `${first.path === '' ? 'it' : first.path} ${first.message}.` : 'it is not valid.'
}

/** Writes a name as a part of a JSON pointer (RFC 6901, 3). A name longer than 200 characters is cut. */
export function escape(name: string): string {
  return name.slice(0, MAX_NAME).replaceAll('~', '~0').replaceAll('/', '~1')
}

/** The maximum length of a member's name in a message. */
const MAX_NAME = 200
