import { CancelledStream, OFFSET_SYNTAX } from '../../schemas/finite.js'
import { values } from '../../schemas/parameters.js'
import { Type } from '../../schemas/typebox.js'
import type { Header, Operations } from '../operation.js'

const OF_PATHS = ['invalid-topic', 'reserved-topic'] as const
const OF_MESSAGES = ['invalid-json', 'invalid-encoding', 'invalid-event', 'schema-mismatch', 'event-too-large'] as const
const OF_STREAMS = [...OF_PATHS, 'stream-not-found', 'stream-gone', 'draining', 'log-unavailable'] as const

/** The headers that tell the state of a stream. */
const STATE = {
  'Stream-Next-Offset': 'the offset after the last message',
  'Stream-Closed': '`true` if the stream has ended and the answer reaches its end',
  'Fanfare-Status': 'how the stream has ended: `done`, `error`, `cancelled` or `expired`',
}
/** The headers that tell what a stream was created with. */
const CONFIG = {
  'Stream-TTL': 'the seconds without an append or a read after which the stream expires',
  'Stream-Expires-At': 'the time at which the stream expires',
}
const PRODUCER = {
  'Producer-Epoch': 'the epoch of the producer',
  'Producer-Seq': 'the greatest number that was accepted from the producer',
}

const { text, time, duration, choice, count } = values
const NAME = { type: 'string', minLength: 1, maxLength: 256 }
const COUNT = count({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const OFFSET = { type: 'string', pattern: OFFSET_SYNTAX }

const header = (description: string, schema: object): Header => ({ description, schema })

/** The headers of a request that ends the stream, or renews its lease. */
const ENDS = {
  'Stream-Closed': header('`true`: the stream ends after the body', { type: 'boolean', default: false }),
  'Fanfare-Status': header('with `Stream-Closed: true`: how the stream ends', {
    ...choice('done', 'error'),
    default: 'done',
  }),
  'Fanfare-Lease': header(
    'from `1s` to `24h`: the stream ends with `error` if no append follows within that time',
    duration,
  ),
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
      'Stream-TTL': header(
        'the seconds without an append or a read after which the stream expires',
        count({ minimum: 0, maximum: Math.floor(Number.MAX_SAFE_INTEGER / 1_000) }),
      ),
      'Stream-Expires-At': header('the time at which the stream expires, instead of `Stream-TTL`', time),
      'Stream-Forked-From': header('the path of the stream whose messages this one begins with', text),
      'Stream-Fork-Offset': header('the offset up to which they are inherited', OFFSET),
      'Stream-Fork-Sub-Offset': header(
        'how many messages of JSON, or bytes, behind that offset are inherited too',
        COUNT,
      ),
      'Fanfare-Coalesce': header(
        'up to `10s`, such as `40ms`: messages that follow the first within it are sent together',
        duration,
      ),
      ...ENDS,
    },
    body: { description: 'The first messages. Its content type is that of the stream.', ...BODY },
    answers: {
      200: { description: 'The same stream exists.', headers: STATE },
      201: { description: 'The stream was created.', headers: { Location: 'the URL of the stream', ...STATE } },
    },
    problems: [
      ...OF_STREAMS,
      ...OF_MESSAGES,
      'rate-limited',
      'too-many-topics',
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
    summary: 'Append to a stream, or close it',
    description:
      'Needs a `publish` grant for the topic. NDJSON, and other bodies with `Fanfare-Upload: live`, are stored as they come.',
    headers: {
      ...ENDS,
      'Stream-Seq': header('must sort after the one of the append before', NAME),
      'Producer-Id': header('the name of the producer: its appends are stored once', NAME),
      'Producer-Epoch': header('the number of the producer’s session; a greater one ends the others', COUNT),
      'Producer-Seq': header('the number of the append in the session, from 0', COUNT),
      'Fanfare-Upload': header('`live`: the parts of the body are stored as they come', choice('live')),
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
        description: 'A new append of a producer is stored.',
        headers: { ...STATE, ...PRODUCER },
      },
      204: { description: 'The append is stored, or was stored before.', headers: { ...STATE, ...PRODUCER } },
    },
    problems: [
      ...OF_STREAMS,
      ...OF_MESSAGES,
      'rate-limited',
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
  'POST /streams/{path}/cancel': {
    id: 'cancelStream',
    tag: 'Streams that end',
    summary: 'Cancel a stream that ends',
    description:
      'Needs a `publish` grant for the topic, or a token of the subject that created the stream. The next append is refused, and a running upload at once. A body is ignored.',
    servedBy: 'POST /streams/{path}',
    answers: {
      200: {
        description: 'The stream has ended: now, or before.',
        headers: STATE,
        content: { 'application/json': { schema: CancelledStream } },
      },
    },
    problems: [...OF_STREAMS, 'rate-limited'],
  },
  'GET /streams/{path}': {
    id: 'readStream',
    tag: 'Streams that end',
    summary: 'Read a stream that ends',
    description:
      'Needs a `subscribe` grant for the topic. Without `live` the answer has what there is; `live=long-poll` waits for more, `live=sse` is an event stream.',
    security: ['bearer', 'cookie', 'ticket'],
    headers: { 'If-None-Match': header('the `ETag` of an earlier answer', text) },
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
  'HEAD /streams/{path}': {
    id: 'getStreamState',
    tag: 'Streams that end',
    summary: 'Read the state of a stream that ends',
    description: 'Needs a `subscribe` grant for the topic. It does not count as a read: the stream may still expire.',
    answers: {
      200: { description: 'The state, with the content type of the stream.', headers: { ...STATE, ...CONFIG } },
    },
    problems: [...OF_STREAMS],
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
