import type { Operations } from '../operation.js'

export const cursors: Operations = {
  'GET /cursors': {
    id: 'listCursors',
    tag: 'Named cursors',
    summary: 'List the named cursors of the token’s subject',
    answers: { 200: { description: 'The named cursors, sorted by name.' } },
  },
  'GET /cursors/{name}': {
    id: 'getCursor',
    tag: 'Named cursors',
    summary: 'Read a named cursor',
    answers: { 200: { description: 'The named cursor.' } },
    problems: ['not-found'],
  },
  'PUT /cursors/{name}': {
    id: 'acknowledge',
    tag: 'Named cursors',
    summary: 'Acknowledge events under a name',
    description: 'Acknowledges all events up to an id. A stream with `cursor=<name>` continues there.',
    body: {
      description: 'The last id that was read.',
      content: { 'application/json': { example: { id: '8f3kq0zt-1042' } } },
    },
    answers: { 200: { description: 'The named cursor.' } },
    problems: ['invalid-cursor', 'too-many-cursors', 'log-unavailable'],
  },
  'DELETE /cursors/{name}': {
    id: 'deleteCursor',
    tag: 'Named cursors',
    summary: 'Delete a named cursor',
    answers: { 204: { description: 'The named cursor is deleted.' } },
    problems: ['not-found', 'log-unavailable'],
  },
}
