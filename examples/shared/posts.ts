/** The server's side of a page where people post something and everybody sees it. */
import type { FastifyInstance } from 'fastify'
import type { TObject } from 'typebox'
import type { HubClient } from './hub-client.js'

interface Posts {
  /** Where they are posted to. */
  path: string
  topic: string
  /** What they are. */
  schema: TObject
}

/**
 * Adds two routes: one that checks what is posted and publishes it, and `GET /status`, the hub's own. With an
 * `Idempotency-Key` it can be sent again by whoever does not know whether it has arrived.
 */
export function takePosts(app: FastifyInstance, hub: HubClient, { path, topic, schema }: Posts): void {
  app.post(path, { schema: { body: schema } }, async ({ body, headers }, reply) => {
    const key = headers['idempotency-key']
    await hub.publish(topic, { data: body, ...(typeof key === 'string' && { id: key }) })
    return reply.code(201).send(body)
  })
  // That the hub is away is no error of this server, every two seconds, in its log.
  app.get('/status', { logLevel: 'fatal' }, async () => hub.status())
}
