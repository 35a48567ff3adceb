/** What the document says about a route in addition to the route's own schemas. */
import type { ProblemCode } from '../errors.js'
import type { TSchema } from '../schemas/typebox.js'

/** The groups of operations, in the order of the document. */
export const TAGS = {
  Publish: 'Events are published to topics. The answer is sent when the event is durable.',
  Subscribe: 'Event streams that a browser’s `EventSource` reads, and pages of history.',
  Connections: 'Open streams: describe, list, change and end them.',
  'Named cursors': 'How far a subject has read, kept by the hub under a name.',
  Topics: 'List, describe and purge topics, and see who is present.',
  'Streams that end': 'Finite topics: the Durable Streams protocol.',
  Access: 'Sessions and tickets for browsers, and revocations.',
  Hub: 'The state and the figures of the hub, and this reference.',
} as const
export type Tag = keyof typeof TAGS

/** The content of a body. */
export interface Content {
  /** The schema of the whole body. */
  schema?: TSchema
  /** The schema of each item of a body that is a sequence: a line of NDJSON, or a block of an event stream. */
  itemSchema?: TSchema
  example?: unknown
}

/** The body of a request. The document adds the JSON schema of the route. */
export interface RequestBody {
  description: string
  /** Examples for the route's own JSON schema, and further content types. */
  content: Record<string, Content>
  isOptional?: boolean
}

export interface Answer {
  description: string
  /** Content types besides the JSON of the route's own schema. */
  content?: Record<string, Content>
  headers?: Record<string, string>
}

/** A header of a request. */
export interface Header {
  description: string
  /** The JSON Schema of its value. */
  schema: object
}

export interface Operation {
  /** The name of the operation, unique. Generated clients name their methods after it. */
  id: string
  tag: Tag
  summary: string
  /** Sentences with `code` in backticks. */
  description?: string
  /** Where a request may carry its token; default: anywhere that the route's hooks look. */
  security?: readonly ('bearer' | 'cookie' | 'ticket')[]
  /** Headers of the request. */
  headers?: Record<string, Header>
  body?: RequestBody
  answers: Record<number, Answer>
  /** The route that serves the operation, such as `POST /streams/{path}`, if the route serves several operations. */
  servedBy?: string
  /** The refusals of this route, besides those that follow from its kind (`problems.ts`). */
  problems?: readonly ProblemCode[]
}

/**
 * Operations by method and path, such as `GET /topics/{topic}`. A `HEAD` that is not listed is described as its `GET`,
 * without the body of the answer.
 */
export type Operations = Record<string, Operation>
