/**
 * Refuses unknown query parameters, and repetitions of a parameter that takes one value. If they were ignored, a
 * misspelt `lastEventId` would lose events silently.
 */
import type { RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../errors.js'
import { quote } from '../model/quote.js'
import { nearest } from '../model/nearest.js'
import type { Settings } from '../settings.js'
import type { TSchema } from '../schemas/typebox.js'
import { escape } from '../schemas/validation.js'
import { kAuthenticate } from './auth.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route ignores its query. */
    anyQuery?: boolean
  }
}

/** The parameters of a route by name. The value is whether the parameter may be repeated. */
type Parameters = ReadonlyMap<string, boolean>

export default fp<Pick<Settings, 'queryToken'>>(
  async (app, { queryToken }) => {
    app.addHook('onRoute', (route) => {
      if (route.method === 'OPTIONS') return
      const { properties = {} } = (route.schema?.querystring ?? {}) as { properties?: Record<string, TSchema> }
      const parameters = new Map(Object.entries(properties).map(([name, schema]) => [name, isRepeatable(schema)]))
      const documented = [...parameters.keys()]
      // the auth plugin reads these parameters, and has better messages about their faults
      if (hooksOf(route).includes(app[kAuthenticate])) parameters.set('ticket', true)
      if (queryToken) parameters.set('token', true)
      route.onRequest = [
        ...hooksOf(route),
        (request, _reply, done) => {
          if (!route.config?.anyQuery) check(request.query as Record<string, unknown>, parameters, documented)
          done()
        },
      ]
    })
  },
  { name: 'fanfare-query', fastify: '5.x', dependencies: ['fanfare-auth'] },
)

function hooksOf({ onRequest }: RouteOptions) {
  return onRequest === undefined ? [] : [onRequest].flat()
}

/** @throws Problem `unknown-parameter`, `invalid-request` */
function check(query: Record<string, unknown>, parameters: Parameters, documented: readonly string[]): void {
  for (const name in query) {
    const mayRepeat = parameters.get(name)
    if (mayRepeat === undefined) throw unknown(name, documented)
    if (!mayRepeat && Array.isArray(query[name])) throw invalid(name, 'is given more than once')
  }
}

function unknown(name: string, documented: readonly string[]): Problem {
  const words = wordsFor(nearest(name, documented), documented)
  return new Problem('unknown-parameter', `The query parameter ${quote(name)} is unknown: ${words}`, {
    errors: [{ path: `/${escape(name)}`, message: 'is not known' }],
  })
}

function wordsFor(meant: string | undefined, documented: readonly string[]): string {
  if (meant !== undefined) return `did you mean ${quote(meant)}? Names are case-sensitive.`
  return documented.length === 0
    ? 'this route takes no parameters.'
    : `this route takes ${documented.map((name) => quote(name)).join(', ')}.`
}

function invalid(name: string, message: string): Problem {
  return new Problem('invalid-request', `The query parameter ${quote(name)} ${message}, but it takes one value.`, {
    errors: [{ path: `/${escape(name)}`, message }],
  })
}

function isRepeatable(schema: TSchema): boolean {
  const { anyOf = [] } = schema as { anyOf?: { type?: string }[] }
  return anyOf.some(({ type }) => type === 'array')
}
