import type { Operations } from '../operation.js'

export const access: Operations = {
  'POST /sessions': {
    id: 'startSession',
    tag: 'Access',
    summary: 'Start a session',
    description:
      'Stores the token of the header `Authorization` in the cookie `fanfare_token`, which ends with the token.',
    security: ['bearer'],
    answers: { 204: { description: 'The cookie is set.', headers: { 'Set-Cookie': 'the cookie `fanfare_token`' } } },
  },
  'DELETE /sessions': {
    id: 'endSession',
    tag: 'Access',
    summary: 'End a session',
    description:
      'Clears the cookie, also if its token has expired. A request with the cookie needs an allowed `Origin`.',
    answers: { 204: { description: 'The cookie is cleared.' } },
    problems: ['foreign-origin'],
  },
  'POST /tickets': {
    id: 'getTicket',
    tag: 'Access',
    summary: 'Get a ticket',
    description:
      'A ticket opens event streams in place of the token, as `?ticket=`, for a short time. It is for browsers, whose `EventSource` sends no headers.',
    answers: { 201: { description: 'The ticket.' } },
  },
  'POST /revocations': {
    id: 'revoke',
    tag: 'Access',
    summary: 'Revoke tokens',
    description: 'For admins. Refuses the tokens of a subject, or one token, and ends their streams.',
    body: {
      description: 'Exactly one of `subject` and `jti`, and the end of the revocation.',
      content: { 'application/json': { example: { subject: 'u1', until: '2099-12-31T23:59:59Z' } } },
    },
    answers: { 201: { description: 'The revocation is stored, and the streams have ended.' } },
    problems: ['draining', 'log-unavailable'],
  },
  'GET /revocations': {
    id: 'listRevocations',
    tag: 'Access',
    summary: 'List the revocations in force',
    description: 'For admins.',
    answers: { 200: { description: 'The revocations.' } },
  },
  'DELETE /revocations/{id}': {
    id: 'deleteRevocation',
    tag: 'Access',
    summary: 'Lift a revocation',
    description: 'For admins.',
    answers: { 204: { description: 'The revocation is lifted.' } },
    problems: ['not-found', 'draining', 'log-unavailable'],
  },
}
