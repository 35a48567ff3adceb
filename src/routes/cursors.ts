/** The routes for named cursors: a subject acknowledges how far it has read. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Problem } from '../errors.js'
import type { Hub } from '../hub/hub.js'
import { parseCursor } from '../model/cursor.js'
import type { CursorName, NamedCursor } from '../hub/named-cursors.js'
import type { Principal } from '../model/principal.js'
import { quote } from '../model/quote.js'
import { kAuthenticate, requirePrincipal } from '../plugins/auth.js'
import { SMALL_BODY } from '../plugins/bodies.js'
import { hubOf } from '../plugins/hub.js'
import {
  Acknowledgement,
  CURSOR_NAME_SYNTAX,
  CursorParams,
  NamedCursor as NamedCursorShape,
  NamedCursors,
} from '../schemas/cursor.js'
import { tokenRequired } from './request/token-required.js'

const CURSOR_NAME = new RegExp(CURSOR_NAME_SYNTAX)

const cursors: FastifyPluginAsyncTypebox = async (app) => {
  const hub = hubOf(app)
  const onRequest = [app[kAuthenticate], tokenRequired('use named cursors')]

  app.get('/cursors', { onRequest, schema: { response: { 200: NamedCursors } } }, async (request) => ({
    cursors: (await hub.cursors.list(requireSubject(requirePrincipal(request)))).map(print),
  }))

  app.get(
    '/cursors/:name',
    { onRequest, schema: { params: CursorParams, response: { 200: NamedCursorShape } } },
    async (request) => {
      const cursor = readOwn(requirePrincipal(request), request.params.name)
      return print((await hub.cursors.get(cursor)) ?? notFound(cursor))
    },
  )

  app.put(
    '/cursors/:name',
    {
      onRequest,
      bodyLimit: SMALL_BODY,
      schema: { params: CursorParams, body: Acknowledgement, response: { 200: NamedCursorShape } },
    },
    async (request) => {
      const cursor = readOwn(requirePrincipal(request), request.params.name)
      await hub.streams.caughtUp(request.body.id)
      requirePrincipal(request) // the token may have ended meanwhile
      return print(await hub.cursors.acknowledge(cursor, readAcknowledged(hub, request.body.id)))
    },
  )

  app.delete('/cursors/:name', { onRequest, schema: { params: CursorParams } }, async (request, reply) => {
    const cursor = readOwn(requirePrincipal(request), request.params.name)
    if (!(await hub.cursors.delete(cursor))) notFound(cursor)
    return reply.code(204).send()
  })
}

export default cursors

/**
 * Returns the named cursor of a principal.
 * @throws Problem `invalid-request` if the name is invalid, or the principal has no subject
 */
export function readCursorName({ subject }: Principal, name: string): CursorName {
  if (!CURSOR_NAME.test(name))
    throw new Problem(
      'invalid-request',
      'The name of a cursor must be 1 to 64 characters: letters, digits, "-" and "_".',
    )
  if (subject === undefined)
    throw new Problem('invalid-request', 'A named cursor belongs to a subject: the token needs a "sub".')
  return { subject, name }
}

function readOwn(principal: Principal, name: string): CursorName {
  requireSubject(principal)
  return readCursorName(principal, name)
}

function requireSubject({ subject }: Principal): string {
  if (subject === undefined)
    throw new Problem('not-granted', 'The token has no "sub", but a named cursor belongs to the subject of its token.')
  return subject
}

/**
 * Returns the sequence of an acknowledged id.
 * @throws Problem `invalid-cursor` if the id is not a cursor of this log
 */
function readAcknowledged(hub: Hub, id: string): number {
  const cursor = parseCursor(id)
  if (!cursor)
    throw new Problem('invalid-cursor', `${quote(id)} is not a cursor: acknowledge an "id" that the hub has sent.`)
  if (cursor.epoch !== hub.epoch)
    throw new Problem(
      'invalid-cursor',
      `${quote(id)} is a cursor of another log: it cannot acknowledge events of this log.`,
    )
  if (cursor.sequence > hub.head)
    throw new Problem('invalid-cursor', `${quote(id)} is newer than the newest event of the log.`)
  return cursor.sequence
}

function notFound({ name }: CursorName): never {
  throw new Problem('not-found', `The subject has no named cursor ${quote(name)}.`)
}

function print({ expiresAt, ...rest }: NamedCursor) {
  return { ...rest, expiresAt: new Date(expiresAt).toISOString() }
}
