/** Answers reads of finite topics: catch-up, long-poll and metadata (Durable Streams, 5.5 to 5.7). */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../../errors.js'
import { FiniteTopicError, type FiniteTopic, type MessagePage } from '../../hub/finite/finite-topic.js'
import { monotonicNow } from '../../model/clock.js'
import { quote } from '../../model/quote.js'
import type { StreamQuery } from '../../schemas/finite.js'
import { requireGrant } from './access.js'
import { configHeaders, endHeaders, stateHeaders } from './answer-headers.js'
import { nextCursor } from './collapsing-cursor.js'
import { requireState, type StreamsContext } from './context.js'
import { answerWithEvents } from './event-stream.js'
import { openRead } from './live-read.js'
import { joinMessages } from './messages.js'
import { parseOffset, printOffset } from './offset.js'
import { header } from './request-headers.js'
import { readPage } from './shared-pages.js'

/** The size at which the body of a read ends, in bytes. */
const CHUNK_BYTES = 1024 * 1024

/** A page of a stream of any type must not run scripts in the hub's origin. */
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

/** Answers `GET`. */
export async function answerRead(
  context: StreamsContext,
  topic: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { offset, live, cursor } = request.query as StreamQuery
  const lastId = live === 'sse' ? header(request.headers, 'last-event-id') || undefined : undefined
  if (live !== undefined && live !== 'long-poll' && live !== 'sse')
    throw new Problem('invalid-request', `live must be "long-poll" or "sse", not ${quote(live)}.`)
  if (live !== undefined && offset === undefined)
    throw new Problem('invalid-offset', 'A live read needs the query parameter "offset": "-1", "now" or an offset.')
  const { state, after } = await locate(context, topic, lastId ?? offset)
  requireGrant(request, 'subscribe', topic)
  // an EventSource that has read everything would connect again and again; 204 stops it
  if (lastId !== undefined && state.status !== 'open' && after === state.tail)
    return reply.code(204).headers(stateHeaders(state)).send()
  if (live === 'sse') return answerWithEvents(context, request, reply, { state, after, cursor })
  if (live === 'long-poll') return answerWhenReady(context, request, reply, { topic, after, cursor })
  const page = await readPage(context.finite, topic, after, CHUNK_BYTES)
  requireGrant(request, 'subscribe', topic)
  if (offset !== 'now') return sendCached(request, reply, page, after)
  return sendPage(reply, { topic: page.topic, messages: [], next: page.topic.tail, isUpToDate: true })
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
    const { hub } = context
    await hub.streams.caughtUp(hub.cursor(after)) // another process may have stored the message just now
    state = await requireState(context, topic)
    if (after > state.tail)
      throw new FiniteTopicError('invalid-offset', `The offset ${quote(offset)} is behind the tail of the stream.`)
  }
  return { state, after: after ?? state.tail }
}

/** Answers a long poll: with messages as soon as there are some, or without after a while. */
async function answerWhenReady(
  context: StreamsContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { topic, after, cursor }: { topic: string; after: number; cursor: string | undefined },
): Promise<FastifyReply> {
  const { finite } = context
  let page = await readPage(finite, topic, after, CHUNK_BYTES)
  if (isEmpty(page)) page = await waitForPage(context, request, reply, page)
  requireGrant(request, 'subscribe', topic)
  const isEnd = page.isUpToDate && page.topic.status !== 'open'
  if (!isEnd) reply.header('stream-cursor', String(nextCursor(cursor)))
  if (page.messages.length > 0) return sendPage(reply, page)
  return reply.code(204).headers(pageHeaders(page)).send()
}

/** Waits for messages, at most for `FANFARE_LONG_POLL`. The wait counts as a stream. */
async function waitForPage(
  context: StreamsContext,
  request: FastifyRequest,
  reply: FastifyReply,
  empty: MessagePage,
): Promise<MessagePage> {
  const { finite, waits, settings } = context
  const { topic, ttl = Infinity } = empty.topic
  const until = monotonicNow() + settings.longPoll
  const read = await openRead(context, request)
  const leave = () => read.close()
  reply.raw.once('close', leave)
  try {
    let page = empty
    while (isEmpty(page) && !read.isEnded) {
      const left = until - monotonicNow()
      if (left <= 0) break
      // a read at least twice within `ttl` keeps the topic from expiring
      await read.wait((wake) => waits.join(topic, empty.next, wake), Math.min(left, ttl / 2))
      page = await readPage(finite, topic, empty.next, CHUNK_BYTES)
    }
    return page
  } finally {
    reply.raw.removeListener('close', leave)
    read.close()
  }
}

/** Whether a page has nothing to tell yet. */
function isEmpty({ messages, isUpToDate, topic }: MessagePage): boolean {
  return messages.length === 0 && isUpToDate && topic.status === 'open'
}

/** Sends a page with its ETag, or 304 if the client has it (RFC 9110, 13.1.2). */
function sendCached(request: FastifyRequest, reply: FastifyReply, page: MessagePage, after: number): FastifyReply {
  const { topic, next, isUpToDate } = page
  const end = isUpToDate && topic.status !== 'open' ? ':c' : ''
  const etag = `"${topic.incarnation}:${after}:${next}${isUpToDate ? ':t' : ''}${end}"`
  reply.headers({ etag, ...REVALIDATE })
  const known = request.headers['if-none-match']
  if (known === undefined || !matchesTag(known, etag)) return sendPage(reply, page)
  return reply.code(304).headers(pageHeaders(page)).send()
}

function matchesTag(known: string, etag: string): boolean {
  return known.split(',').some((tag) => ['*', etag].includes(tag.trim().replace(/^W\//, '')))
}

function sendPage(reply: FastifyReply, page: MessagePage): FastifyReply {
  const { contentType } = page.topic
  return reply
    .headers({ ...pageHeaders(page), ...SANDBOX, 'content-type': contentType })
    .send(joinMessages(page.messages, contentType))
}

function pageHeaders({ topic, next, isUpToDate }: MessagePage): Record<string, string> {
  return {
    'stream-next-offset': printOffset(next),
    ...(isUpToDate && { 'stream-up-to-date': 'true', ...endHeaders(topic.status) }),
  }
}
