/** The server of a page where visitors post entries that all visitors see. */
import type { FastifyInstance } from 'fastify'
import type { Hub } from 'fanfare-client'
import type { TObject } from 'typebox'
import { SOON } from './hub-access.js'

interface Posts {
  /** The path of the route that accepts posts. */
  path: string
  topic: string
  /** The schema of a post. */
  schema: TObject
}

/**
 * Adds two routes: one that checks and publishes posts, and `GET /status`, which returns the hub's status. With an
 * `Idempotency-Key`, a client can repeat a post that got no answer.
 */
export function takePosts(app: FastifyInstance, hub: Hub, { path, topic, schema }: Posts): void {
  app.post(path, { schema: { body: schema } }, async ({ body, headers }, reply) => {
    const key = headers['idempotency-key']
    await hub.publish(topic, { data: body, ...(typeof key === 'string' && { id: key }) }, SOON)
    return reply.code(201).send(body)
  })
  // Pages request this every two seconds: an unavailable hub must not fill the log of this server.
  app.get('/status', { logLevel: 'fatal' }, async () => hub.request('GET', 'status', SOON))
}
