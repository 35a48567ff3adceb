/** The operations of `HEAD`: each `GET` has one, which is answered without a body. */
import type { DescribedOperation, OpenApi } from './open-api.js'
import { OPERATIONS } from './operations.js'
import { answersOf, type Described } from './responses.js'
import type { References } from './components.js'
import type { Route } from './route.js'

/** Adds a `HEAD` to each path with a `GET`. */
export function addHeads(document: OpenApi, routes: ReadonlyMap<string, Route>, references: References): void {
  for (const [path, methods] of Object.entries(document.paths)) {
    const route = routes.get(`GET ${path}`)
    const get = methods['get']
    if (route && get) methods['head'] = headOf(get, path, route, references)
  }
}

/** Returns the `HEAD` of a `GET`. */
function headOf(get: DescribedOperation, path: string, route: Route, references: References): DescribedOperation {
  const own = OPERATIONS[`HEAD ${path}`]
  const { operationId, summary, responses } = get
  if (!own)
    return {
      ...get,
      operationId: `${operationId}Head`,
      summary: `${summary}: the head of the answer`,
      description: 'As `GET`, without the body of the answer.',
      responses: withoutContent(responses),
    }
  return {
    ...get,
    operationId: own.id,
    summary: own.summary,
    ...(own.description !== undefined && { description: own.description }),
    responses: withoutContent(answersOf({}, route, own, references)),
  }
}

function withoutContent(responses: Record<string, Described>): Record<string, Described> {
  return Object.fromEntries(
    Object.entries(responses).map(([status, { description, headers }]) => [
      status,
      { ...(description !== undefined && { description }), ...(headers && { headers }) },
    ]),
  )
}
