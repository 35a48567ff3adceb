/** What the document says about a route in addition to the route's own schemas. */
import type { ProblemCode } from '../errors.js'
import type { TSchema } from '../schemas/typebox.js'

/** The groups of operations, in the order of the document. */
export const TAGS = {
  Publish: 'Events are published to topics. The answer leaves when the event is durable.',
  Subscribe: 'Event streams that a browser’s `EventSource` reads, and pages of history.',
  Connections: 'Open streams: describe, list, change and end them.',
  'Named cursors': 'How far a subject has read, kept by the hub under a name.',
  Topics: 'List, describe and purge topics, and see who is present.',
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

/** The body of a request. The JSON schema of the route is part of it without being repeated. */
export interface RequestBody {
  description: string
  /** Examples for the route's own JSON schema, and further content types. */
  content: Record<string, Content>
}

export interface Answer {
  description: string
  /** Content types besides the JSON of the route's own schema. */
  content?: Record<string, Content>
  headers?: Record<string, string>
}

export interface Operation {
  /** The name of the operation, unique. Generated clients name their methods after it. */
  id: string
  tag: Tag
  summary: string
  /** Sentences with `code` in backticks. */
  description?: string
  /** Where the token may be; default: in any place that the route's hooks read. */
  security?: readonly ('bearer' | 'cookie' | 'ticket')[]
  /** Headers of the request, with descriptions. */
  headers?: Record<string, string>
  body?: RequestBody
  answers: Record<number, Answer>
  /** The refusals of this route, besides those that follow from its kind (`problems.ts`). */
  problems?: readonly ProblemCode[]
}

/** Operations by method and path, such as `GET /topics/{topic}`. */
export type Operations = Record<string, Operation>
