/** Keeps the routes of the hub, for the OpenAPI document. */
import type { RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { Route, RouteSchema } from '../openapi/route.js'
import { kAuthenticate } from './auth.js'

export const kRoutes = Symbol('fanfare.routes')

declare module 'fastify' {
  interface FastifyInstance {
    /** The routes of the hub that are registered after this plugin, without `HEAD` and `OPTIONS`. */
    [kRoutes]: readonly Route[]
  }
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

export default fp(
  async (app) => {
    const routes: Route[] = []
    const prefix = app.prefix.replace(/\/$/, '')
    app.decorate(kRoutes, routes)
    app.addHook('onRoute', (route) => {
      const { url, config, schema = {} } = route
      for (const method of [route.method].flat().filter((name) => METHODS.includes(name))) {
        routes.push({
          method,
          path: url.slice(prefix.length) || '/',
          schema: schema as RouteSchema,
          isAuthenticated: hooksOf(route).includes(app[kAuthenticate]),
          isStream: config?.eventStream === true,
          publishes: config?.publishes,
          get anyQuery() {
            return route.config?.anyQuery === true // a later hook may set it
          },
        })
      }
    })
  },
  { name: 'fanfare-route-list', fastify: '5.x', dependencies: ['fanfare-auth'] },
)

function hooksOf({ onRequest }: RouteOptions): unknown[] {
  return onRequest === undefined ? [] : [onRequest].flat()
}
