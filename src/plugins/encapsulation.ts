/**
 * Isolates the routes of the hub from an application's compilers, serializers, formatters and limits. Fastify hands
 * them down to every scope, but the hub must answer as its API says in every application.
 */
import { parse } from 'node:querystring'
import compileSerializer from 'fast-json-stringify'
import type { FastifyInstance, FastifyReply, RouteHandlerMethod, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { compileValidator } from '../schemas/validation.js'

type Serializer = (value: unknown) => string

/** The default limit of a body in bytes, which is Fastify's default. */
const BODY_LIMIT = 1024 * 1024

export interface EncapsulationOptions {
  /** Whether the hub is part of an application. The hub's own application has Fastify's defaults. */
  embedded: boolean
}

export default fp<EncapsulationOptions>(
  async (app, { embedded }) => {
    app.setValidatorCompiler(compileValidator)
    // the error handler reads the validation errors, not this message
    app.setSchemaErrorFormatter(() => new Error('The request is not valid.'))
    app.setSerializerCompiler(() => JSON.stringify) // never used: see answerInJson

    const compiled = new Map<object, Serializer>()
    function serializerOf(schema: object): Serializer {
      let serializer = compiled.get(schema)
      if (!serializer) compiled.set(schema, (serializer = compileSerializer(schema)))
      return serializer
    }

    const { exposeHeadRoutes } = app.initialConfig as { exposeHeadRoutes?: boolean } // the types leave it out
    app.addHook('onRoute', function (this: FastifyInstance, route) {
      // the application may have turned off HEAD routes, and streams answer HEAD
      if (exposeHeadRoutes === false && route.method === 'GET') {
        const url = route.routePath
        this.route({ ...route, method: 'HEAD', url, path: url } as RouteOptions)
      }
      route.bodyLimit ??= BODY_LIMIT
      const responses = Object.entries((route.schema?.response ?? {}) as Record<string, object>)
      route.handler = answerInJson(
        route.handler,
        new Map(responses.map(([status, schema]) => [Number(status), serializerOf(schema)])),
      )
    })

    if (!embedded) return
    app.addHook('onRequest', (request, _reply, done) => {
      // the application may have set `querystringParser`
      request.query = parse(queryOf(request.raw.url ?? ''), '&', '=', { maxKeys: 0 })
      done()
    })
  },
  { name: 'fanfare-encapsulation', fastify: '5.x' },
)

/**
 * Serializes the answer of a handler with the schema of its status, or with JSON.stringify. Fastify passes a string
 * neither to `preSerialization` hooks nor to serializers, so those of the application cannot change the answer.
 */
function answerInJson(handler: RouteHandlerMethod, serializers: ReadonlyMap<number, Serializer>): RouteHandlerMethod {
  function serialize(value: unknown, reply: FastifyReply): unknown {
    if (!isPlainObject(value)) return value // the reply, undefined, or a file of the console or the client
    void reply.type('application/json; charset=utf-8')
    return (serializers.get(reply.statusCode) ?? JSON.stringify)(value)
  }

  return function (this: FastifyInstance, request, reply) {
    const answer = handler.call(this, request, reply)
    return answer instanceof Promise ? answer.then((value) => serialize(value, reply)) : serialize(answer, reply)
  }
}

function isPlainObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function queryOf(url: string): string {
  const [, query = ''] = /^[^?#]*\?([^#]*)/.exec(url) ?? []
  return query
}
