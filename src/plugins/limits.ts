/** How often somebody may publish: so many requests a second, whatever they hold. Only where the setting is not off. */
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { Problem } from '../errors.js'
import type { Settings } from '../settings.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** `onRequest` hooks of routes that publish, behind `authenticate` and before the body is read: they refuse with 429. */
    limitPublishing: ((request: FastifyRequest) => Promise<void>)[]
  }
}

/** In so many milliseconds as many requests are taken as the setting says. */
const WINDOW = 1_000
/** Of how many publishers it is known how much they have published; of more, those are forgotten who have been quiet for longest. */
const KNOWN = 20_000

export default fp<Pick<Settings, 'publishRate'>>(async (app, { publishRate }) => {
  if (publishRate === 0) {
    app.decorate('limitPublishing', [])
    return
  }
  const known = new LRUCache<string, number>({ max: KNOWN })
  app.decorate('limitPublishing', [async (request: FastifyRequest) => {
    // the generic cell rate algorithm (ITU-T I.371): of each it is kept until when they have used up their share
    const now = performance.now()
    const publisher = publisherOf(request)
    const usedUntil = Math.max(now, known.get(publisher) ?? 0) + WINDOW / publishRate
    if (usedUntil > now + WINDOW + 1e-6) {
      throw new Problem('rate-limited', `More than ${publishRate} requests to publish came within a second (FANFARE_PUBLISH_RATE). Publish many events in one request: POST /events.`)
    }
    known.set(publisher, usedUntil)
  }])
}, { name: 'fanfare-limits', fastify: '5.x', dependencies: ['fanfare-auth'] })

/** Whose requests are counted together: a subject's, or those from one address where there is none. */
function publisherOf({ fanfarePrincipal, ip }: FastifyRequest): string {
  const subject = fanfarePrincipal?.subject
  return subject === undefined ? `address ${ip}` : `subject ${subject}`
}
