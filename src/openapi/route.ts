/** The routes that the document describes. */

/** A route of the hub, as it was registered. */
export interface Route {
  method: string
  /** The path without the prefix of the hub, with parameters such as `:topic`. */
  path: string
  schema: RouteSchema
  /** Whether the route reads a token. */
  isAuthenticated: boolean
  /** Whether the route answers with an event stream. */
  isStream: boolean
  /** What the route publishes. */
  publishes: 'event' | 'events' | undefined
  /** Whether the route ignores its query. */
  anyQuery: boolean
}

/** The schemas of a route. */
export interface RouteSchema {
  params?: unknown
  querystring?: unknown
  body?: unknown
  response?: Record<string, unknown>
}

/** Returns the name of a route in the tables of operations, such as `GET /topics/{topic}`. */
export function keyOf({ method, path }: Pick<Route, 'method' | 'path'>): string {
  return `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`
}
