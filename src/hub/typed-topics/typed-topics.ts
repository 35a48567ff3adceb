/** Typed topics: the payload of an event must fit the JSON Schemas of all patterns that match its topic. */
import type { NewEvent } from '../../model/event.js'
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

/** The word for an event in refusals, and the path of its payload. */
interface Place {
  what: string
  path: string
}

const PLACES = {
  json: { what: 'event', path: '/data' },
  text: { what: 'event', path: '/text' },
  bytes: { what: 'event', path: '/bytes' },
} as const satisfies Record<NewEvent['kind'], Place>

/** The parts of an event that schemas describe. */
type TypedEvent = Pick<NewEvent, 'topic' | 'type' | 'kind' | 'payload'>

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
  check(event: TypedEvent): void {
    this.#index.each(event.topic, (typed) => this.#check(event, typed, PLACES[event.kind]))
  }

  /**
   * Checks a message of a finite topic: a value of JSON without a type.
   * @throws HubError `schema-mismatch`, with `errors`, whose paths lead into the message
   */
  checkMessage(topic: string, payload: string): void {
    const event: TypedEvent = { topic, type: undefined, kind: 'json', payload }
    this.#index.each(topic, (typed) => this.#check(event, typed, { what: 'message', path: '' }))
  }

  #check(event: TypedEvent, { pattern, schema, types }: TypedPattern, { what, path: at }: Place): void {
    const refuse = (errors: EventFault[]) => mismatch(what, pattern, errors)
    const compiled = schema ?? (event.type === undefined ? undefined : types.get(event.type)) ?? types.get(OTHER_TYPES)
    if (!compiled)
      throw refuse([at === '' ? withoutType([...types.keys()]) : unknownType(event.type, [...types.keys()])])
    const value: unknown = event.kind === 'json' ? JSON.parse(event.payload) : event.payload
    const faults = compiled.mayTakeLong(event.payload.length)
      ? this.#limit.call(() => compiled.faultsOf(value))
      : compiled.faultsOf(value)
    if (!faults) throw refuse([{ path: at, message: `takes longer than ${MAX_TIME} ms to check` }])
    if (faults.length > 0) throw refuse(faults.map(({ path, message }) => ({ path: at + path, message })))
  }
}

function unknownType(type: string | undefined, known: readonly string[]): EventFault {
  const is = type === undefined ? 'is missing' : `is ${quote(type)}`
  return { path: '/type', message: `${is}, and must be one of ${known.map((name) => quote(name)).join(', ')}` }
}

/** The fault of a message, which can have no type. */
function withoutType(known: readonly string[]): EventFault {
  return { path: '', message: `has no type, and must have one of ${known.map((name) => quote(name)).join(', ')}` }
}

function mismatch(what: string, pattern: string, errors: EventFault[]): HubError {
  const { path, message } = errors[0]!
  const refusal = new HubError(
    'schema-mismatch',
    `The ${what} does not fit the schema of ${quote(pattern)}: ${path === '' ? 'it' : path} ${message}.`,
  )
  refusal.errors = errors
  return refusal
}
