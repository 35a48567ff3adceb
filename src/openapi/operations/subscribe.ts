import { StreamBlock } from '../../schemas/block.js'
import { History } from '../../schemas/stream.js'
import type { Operation, Operations } from '../operation.js'

const stream: Omit<Operation, 'id' | 'summary'> = {
  tag: 'Subscribe',
  description:
    'Needs a `subscribe` grant that covers each topic or pattern. `Accept: text/event-stream`, `*/*` or no `Accept` opens an event stream, `Accept: application/json` reads a page of history. What is temporary (429, 503) is answered to a stream with 200, a `fanfare.close` block (`busy`) and the end of the stream, since any other status stops an `EventSource` for good. `HEAD` answers the head of the stream and ends.',
  headers: { 'Last-Event-ID': 'the last id that the client has read: the stream continues after it' },
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
    204: { description: 'The last id is behind the end of a finite topic: nothing follows, and an EventSource stops.' },
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

export const subscribe: Operations = {
  'GET /topics/{topic}/events': { id: 'readTopic', summary: 'Subscribe to a topic or a pattern', ...stream },
  'GET /events': { id: 'readTopics', summary: 'Subscribe to several topics and patterns', ...stream },
}
