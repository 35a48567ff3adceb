/** Limits the publish requests of a subject per second, whatever their size, if `FANFARE_PUBLISH_RATE` is set. */
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
     * `onRequest` hooks of routes that publish. They run after `authenticate` and before the body is read, and refuse
     * with 429.
     */
    limitPublishing: onRequestAsyncHookHandler[]
  }
}

/** The period of the limit, in milliseconds. */
const WINDOW = 1_000
/** How many publishers are remembered. Beyond that, the publisher with the oldest request is forgotten. */
const KNOWN = 20_000

export default fp<Pick<Settings, 'publishRate'>>(
  async (app, { publishRate }) => {
    if (publishRate === 0) {
      app.decorate('limitPublishing', [])
      return
    }
    // A separate instance, since an application that uses @fastify/rate-limit has its decorators and store already.
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
          `The publisher has sent more than ${publishRate} publish requests within a second (FANFARE_PUBLISH_RATE). Publish many events in one request: POST /events.`,
        ),
    })
    app.decorate('limitPublishing', [limiter.rateLimit()])
  },
  { name: 'fanfare-limits', fastify: '5.x', dependencies: ['fanfare-auth'] },
)

/** Returns the key of the counter for a request: its subject, or its address if the token has no subject. */
function publisherOf({ fanfarePrincipal, ip }: FastifyRequest): string {
  const subject = fanfarePrincipal?.subject
  return subject === undefined ? `address ${networkOf(ip)}` : `subject ${subject}`
}

/**
 * Limits the rate with the generic cell rate algorithm (ITU-T I.371): allowance returns continuously, and a refused
 * request uses none. The library's own store counts in fixed windows of a second, and concurrent requests see each
 * other's counts.
 */
class EvenRate implements FastifyRateLimitStore {
  /** When the used allowance of each publisher has returned, on the clock of `performance.now()`. */
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
