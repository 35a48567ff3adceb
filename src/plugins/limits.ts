/** How often somebody may publish: so many requests a second, whatever they hold. Only where the setting is not off. */
import rateLimit, { type FastifyRateLimitStore } from '@fastify/rate-limit'
import Fastify, { type FastifyRequest, type onRequestAsyncHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { Problem } from '../errors.js'
import { networkOf } from '../model/client-address.js'
import type { Settings } from '../settings.js'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * `onRequest` hooks of routes that publish, behind `authenticate` and before the body is read: they refuse with
     * 429.
     */
    limitPublishing: onRequestAsyncHookHandler[]
  }
}

/** In so many milliseconds as many requests are taken as the setting says. */
const WINDOW = 1_000
/**
 * Of how many publishers it is known how much they have published; of more, those are forgotten who have been quiet for
 * longest.
 */
const KNOWN = 20_000

export default fp<Pick<Settings, 'publishRate'>>(
  async (app, { publishRate }) => {
    if (publishRate === 0) {
      app.decorate('limitPublishing', [])
      return
    }
    // In an instance of its own: where the application has the plugin, its decorators are taken, and with them its
    // store.
    const limiter = Fastify({ logger: false })
    await limiter.register(rateLimit, {
      global: false,
      max: publishRate,
      timeWindow: WINDOW,
      store: EvenRate,
      keyGenerator: publisherOf,
      errorResponseBuilder: () =>
        new Problem(
          'rate-limited',
          `More than ${publishRate} requests to publish came within a second (FANFARE_PUBLISH_RATE). Publish many events in one request: POST /events.`,
        ),
    })
    app.decorate('limitPublishing', [limiter.rateLimit()])
  },
  { name: 'fanfare-limits', fastify: '5.x', dependencies: ['fanfare-auth'] },
)

/** Whose requests are counted together: a subject's, or those from one address where there is none. */
function publisherOf({ fanfarePrincipal, ip }: FastifyRequest): string {
  const subject = fanfarePrincipal?.subject
  return subject === undefined ? `address ${networkOf(ip)}` : `subject ${subject}`
}

/**
 * Counts by the generic cell rate algorithm (ITU-T I.371): what was used comes back bit by bit, and what is refused
 * uses nothing. The library's own store counts from one whole second to the next, and requests that come at once see
 * each other's counts.
 */
class EvenRate implements FastifyRateLimitStore {
  /** Until when, on the clock of `performance.now()`, each has used up their share. */
  readonly #usedUntil = new LRUCache<string, number>({ max: KNOWN })

  incr(
    key: string,
    answer: (err: Error | null, result?: { current: number; ttl: number }) => void,
    window = WINDOW,
    max = 1,
  ): void {
    const now = performance.now()
    const share = window / max
    const usedUntil = Math.max(now, this.#usedUntil.get(key) ?? 0) + share
    const isAllowed = usedUntil <= now + window + 1e-6
    if (isAllowed) this.#usedUntil.set(key, usedUntil)
    answer(null, {
      current: isAllowed ? Math.ceil((usedUntil - now) / share - 1e-6) : max + 1,
      ttl: Math.ceil(usedUntil - now - (isAllowed ? 0 : window)),
    })
  }

  child(): this {
    return this
  }
}
