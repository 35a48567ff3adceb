import type { Operations } from '../operation.js'

export const topics: Operations = {
  'GET /topics': {
    id: 'listTopics',
    tag: 'Topics',
    summary: 'List the topics that the log holds',
    description: 'Admins see all topics; others see those that their token grants to subscribe to.',
    answers: { 200: { description: 'A page of topics.' } },
    problems: ['invalid-pattern', 'log-unavailable'],
  },
  'GET /topics/{topic}': {
    id: 'getTopic',
    tag: 'Topics',
    summary: 'Describe a topic',
    description: 'Needs a `subscribe` grant for the topic. Every valid topic exists, even without events.',
    answers: { 200: { description: 'The topic.' } },
    problems: ['invalid-topic', 'log-unavailable'],
  },
  'DELETE /topics/{topic}/events': {
    id: 'purgeTopic',
    tag: 'Topics',
    summary: 'Purge a topic',
    description: 'For admins. Removes all events of the topic from the log.',
    answers: { 200: { description: 'How many events were purged.' } },
    problems: ['invalid-topic', 'reserved-topic', 'draining', 'log-unavailable'],
  },
  'GET /topics/{topic}/presence': {
    id: 'getPresence',
    tag: 'Topics',
    summary: 'List the subjects that are present on a topic',
    description:
      'Needs a `presence` grant for the topic. With `presence=true` a stream gets `fanfare.join` and `fanfare.leave` (PresenceEvent).',
    answers: { 200: { description: 'The subjects, in the order in which they joined.' } },
    problems: ['invalid-topic', 'reserved-topic'],
  },
}
