/**
 * Limits the publish requests of a subject per second, whatever their size, if `FANFARE_PUBLISH_RATE` is set. The
 * requests to all processes count.
 */
import rateLimit, { type FastifyRateLimitStore } from '@fastify/rate-limit'
import Fastify, { type FastifyRequest, type onRequestAsyncHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../errors.js'
import type { SharedAllowances } from '../hub/cluster/shared-allowances.js'
import { networkOf } from '../model/client-address.js'
import type { Settings } from '../settings.js'
import { kPrincipal } from './auth.js'
import { hubOf } from './hub.js'

export const kLimitPublishing = Symbol('fanfare.limitPublishing')

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * `onRequest` hooks of routes that publish. They run after `kAuthenticate` and before the body is read, and refuse
     * with 429.
     */
    [kLimitPublishing]: onRequestAsyncHookHandler[]
  }
}

/** The period of the limit, in milliseconds. */
const WINDOW = 1_000

export default fp<Pick<Settings, 'publishRate'>>(
  async (app, { publishRate }) => {
    if (publishRate === 0) {
      app.decorate(kLimitPublishing, [])
      return
    }
    // A separate instance, since an application that uses @fastify/rate-limit has its decorators and store already.
    const limiter = Fastify({ logger: false })
    await limiter.register(rateLimit, {
      global: false,
      max: publishRate,
      timeWindow: WINDOW,
      store: storeOf(hubOf(app).shareAllowances(publishRate)),
      keyGenerator: publisherOf,
      errorResponseBuilder: () =>
        new Problem(
          'rate-limited',
          `The publisher has sent more than ${publishRate} publish requests within a second (FANFARE_PUBLISH_RATE). Publish many events in one request: POST /events.`,
        ),
    })
    app.decorate(kLimitPublishing, [limiter.rateLimit()])
  },
  { name: 'fanfare-limits', fastify: '5.x', dependencies: ['fanfare-hub', 'fanfare-auth'] },
)

/** Returns the key of the counter for a request: its subject, or its address if the token has no subject. */
function publisherOf({ [kPrincipal]: principal, ip }: FastifyRequest): string {
  const subject = principal?.subject
  return subject === undefined ? `address ${networkOf(ip)}` : `subject ${subject}`
}

/** The library's own store counts in fixed windows of a second, and concurrent requests see each other's counts. */
function storeOf(allowances: SharedAllowances): new () => FastifyRateLimitStore {
  return class AllowanceStore implements FastifyRateLimitStore {
    incr(
      publisher: string,
      answer: (err: Error | null, result?: { current: number; ttl: number }) => void,
      _: number,
      max = 1,
    ): void {
      const { isAllowed, used, wait } = allowances.take(publisher)
      answer(null, { current: isAllowed ? used : max + 1, ttl: Math.ceil(wait) })
    }

    child(): this {
      return this
    }
  }
}
