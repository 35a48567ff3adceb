/** Typed topics: the payload of an event must fit the JSON Schemas of all patterns that match its topic. */
import type { CheckedEvent, NewEvent } from '../../model/event.js'
import { HubError, type EventFault } from '../../model/hub-error.js'
import type { JsonSchema, PatternSchemas } from '../../model/json-schema.js'
import { quote } from '../../model/quote.js'
import { TopicIndex } from '../topic-index.js'
import { createCompiler, type Compiled } from './compile.js'
import { fault, OTHER_TYPES, readSchemaFile } from './schema-file.js'
import { TimeLimit } from './time-limit.js'

/** The maximum time of one check, in milliseconds. */
const MAX_TIME = 100

/** The compiled schemas of one pattern. */
interface TypedPattern {
  pattern: string
  schema: Compiled | undefined
  types: ReadonlyMap<string, Compiled>
}

export class TypedTopics {
  /** The schemas by pattern, for documentation. */
  readonly schemas: readonly PatternSchemas[]
  readonly #index = new TopicIndex<TypedPattern>()
  readonly #limit = new TimeLimit(MAX_TIME)

  private constructor(schemas: readonly PatternSchemas[], compile: (schema: JsonSchema, of: string) => Compiled) {
    this.schemas = schemas
    for (const { pattern, schema, types = [] } of schemas) {
      this.#index.add(pattern, {
        pattern,
        schema: schema === undefined ? undefined : compile(schema, quote(pattern)),
        types: new Map(
          [...types].map(([type, inner]) => [type, compile(inner, `${quote(pattern)} for the type ${quote(type)}`)]),
        ),
      })
    }
  }

  /**
   * Reads and compiles the schemas of a file.
   * @throws SettingsError naming the first fault of the file
   */
  static open(path: string): TypedTopics {
    const compile = createCompiler()
    return new TypedTopics(readSchemaFile(path), (schema, of) => {
      try {
        return compile(schema)
      } catch (err) {
        throw fault(path, `the schema of ${of} is invalid: ${(err as Error).message}`)
      }
    })
  }

  /**
   * Checks an event.
   * @throws HubError `schema-mismatch`, with `errors`
   */
  check(event: CheckedEvent): void {
    this.#index.each(event.topic, (typed) => this.#check(event, typed))
  }

  #check(event: NewEvent, { pattern, schema, types }: TypedPattern): void {
    const compiled = schema ?? (event.type === undefined ? undefined : types.get(event.type)) ?? types.get(OTHER_TYPES)
    if (!compiled) throw mismatch(pattern, [unknownType(event.type, [...types.keys()])])
    const member = { json: '/data', text: '/text', bytes: '/bytes' }[event.kind]
    const value: unknown = event.kind === 'json' ? JSON.parse(event.payload) : event.payload
    const faults = compiled.mayTakeLong(event.payload.length)
      ? this.#limit.call(() => compiled.faultsOf(value))
      : compiled.faultsOf(value)
    if (!faults) throw mismatch(pattern, [{ path: member, message: `takes longer than ${MAX_TIME} ms to check` }])
    if (faults.length === 0) return
    throw mismatch(
      pattern,
      faults.map(({ path, message }) => ({ path: member + path, message })),
    )
  }
}

function unknownType(type: string | undefined, known: readonly string[]): EventFault {
  const is = type === undefined ? 'is missing' : `is ${quote(type)}`
  return { path: '/type', message: `${is}, and must be one of ${known.map((name) => quote(name)).join(', ')}` }
}

function mismatch(pattern: string, errors: EventFault[]): HubError {
  const { path, message } = errors[0]!
  const refusal = new HubError(
    'schema-mismatch',
    `The event does not fit the schema of ${quote(pattern)}: ${path} ${message}.`,
  )
  refusal.errors = errors
  return refusal
}
