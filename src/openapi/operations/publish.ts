import { PUBLISHER_ID_SYNTAX } from '../../model/event.js'
import { BatchEvent } from '../../schemas/event.js'
import { Type } from '../../schemas/typebox.js'
import type { Operations } from '../operation.js'

const KEY = {
  'Idempotency-Key': {
    description: 'the publisher’s own id of the event; the same as the member `id`',
    schema: { type: 'string', pattern: PUBLISHER_ID_SYNTAX },
  },
}

export const publish: Operations = {
  'POST /topics/{topic}/events': {
    id: 'publishEvent',
    tag: 'Publish',
    summary: 'Publish one event',
    description:
      'Needs a `publish` grant for the topic. An event with a known `id` is not stored again, so a publisher that got no answer can send it again.',
    headers: KEY,
    body: {
      description: 'The event, or its text.',
      content: {
        'application/json': { example: { type: 'created', data: { total: 12 } } },
        'text/plain': { schema: Type.String({ description: 'the text of the event' }), example: 'an order' },
      },
    },
    answers: {
      200: { description: 'The topic already has an event with this `id`: nothing was stored.' },
      201: { description: 'The event is stored.' },
      202: { description: 'The event is ephemeral, and was sent to the current subscribers.' },
    },
    problems: ['conflicting-ids', 'finite-topic'],
  },
  'POST /events': {
    id: 'publishEvents',
    tag: 'Publish',
    summary: 'Publish many events: a batch, or NDJSON',
    description:
      'A batch of JSON is stored as a whole or not at all. NDJSON has one event a line, and any number of lines: the hub stores them in batches as they arrive. A bad line ends the upload with `line` and `accepted`; the lines before it are stored.',
    body: {
      description: 'A batch, or one event a line.',
      content: {
        'application/json': { example: { events: [{ topic: 'orders.42', data: { total: 12 } }] } },
        'application/x-ndjson': {
          itemSchema: BatchEvent,
          example: '{"topic":"log","text":"one"}\n{"topic":"log","text":"two"}\n',
        },
      },
    },
    answers: {
      200: { description: 'NDJSON: all lines are stored.' },
      201: { description: 'JSON: the batch is stored. The answers have the order of the events.' },
    },
    problems: ['invalid-line', 'finite-topic'],
  },
}
