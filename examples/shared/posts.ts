/** The server's side of a page where people post something and everybody sees it. */
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import type { TObject, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Check } from 'typebox/value'
import type { HubClient } from './hub-client.js'

interface Posts {
  /** Where they are posted to. */
  path: string
  topic: string
  /** What they are. The `description` of a member is what people are told when it is not that. */
  schema: TObject
}

/**
 * Adds two routes: one that checks what is posted and publishes it, and `GET /status`, the hub's own. With an `Idempotency-Key` it can be
 * sent again by whoever does not know whether it has arrived.
 */
export function takePosts(app: FastifyInstance, hub: HubClient, { path, topic, schema }: Posts): void {
  app.post(path, { schema: { body: schema }, validatorCompiler }, async ({ body, headers }, reply) => {
    const key = headers['idempotency-key']
    await hub.publish(topic, { data: body, ...(typeof key === 'string' && { id: key }) })
    return reply.code(201).send(body)
  })
  // That the hub is away is no error of this server, every two seconds, in its log.
  app.get('/status', { logLevel: 'fatal' }, async () => hub.status())
}

/** Nothing is converted, and the refusal says what is wanted. (Fastify's own would take `null` for 0.) */
const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema }) => {
  const validator = Compile(schema)
  return (value) => (validator.Check(value) ? { value } : { error: new Error(reasonOf(schema as TObject, value)) })
}

function reasonOf({ properties }: TObject, value: unknown): string {
  const members = (value ?? {}) as Record<string, unknown>
  const wrong = Object.entries(properties).find(([name, member]) => !Check(member, members[name]))
  return (wrong?.[1] as { description?: string } | undefined)?.description ?? `Nothing but ${Object.keys(properties).join(', ')} is known.`
}
