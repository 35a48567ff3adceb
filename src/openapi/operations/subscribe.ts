import { StreamBlock } from '../../schemas/block.js'
import { values } from '../../schemas/parameters.js'
import { History } from '../../schemas/stream.js'
import type { Operation, Operations } from '../operation.js'

const stream: Omit<Operation, 'id' | 'summary'> = {
  tag: 'Subscribe',
  description:
    'Needs a `subscribe` grant that covers each topic or pattern. `Accept: text/event-stream`, `*/*` or no `Accept` opens an event stream, `Accept: application/json` reads a page of history. A temporary refusal (429, 503) of a stream is a 200 with a `fanfare.close` block (`busy`), after which the stream ends: any other status stops an `EventSource` for good.',
  headers: {
    'Last-Event-ID': {
      description: 'the last id that the subscriber has received: the stream continues after it',
      schema: values.text,
    },
  },
  answers: {
    200: {
      description: 'An event stream, or a page of history.',
      headers: {
        'Fanfare-Connection': 'on a stream: its id, for the routes of connections',
        'Last-Event-ID': 'on a stream: the cursor from which it starts',
      },
      content: {
        'text/event-stream': { itemSchema: StreamBlock },
        'application/json': { schema: History },
      },
    },
    204: { description: 'The subscriber has the end of the finite topic: nothing follows, and an EventSource stops.' },
  },
  problems: [
    'invalid-pattern',
    'invalid-cursor',
    'foreign-origin',
    'not-found',
    'not-acceptable',
    'too-many-cursors',
    'too-many-connections',
    'draining',
    'log-unavailable',
  ],
}

const head: Omit<Operation, 'id' | 'summary'> = {
  ...stream,
  description: 'Answers with the status and the headers of `GET`. Opens no stream.',
  answers: {
    ...stream.answers,
    200: { ...stream.answers[200]!, description: 'The head of an event stream, or of a page of history.' },
  },
}

export const subscribe: Operations = {
  'GET /topics/{topic}/events': { id: 'readTopic', summary: 'Subscribe to a topic or a pattern', ...stream },
  'HEAD /topics/{topic}/events': { id: 'checkTopic', summary: 'Check that a subscription would be accepted', ...head },
  'GET /events': { id: 'readTopics', summary: 'Subscribe to several topics and patterns', ...stream },
  'HEAD /events': {
    id: 'checkTopics',
    summary: 'Check that a subscription to several topics would be accepted',
    ...head,
  },
}
