/** Finds the path of the hub within an application, and the methods of a path. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { TOPIC_MAX_LENGTH } from '../model/topic.js'
import { forwardedPrefix } from '../server/forwarded-prefix.js'
import { pathOf } from '../server/logger.js'

export const kMountPath = Symbol('fanfare.mountPath')
export const kPublicPath = Symbol('fanfare.publicPath')
export const kAllowedMethods = Symbol('fanfare.allowedMethods')
export const kPathBelow = Symbol('fanfare.pathBelow')

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Returns the prefix of the hub's routes as the request spells it, without a slash at the end; an empty string
     * without a prefix.
     */
    [kMountPath]: (request: FastifyRequest) => string
    /**
     * Returns the prefix of the hub's routes as the client knows it: the prefix that a proxy has removed, followed by
     * that of `kMountPath`. Every path in an answer begins with this prefix.
     */
    [kPublicPath]: (request: FastifyRequest) => string
    /** Returns the methods of the hub's routes at the path of a request, sorted; an empty array without a route. */
    [kAllowedMethods]: (request: FastifyRequest) => string[]
    /**
     * Returns the part of a request's path below a path of the hub, as the request spells it, without the slash between
     * them.
     * @param path without wildcards and without a slash at the end
     */
    [kPathBelow]: (request: FastifyRequest, path: string) => string
  }
}

/** The length of the longest topic with each character percent-encoded. */
export const MAX_PARAM_LENGTH = 3 * TOPIC_MAX_LENGTH
/** Fastify's default for `maxParamLength`. */
const DEFAULT_MAX_PARAM_LENGTH = 100

type RouterOptions = Pick<
  FastifyInstance['initialConfig'],
  'caseSensitive' | 'ignoreTrailingSlash' | 'maxParamLength'
> & { ignoreDuplicateSlashes?: boolean }

/** Returns the options of an application's router. They may also be given beside `routerOptions`, as in Fastify 4. */
export function routerOptionsOf({ initialConfig: { routerOptions, ...config } }: FastifyInstance): RouterOptions {
  return { ...(config as RouterOptions), ...(routerOptions as RouterOptions | undefined) }
}

export default fp(
  async (app) => {
    const router = routerOptionsOf(app)
    const prefix = app.prefix.replace(/\/+$/, '')
    const mount = new RegExp(`^${patternOf(prefix, router)}(?=/|$)`, flagsOf(router))
    const routes: { path: RegExp; methods: string[] }[] = []

    app.addHook('onRoute', ({ url, method }) => {
      if (method === 'OPTIONS') return // the route of CORS, which matches every path
      const end = router.ignoreTrailingSlash ? '/?' : ''
      routes.push({ path: new RegExp(`^${patternOf(url, router)}${end}$`, flagsOf(router)), methods: [method].flat() })
    })

    app.decorate(kMountPath, (request: FastifyRequest) => {
      const [path = prefix] = mount.exec(pathOf(request)) ?? []
      return path.replaceAll(/\/{2,}/g, '/')
    })

    app.decorate(
      kPublicPath,
      (request: FastifyRequest) => `${forwardedPrefix(request) ?? ''}${app[kMountPath](request)}`,
    )

    app.decorate(kAllowedMethods, (request: FastifyRequest) => {
      const path = pathOf(request)
      return [...new Set(routes.filter((route) => route.path.test(path)).flatMap(({ methods }) => methods))].sort()
    })

    const above = new Map<string, RegExp>()
    app.decorate(kPathBelow, (request: FastifyRequest, path: string) => {
      let pattern = above.get(path)
      if (!pattern)
        above.set(path, (pattern = new RegExp(`^${patternOf(`${prefix}${path}/`, router)}`, flagsOf(router))))
      const below = pathOf(request).replace(pattern, '')
      return router.ignoreTrailingSlash ? below.replace(/\/$/, '') : below
    })
  },
  { name: 'fanfare-mount', fastify: '5.x' },
)

/** Warns if the router of the application refuses long topics before they reach the hub. */
export function warnOfShortParams(app: FastifyInstance): void {
  const { maxParamLength: longest = DEFAULT_MAX_PARAM_LENGTH } = routerOptionsOf(app)
  if (longest < TOPIC_MAX_LENGTH)
    app.log.warn(
      `the application's router refuses topics of more than ${longest} characters: set Fastify's routerOptions.maxParamLength to ${MAX_PARAM_LENGTH}`,
    )
}

/** Returns the source of a regular expression that matches the same paths as a router with these options. */
function patternOf(url: string, { ignoreDuplicateSlashes }: RouterOptions): string {
  return url
    .split('/')
    .map((segment) => {
      if (segment === '*') return '.*'
      return segment.includes(':') ? '[^/]+' : segment.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
    })
    .join(ignoreDuplicateSlashes ? '/+' : '/')
}

function flagsOf({ caseSensitive = true }: RouterOptions): string {
  return caseSensitive ? '' : 'i'
}
