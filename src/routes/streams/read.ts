/** Answers reads of finite topics: catch-up, long-poll and metadata (Durable Streams, 5.5 to 5.7). */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../../errors.js'
import { FiniteTopicError, type FiniteTopic, type MessagePage } from '../../hub/finite/finite-topic.js'
import { monotonicNow } from '../../model/clock.js'
import { quote } from '../../model/quote.js'
import type { StreamQuery } from '../../schemas/finite.js'
import { inSpan } from '../request/in-span.js'
import { requireGrant } from './access.js'
import { configHeaders, endHeaders, stateHeaders } from './answer-headers.js'
import { nextCursor } from './collapsing-cursor.js'
import { requireState, type StreamsContext } from './context.js'
import { answerWithEvents } from './event-stream.js'
import { openRead, type WaitingRead } from './live-read.js'
import { joinMessages } from './messages.js'
import { parseOffset, printOffset } from './offset.js'
import { header } from './request-headers.js'
import { readPage } from './shared-pages.js'

/** The size at which the body of a read ends, in bytes. */
const CHUNK_BYTES = 1024 * 1024

/** A finite topic may have any content type, such as HTML. Its pages must not run scripts in the hub's origin. */
const SANDBOX = { 'content-security-policy': "default-src 'none'; sandbox" }
/** An answer depends on the token, so a cache asks again each time, with the ETag. */
const REVALIDATE = { 'cache-control': 'private, no-cache' }

/** Answers `HEAD`. It does not count as a read. */
export async function answerWithState(
  context: StreamsContext,
  topic: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const state = await requireState(context, topic)
  requireGrant(request, 'subscribe', topic)
  // without a payload, Fastify would answer with "Content-Length: 0", which is not the length of the stream
  return reply.headers({ ...configHeaders(state), ...stateHeaders(state) }).send(Readable.from([]))
}

/** Answers `GET`. The span of a live read ends once the read is open: the wait would spoil figures about latency. */
export async function answerRead(
  context: StreamsContext,
  topic: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { poll } = await inSpan(context.traces, request, () => open(context, topic, request, reply))
  return poll ? poll() : reply
}

/**
 * A read that is answered, or a long poll that is open. This is not a `FastifyReply`: a reply is thenable, so a promise
 * of a reply resolves with `undefined`.
 */
interface Opened {
  poll?: () => Promise<FastifyReply>
}

const ANSWERED: Opened = {}

