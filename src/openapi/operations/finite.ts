import { Type } from '../../schemas/typebox.js'
import type { Operations } from '../operation.js'

const OF_PATHS = ['invalid-topic', 'reserved-topic'] as const
const OF_STREAMS = [...OF_PATHS, 'stream-not-found', 'stream-gone', 'draining', 'log-unavailable'] as const

/** The headers that tell the state of a stream. */
const STATE = {
  'Stream-Next-Offset': 'the offset after the last message',
  'Stream-Closed': '`true` if the stream has ended and the answer reaches its end',
  'Fanfare-Status': 'how the stream has ended: `done`, `error`, `cancelled` or `expired`',
}
const PRODUCER = {
  'Producer-Epoch': 'the epoch of the producer',
  'Producer-Seq': 'the greatest number that was accepted from the producer',
}

/** The headers of a request that ends the stream, or renews its lease. */
const ENDS = {
  'Stream-Closed': '`true`: the stream ends after the body',
  'Fanfare-Status': 'with `Stream-Closed: true`: `done` (the default) or `error`',
  'Fanfare-Lease': 'a duration such as `30s`: the stream ends with `error` if no append follows within that time',
}

const BYTES = { schema: Type.String({ description: 'any bytes' }) }
const BODY = {
  isOptional: true,
  content: {
    'application/json': {
      schema: Type.Unknown({ description: 'a message, or an array with several' }),
      example: [{ token: 'Hel' }, { token: 'lo' }],
    },
    'text/plain': { ...BYTES, example: 'Hello' },
    'application/octet-stream': BYTES,
  },
}

export const finite: Operations = {
  'PUT /streams/{path}': {
    id: 'createStream',
    tag: 'Streams that end',
    summary: 'Create a stream that ends',
    description:
      'Part of the Durable Streams protocol. Needs a `publish` grant for the topic: the path with dots for slashes. The path may have slashes.',
    headers: {
      'Stream-TTL': 'the seconds without an append or a read after which the stream expires',
      'Stream-Expires-At': 'the time at which the stream expires (RFC 3339), instead of `Stream-TTL`',
      'Stream-Forked-From': 'the path of the stream whose messages this one begins with',
      'Stream-Fork-Offset': 'the offset up to which they are inherited',
      'Stream-Fork-Sub-Offset': 'how many messages of JSON, or bytes, behind that offset are inherited too',
      'Fanfare-Coalesce': 'a duration such as `40ms`: messages that follow the first within it are sent together',
      ...ENDS,
    },
    body: { description: 'The first messages. Its content type is that of the stream.', ...BODY },
    answers: {
      200: { description: 'The same stream exists.', headers: STATE },
      201: { description: 'The stream was created.', headers: { Location: 'the URL of the stream', ...STATE } },
    },
    problems: [
      ...OF_STREAMS,
      'invalid-stream',
      'invalid-offset',
      'stream-exists',
      'fork-source-gone',
      'content-type-mismatch',
      'stream-too-large',
      'streams-full',
    ],
  },
  'POST /streams/{path}': {
    id: 'appendToStream',
    tag: 'Streams that end',
    summary: 'Append to a stream, close it, or cancel it',
    description:
      'Needs a `publish` grant for the topic. A path that ends with `/cancel` ends the stream with the status `cancelled`; the subject that created the stream may do that without a grant. NDJSON, and other bodies with `Fanfare-Upload: live`, are stored as they come.',
    headers: {
      ...ENDS,
      'Stream-Seq': 'must sort after the one of the append before',
      'Producer-Id': 'the name of the producer: its appends are stored once',
      'Producer-Epoch': 'the number of the producer’s session; a greater one ends the others',
      'Producer-Seq': 'the number of the append in the session, from 0',
      'Fanfare-Upload': '`live`: the parts of the body are stored as they come',
    },
    body: {
      description: 'The messages. Without a body, the stream is closed or its lease is renewed.',
      ...BODY,
      content: {
        ...BODY.content,
        'application/x-ndjson': { itemSchema: Type.Unknown({ description: 'a message' }), example: '1\n2\n' },
      },
    },
    answers: {
      200: {
        description: 'A new append of a producer is stored. For `/cancel`: the state of the stream.',
        headers: { ...STATE, ...PRODUCER },
      },
      204: { description: 'The append is stored, or was stored before.', headers: { ...STATE, ...PRODUCER } },
    },
    problems: [
      ...OF_STREAMS,
      'stream-closed',
      'cancelled',
      'content-type-mismatch',
      'order-regression',
      'producer-fenced',
      'producer-gap',
      'invalid-producer',
      'invalid-line',
      'stream-too-large',
      'streams-full',
    ],
  },
  'GET /streams/{path}': {
    id: 'readStream',
    tag: 'Streams that end',
    summary: 'Read a stream that ends',
    description:
      'Needs a `subscribe` grant for the topic. Without `live` the answer has what there is; `live=long-poll` waits for more, `live=sse` is an event stream. `HEAD` answers with the state.',
    security: ['bearer', 'cookie', 'ticket'],
    headers: { 'If-None-Match': 'the `ETag` of an earlier answer' },
    answers: {
      200: {
        description: 'The messages, with the content type of the stream; JSON is an array of them.',
        headers: {
          ...STATE,
          'Stream-Up-To-Date': '`true` if the answer reaches the tail',
          'Stream-Cursor': 'for the next live read',
          ETag: 'changes with the messages and with the end',
        },
        content: {
          'application/json': { schema: Type.Array(Type.Unknown()) },
          'application/octet-stream': BYTES,
          'text/event-stream': { schema: Type.String({ description: 'blocks with the events `data` and `control`' }) },
        },
      },
      204: { description: 'Nothing came within the time of a long poll, or the stream has ended.', headers: STATE },
      304: { description: 'The messages have not changed.' },
    },
    problems: [...OF_STREAMS, 'invalid-offset'],
  },
  'DELETE /streams/{path}': {
    id: 'deleteStream',
    tag: 'Streams that end',
    summary: 'Delete a stream that ends',
    description: 'Needs a `publish` grant for the topic. Forks of the stream keep what they inherit.',
    answers: { 204: { description: 'The stream is deleted.' } },
    problems: [...OF_STREAMS],
  },
}
