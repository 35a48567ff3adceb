/** Builds the OpenAPI document of the hub from the schemas of its routes. */
import swagger from '@fastify/swagger'
import Fastify, { type FastifySchema } from 'fastify'
import type { PatternSchemas } from '../model/json-schema.js'
import { namedSchemas, References, withReferences } from './components.js'
import { TAGS, type Operation } from './operation.js'
import { addHeads } from './heads.js'
import type { OpenApi } from './open-api.js'
import { OPERATIONS } from './operations.js'
import { parametersOf } from './parameters.js'
import { answersOf, bodyOf } from './responses.js'
import { describedPath, keyOf, type Route } from './route.js'
import { describeTopics } from './topic-schemas.js'

/** What a document describes. */
export interface DocumentSource {
  /** The routes without an entry in the tables of operations, such as the files of the console, are left out. */
  routes: readonly Route[]
  version: string
  /** The schemas of typed topics. */
  topics: readonly PatternSchemas[]
  /** Whether some topics need no token. */
  hasAnonymousTopics: boolean
}

const DESCRIPTION =
  'Events are published over HTTP and received as Server-Sent Events. Refusals are problem details (RFC 9457) with a stable `code`. Answers of JSON may get further members in later versions.'

/** Where the token of a request may be. */
const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'a JSON Web Token (Claims)' },
  cookie: {
    type: 'apiKey',
    in: 'cookie',
    name: 'fanfare_token',
    description: 'the cookie of a session (`POST /sessions`); a request that changes state needs an allowed `Origin`',
  },
  ticket: {
    type: 'apiKey',
    in: 'query',
    name: 'ticket',
    description: 'a ticket (`POST /tickets`), for opening event streams only',
  },
}

/**
 * The folder of the document (OpenAPI 3.2.0, 4.5), which is that of the hub. The hub does not know it: a prefix may
 * have parameters, and a proxy may remove another prefix.
 */
const SERVERS = [{ url: '.', description: 'the folder of this document' }]

/** Builds the document. It takes tens of milliseconds. */
export async function buildDocument({ routes, version, topics, hasAnonymousTopics }: DocumentSource): Promise<OpenApi> {
  const schemas = namedSchemas()
  const references = new References(schemas)
  const described = operationsOf(routes)
  // A separate instance: an application that embeds the hub may use @fastify/swagger itself.
  const app = Fastify({ logger: false, exposeHeadRoutes: false })
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  await app.register(swagger, {
    openapi: {
      openapi: '3.2.0',
      info: { title: 'Fanfare', version, description: DESCRIPTION },
      tags: Object.entries(TAGS).map(([name, text]) => ({ name, description: text })),
      components: { securitySchemes: SECURITY_SCHEMES },
    } as never, // the types of @fastify/swagger know versions up to 3.1
    convertConstToEnum: false,
  })
  for (const [route, operation] of described) {
    const { method, path } = route
    const url = path.replace('*', ':path')
    app.route({ method, url, schema: schemaOf(route, operation, references, hasAnonymousTopics), handler: () => null })
  }
  await app.ready()
  const document = app.swagger() as unknown as OpenApi
  await app.close()
  for (const [route, operation] of described) complete(document, route, operation, references)
  addHeads(document, new Map(described.map(([route]) => [keyOf(route), route])), references)
  const named = [...schemas].map(([name, schema]) => [name, references.mark(schema, name)])
  document.components.schemas = Object.fromEntries(named) as Record<string, object>
  document.servers = SERVERS // @fastify/swagger takes absolute URLs only
  return withTopics(withReferences(document) as OpenApi, topics)
}

/** Returns the routes that have an operation. The console has its path with and without a slash at the end. */
function operationsOf(routes: readonly Route[]): [Route, Operation][] {
  const byKey = new Map(routes.map((route) => [keyOf(route), route]))
  return Object.entries(OPERATIONS).flatMap(([key, operation]): [Route, Operation][] => {
    const route = byKey.get(operation.servedBy ?? key)
    if (!route || key.startsWith('HEAD ')) return []
    return [[operation.servedBy === undefined ? route : partOf(route, key), operation]]
  })
}

/** Returns the part of a route that serves an operation at a path of its own. The table describes its answers. */
function partOf(route: Route, key: string): Route {
  const path = key.slice(key.indexOf(' ') + 1)
  return { ...route, path: path.replace('{path}', '*'), schema: { params: route.schema.params } }
}

/** Returns the schema of a route as @fastify/swagger reads it. */
function schemaOf(
  { schema, isAuthenticated, isStream }: Route,
  { id, tag, summary, description, security, headers = {} }: Operation,
  references: References,
  hasAnonymousTopics: boolean,
): FastifySchema {
  const places = security ?? (isStream ? ['bearer', 'cookie', 'ticket'] : ['bearer', 'cookie'])
  const anonymous = isStream && hasAnonymousTopics ? [{}] : []
  const properties = Object.entries(headers).map(([name, { description: words }]) => [
    name,
    { type: 'string', description: words },
  ])
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    security: isAuthenticated ? [...places.map((place) => ({ [place]: [] })), ...anonymous] : [],
    ...(schema.params !== undefined && { params: withoutWildcard(schema.params as PathParameters) }),
    ...(schema.querystring !== undefined && { querystring: schema.querystring }),
    ...(properties.length > 0 && { headers: { type: 'object', properties: Object.fromEntries(properties) as object } }),
    ...(schema.body !== undefined && { body: references.mark(schema.body) }),
    ...(schema.response !== undefined && { response: marked(schema.response, references) }),
  }
}

interface PathParameters {
  properties: Record<string, object>
  required?: string[]
}

/** Renames the parameter of a wildcard to `path`. */
function withoutWildcard({ properties, required = [], ...rest }: PathParameters): PathParameters {
  const rename = (name: string) => (name === '*' ? 'path' : name)
  return {
    ...rest,
    properties: Object.fromEntries(Object.entries(properties).map(([name, schema]) => [rename(name), schema])),
    required: required.map(rename),
  }
}

function marked(response: Record<string, unknown>, references: References): Record<string, unknown> {
  return Object.fromEntries(Object.entries(response).map(([status, schema]) => [status, references.mark(schema)]))
}

/** Adds what the tables say about an operation. */
function complete({ paths }: OpenApi, route: Route, operation: Operation, references: References): void {
  const described = paths[describedPath(route.path)]![route.method.toLowerCase()]!
  if (described.parameters) described.parameters = parametersOf(described.parameters, route, operation)
  if (described.requestBody ?? operation.body)
    described.requestBody = bodyOf(described.requestBody, operation, references)
  described.responses = answersOf(described.responses, route, operation, references)
}

/** Adds the schemas of typed topics. */
function withTopics(document: OpenApi, topics: readonly PatternSchemas[]): OpenApi {
  if (topics.length === 0) return document
  const { components, patterns } = describeTopics(topics)
  Object.assign(document.components.schemas, components)
  return { ...document, 'x-typed-topics': patterns }
}