async function open(
  context: StreamsContext,
  topic: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Opened> {
  const { offset, live, cursor } = request.query as StreamQuery
  const lastId = live === 'sse' ? header(request.headers, 'last-event-id') || undefined : undefined
  if (live !== undefined && live !== 'long-poll' && live !== 'sse')
    throw new Problem('invalid-request', `live must be "long-poll" or "sse", not ${quote(live)}.`)
  if (live !== undefined && offset === undefined)
    throw new Problem('invalid-offset', 'A live read needs the query parameter "offset": "-1", "now" or an offset.')
  const { state, after } = await locate(context, topic, lastId ?? offset)
  requireGrant(request, 'subscribe', topic)
  // an EventSource that has read everything would connect again and again; 204 stops it
  if (lastId !== undefined && state.status !== 'open' && after === state.tail) {
    reply.code(204).headers(stateHeaders(state)).send()
    return ANSWERED
  }
  if (live === 'sse') {
    await answerWithEvents(context, request, reply, { state, after, cursor })
    return ANSWERED
  }
  if (live === 'long-poll') return openPoll(context, request, reply, { topic, after, cursor })
  const page = await readPage(context.finite, topic, after, CHUNK_BYTES)
  requireGrant(request, 'subscribe', topic)
  if (offset !== 'now') sendCached(context, request, reply, page, after)
  else sendPage(context, reply, { topic: page.topic, messages: [], next: page.topic.tail, isUpToDate: true })
  return ANSWERED
}

/**
 * Finds where a read begins. An `EventSource` repeats its URL when it reconnects, so its last id wins.
 * @throws Problem `invalid-offset`; FiniteTopicError `stream-not-found`, `stream-gone`
 */
async function locate(
  context: StreamsContext,
  topic: string,
  offset: string | undefined,
): Promise<{ state: FiniteTopic; after: number }> {
  const after = offset === undefined ? 0 : offset === 'now' ? undefined : parseOffset(offset)
  let state = await requireState(context, topic)
  if (after !== undefined && after > state.tail) {
    // another process may have stored the message just now
    await context.hub.streams.caughtUp(context.hub.cursor(after))
    state = await requireState(context, topic)
    if (after > state.tail)
      throw new FiniteTopicError('invalid-offset', `The offset ${quote(offset)} is after the tail of the stream.`)
  }
  return { state, after: after ?? state.tail }
}

/** Opens a long poll. The answer is sent with the first messages, or without messages after a while. */
async function openPoll(
  context: StreamsContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { topic, after, cursor }: { topic: string; after: number; cursor: string | undefined },
): Promise<Opened> {
  const page = await readPage(context.finite, topic, after, CHUNK_BYTES)
  if (!isEmpty(page)) {
    answerPoll(context, request, reply, page, cursor)
    return ANSWERED
  }
  const read = await openRead(context, request, topic, page.next)
  return {
    poll: async () => answerPoll(context, request, reply, await waitForPage(context, reply, read, page), cursor),
  }
}

function answerPoll(
  context: StreamsContext,
  request: FastifyRequest,
  reply: FastifyReply,
  page: MessagePage,
  cursor: string | undefined,
): FastifyReply {
  requireGrant(request, 'subscribe', page.topic.topic)
  const isEnd = page.isUpToDate && page.topic.status !== 'open'
  if (!isEnd) reply.header('stream-cursor', String(nextCursor(cursor)))
  if (page.messages.length > 0) return sendPage(context, reply, page)
  return reply.code(204).headers(pageHeaders(page)).send()
}

/** Waits for messages, at most for `FANFARE_LONG_POLL`. The wait counts as a stream. */
async function waitForPage(
  context: StreamsContext,
  reply: FastifyReply,
  read: WaitingRead,
  empty: MessagePage,
): Promise<MessagePage> {
  const { finite, waits, settings } = context
  const { topic, ttl = Infinity } = empty.topic
  const until = monotonicNow() + settings.longPoll
  const leave = () => read.close()
  reply.raw.once('close', leave)
  try {
    let page = empty
    while (isEmpty(page) && !read.isEnded) {
      const left = until - monotonicNow()
      if (left <= 0) break
      // two reads within `ttl` keep the topic from expiring
      await read.wait((wake) => waits.join(topic, empty.next, wake), Math.min(left, ttl / 2))
      page = await readPage(finite, topic, empty.next, CHUNK_BYTES)
    }
    return page
  } finally {
    reply.raw.removeListener('close', leave)
    read.close('answered')
  }
}

/** Whether a page has nothing new: no messages, and the topic is open. */
function isEmpty({ messages, isUpToDate, topic }: MessagePage): boolean {
  return messages.length === 0 && isUpToDate && topic.status === 'open'
}

/** Sends a page with its ETag, or 304 if the client has it (RFC 9110, 13.1.2). */
function sendCached(
  context: StreamsContext,
  request: FastifyRequest,
  reply: FastifyReply,
  page: MessagePage,
  after: number,
): FastifyReply {
  const { topic, next, isUpToDate } = page
  const end = isUpToDate && topic.status !== 'open' ? ':c' : ''
  const etag = `"${topic.incarnation}:${after}:${next}${isUpToDate ? ':t' : ''}${end}"`
  reply.headers({ etag, ...REVALIDATE })
  const known = request.headers['if-none-match']
  if (known === undefined || !matchesTag(known, etag)) return sendPage(context, reply, page)
  return reply.code(304).headers(pageHeaders(page)).send()
}

function matchesTag(known: string, etag: string): boolean {
  return known.split(',').some((tag) => ['*', etag].includes(tag.trim().replace(/^W\//, '')))
}

function sendPage({ hub }: StreamsContext, reply: FastifyReply, page: MessagePage): FastifyReply {
  const { contentType } = page.topic
  const body = joinMessages(page.messages, contentType)
  hub.answered(page.messages.length, body.length)
  return reply.headers({ ...pageHeaders(page), ...SANDBOX, 'content-type': contentType }).send(body)
}

function pageHeaders({ topic, next, isUpToDate }: MessagePage): Record<string, string> {
  return {
    'stream-next-offset': printOffset(next),
    ...(isUpToDate && { 'stream-up-to-date': 'true', ...endHeaders(topic.status) }),
  }
}
