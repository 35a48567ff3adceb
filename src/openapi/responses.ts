/** The bodies and the answers of an operation: those of the route's schemas, and those of the tables. */
import { refusals } from '../errors.js'
import type { References } from './components.js'
import type { Answer, Content, Operation } from './operation.js'
import { byStatus, problemsOf } from './problems.js'
import type { Route } from './route.js'

type Media = Record<string, unknown>
/** An answer or a body as @fastify/swagger has made it. */
export interface Described {
  description?: string
  content?: Record<string, Media>
  headers?: Record<string, unknown>
  required?: boolean
}

/** Returns the body of a request. */
export function bodyOf(described: Described | undefined, { body }: Operation, references: References): Described {
  return {
    ...described,
    required: true,
    ...(body && {
      description: body.description,
      content: merge(described?.content, body.content, references),
    }),
  }
}

/** Returns the answers of a route, with its refusals. */
export function answersOf(
  described: Record<string, Described>,
  route: Route,
  operation: Operation,
  references: References,
): Record<string, Described> {
  const answers = Object.entries(operation.answers).map(([status, answer]): [string, Described] => [
    status,
    answerOf(described[status], answer, references),
  ])
  return { ...Object.fromEntries(answers), ...refusalsOf(route, operation) }
}

function answerOf(described: Described | undefined, answer: Answer, references: References): Described {
  const content = merge(described?.content, answer.content, references)
  return {
    description: answer.description,
    ...(answer.headers && { headers: headersOf(answer.headers) }),
    ...(Object.keys(content).length > 0 && { content }),
  }
}

function headersOf(headers: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
  )
}

/** Returns the refusals of a route by status: problem details whose `code` is one of a list. */
function refusalsOf(route: Route, operation: Operation): Record<string, Described> {
  const statuses = [...byStatus(problemsOf(route, operation))].map(([status, codes]): [string, Described] => [
    String(status),
    {
      description: codes.map((code) => `\`${code}\`: ${refusals[code].title}.`).join('\n\n'),
      ...(codes.some((code) => 'retryAfter' in refusals[code]) && {
        headers: { 'Retry-After': { description: 'seconds to wait', schema: { type: 'integer', minimum: 1 } } },
      }),
      content: {
        'application/problem+json': {
          schema: {
            allOf: [{ $ref: '#/components/schemas/Problem' }],
            properties: { status: { const: status }, code: { enum: codes } },
          },
        },
      },
    },
  ])
  return Object.fromEntries(statuses)
}

function merge(
  described: Record<string, Media> = {},
  own: Record<string, Content> = {},
  references: References,
): Record<string, Media> {
  const content: Record<string, Media> = { ...described }
  for (const [type, { schema, itemSchema, example }] of Object.entries(own)) {
    content[type] = {
      ...content[type],
      ...(schema && { schema: references.mark(schema) }),
      ...(itemSchema && { itemSchema: references.mark(itemSchema) }),
      ...(example !== undefined && { example }),
    }
  }
  return content
}
