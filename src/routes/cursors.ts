/** Named cursors: how far a subject has read, acknowledged by itself. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Problem } from '../errors.js'
import type { Hub } from '../hub/hub.js'
import { parseCursor } from '../model/cursor.js'
import type { CursorName, NamedCursor } from '../hub/named-cursors.js'
import type { Principal } from '../model/principal.js'
import { quote } from '../model/quote.js'
import { requirePrincipal } from '../plugins/auth.js'
import { SMALL_BODY } from '../plugins/bodies.js'
import { Acknowledgement, CursorParams, NamedCursor as NamedCursorShape, NamedCursors } from '../schemas/cursor.js'
import { tokenRequired } from './token-required.js'

const CURSOR_NAME = /^[A-Za-z0-9_-]{1,64}$/

const cursors: FastifyPluginAsyncTypebox = async (app) => {
  const { fanfareHub: hub } = app
  const onRequest = [app.authenticate, tokenRequired('see or move a named cursor')]

  app.get('/cursors', { onRequest, schema: { response: { 200: NamedCursors } } }, async (request) => ({
    cursors: (await hub.cursors.list(requireSubject(requirePrincipal(request)))).map(show),
  }))

  app.get(
    '/cursors/:name',
    { onRequest, schema: { params: CursorParams, response: { 200: NamedCursorShape } } },
    async (request) => {
      const cursor = readOwn(requirePrincipal(request), request.params.name)
      return show((await hub.cursors.get(cursor)) ?? notFound(cursor))
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
      return show(await hub.cursors.acknowledge(cursor, readAcknowledged(hub, request.body.id)))
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
 * @throws Problem `invalid-request` where the name is none, or the principal has no subject
 */
export function readCursorName({ subject }: Principal, name: string): CursorName {
  if (!CURSOR_NAME.test(name))
    throw new Problem('invalid-request', 'A named cursor is called by 1 to 64 of letters, digits, "-" and "_".')
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
    throw new Problem('not-granted', 'The token has no "sub": a named cursor belongs to the subject of its token.')
  return subject
}

/**
 * Returns the sequence of an id that is acknowledged.
 * @throws Problem `invalid-cursor` where it is no position of this log
 */
function readAcknowledged(hub: Hub, id: string): number {
  const cursor = parseCursor(id)
  if (!cursor)
    throw new Problem('invalid-cursor', `${quote(id)} is no cursor: acknowledge an "id" that the hub has sent.`)
  if (cursor.epoch !== hub.epoch)
    throw new Problem(
      'invalid-cursor',
      `${quote(id)} is of another log: its events are not here, and nothing of this log is acknowledged with it.`,
    )
  if (cursor.sequence > hub.head)
    throw new Problem(
      'invalid-cursor',
      `${quote(id)} lies behind the newest event: what has not been sent cannot be acknowledged.`,
    )
  return cursor.sequence
}

function notFound({ name }: CursorName): never {
  throw new Problem('not-found', `There is no named cursor ${quote(name)} of this subject, or no longer.`)
}

function show({ expiresAt, ...rest }: NamedCursor) {
  return { ...rest, expiresAt: new Date(expiresAt).toISOString() }
}
