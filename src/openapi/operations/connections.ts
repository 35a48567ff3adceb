import type { Operations } from '../operation.js'

const OWN = 'For the subject of the stream’s token, and for admins.'

export const connections: Operations = {
  'GET /connections/{id}': {
    id: 'getConnection',
    tag: 'Connections',
    summary: 'Describe an open stream',
    description: OWN,
    answers: { 200: { description: 'The stream.' } },
    problems: ['not-found'],
  },
  'GET /connections': {
    id: 'listConnections',
    tag: 'Connections',
    summary: 'List open streams',
    description: 'For admins.',
    answers: { 200: { description: 'A page of streams.' } },
    problems: ['invalid-pattern'],
  },
  'PATCH /connections/{id}': {
    id: 'changeTopics',
    tag: 'Connections',
    summary: 'Change the topics of an open stream',
    description: `${OWN} The stream gets a \`fanfare.open\` block with its new topics. Both tokens must grant the added topics.`,
    body: {
      description: 'The topics and patterns to add and to remove.',
      content: {
        'application/json': { example: { subscribe: ['orders.43'], unsubscribe: ['orders.42'], replay: 10 } },
      },
    },
    answers: { 200: { description: 'The topics that the stream has now.' } },
    problems: ['invalid-pattern', 'not-found', 'rate-limited', 'log-unavailable'],
  },
  'PUT /connections/{id}/token': {
    id: 'renewToken',
    tag: 'Connections',
    summary: 'Give an open stream a new token',
    description:
      'The new token is the one in the header `Authorization`, and must have the same `sub`. Topics that it does not grant are removed.',
    security: ['bearer'],
    answers: { 200: { description: 'The topics that the stream has now, and when it ends.' } },
    problems: ['not-found'],
  },
  'DELETE /connections/{id}': {
    id: 'endConnection',
    tag: 'Connections',
    summary: 'End an open stream',
    description: OWN,
    answers: { 204: { description: 'The stream has ended, with the reason `revoked`.' } },
    problems: ['not-found'],
  },
  'DELETE /connections': {
    id: 'endConnections',
    tag: 'Connections',
    summary: 'End all streams of a subject',
    description: 'For admins.',
    answers: { 200: { description: 'How many streams have ended.' } },
  },
}
