/**
 * Reads the bodies of requests. A body is read only if its route takes one. Bytes that are not UTF-8 are refused: Node
 * would replace them silently. Members such as `__proto__` are allowed, since the hub never merges objects and the data
 * of an event may be any JSON value.
 */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { parseJson } from '../server/body-json.js'
import { Problem } from '../errors.js'
import { inviteBody, isExpectationUnmet } from '../server/expect-continue.js'
import { MAX_DEPTH, tooDeep } from '../model/json.js'
import { quote } from '../model/quote.js'
import { readBody, tooLarge } from '../server/body-timeout.js'
import { kCheckEach } from './request-steps.js'
import { hasBody } from './slow-requests.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * The body of a route that publishes. `event`: one event, parsed JSON or a `PlainText`. `events`: many events, the
     * bytes of a JSON text, or the request itself, whose lines the route reads as they arrive. `bytes`: the route has a
     * parser of its own. The route checks the body.
     */
    publishes?: 'event' | 'events' | 'bytes'
  }
}

/** A body of `text/plain`. */
export class PlainText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** The maximum size of bodies other than events, in bytes. It has room for 200 topics of the maximum length. */
export const SMALL_BODY = 64 * 1024
/** The minimum size of a large body, in bytes. Its handler runs in the turn of the event loop after the parsing. */
const LARGE_BODY = 64 * 1024

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])

type Done = (err: Error | null, body?: unknown) => void
type Parse = (bytes: Buffer) => unknown

export default fp<{ bodyTimeout: number }>(
  async (app, { bodyTimeout }) => {
    app.removeAllContentTypeParsers()
    app[kCheckEach](checkHead)
    const json = (request: FastifyRequest, body: IncomingMessage, done: Done) =>
      readJson(request, body, bodyTimeout, done)
    app.addContentTypeParser('application/json', json)
    app.addContentTypeParser(/^[^/;\s]+\/[^/;\s]+\+json(?:\s*;|$)/i, json) // RFC 6839, 3.1
    app.addContentTypeParser('text/plain', (request, body, done) => readText(request, body, bodyTimeout, done))
    app.addContentTypeParser(['application/x-ndjson', 'application/ndjson'], takeLines)
    app.addContentTypeParser('*', refuseType)
  },
  { name: 'fanfare-bodies', fastify: '5.x', dependencies: ['fanfare-slow-requests', 'fanfare-checks'] },
)

/** @throws Problem `expectation-failed` */
function checkHead(request: FastifyRequest): void {
  const { headers } = request
  if (isExpectationUnmet(request.raw))
    throw new Problem(
      'expectation-failed',
      `The header "Expect" is ${quote(headers.expect ?? '')}, but the hub supports only 100-continue: leave it out.`,
    )
  // Some clients send a content type with every request, even without a body.
  if (headers['content-type'] !== undefined && !hasBody(request.raw) && !takesBody(request.routeOptions))
    delete headers['content-type']
}

function readJson(request: FastifyRequest, body: IncomingMessage, bodyTimeout: number, done: Done): void {
  const { routeOptions } = request
  if (!takesBody(routeOptions)) return done(null)
  const {
    bodyLimit,
    config: { publishes },
  } = routeOptions
  const parse: Parse =
    publishes === 'events'
      ? (bytes) => bytes
      : (bytes) => parseJson(bytes, 'The body', publishes === undefined ? bodyTooDeep : tooDeep)
  read(request, body, { limit: bodyLimit, bodyTimeout, parse }, done)
}

function readText(request: FastifyRequest, body: IncomingMessage, bodyTimeout: number, done: Done): void {
  const {
    bodyLimit,
    config: { publishes },
  } = request.routeOptions
  if (publishes === undefined) return done(notJson())
  if (publishes === 'events')
    return done(new Problem('unsupported-media-type', 'Publish plain text with POST /topics/{topic}/events.'))
  const parse: Parse = (bytes) => new PlainText(bytes.toString())
  read(request, body, { limit: bodyLimit, bodyTimeout, parse }, done)
}

/** Passes the body to the route as a stream. */
function takeLines(request: FastifyRequest, body: IncomingMessage, done: Done): void {
  const { publishes } = request.routeOptions.config
  if (publishes === undefined) return done(notJson())
  if (publishes === 'event') return done(new Problem('unsupported-media-type', 'Publish NDJSON with POST /events.'))
  try {
    requireUtf8(request)
  } catch (err) {
    return done(err as Problem)
  }
  inviteBody(body)
  done(null, body)
}

function refuseType(request: FastifyRequest, _body: IncomingMessage, done: Done): void {
  const { publishes } = request.routeOptions.config
  done(request.is404 ? null : publishes === undefined ? notJson() : unknownType())
}

/** The limits of a body, and its parser. */
interface Reading {
  /** The maximum size in bytes. */
  limit: number
  /** In milliseconds. */
  bodyTimeout: number
  parse: Parse
}

function read(
  request: FastifyRequest,
  body: IncomingMessage,
  { limit, bodyTimeout, parse }: Reading,
  done: Done,
): void {
  try {
    requireUtf8(request)
    if (Number(request.headers['content-length']) > limit) throw tooLarge(limit)
  } catch (err) {
    return done(err as Problem)
  }
  inviteBody(body)
  readBody(body, limit, bodyTimeout, (err, bytes) => {
    if (err) return done(err)
    let value: unknown
    try {
      if (!isUtf8(bytes)) throw new Problem('invalid-encoding', 'The body has bytes that are not UTF-8.')
      value = parse(withoutMark(bytes))
    } catch (err) {
      return done(err as Problem)
    }
    if (bytes.length > LARGE_BODY) setImmediate(done, null, value)
    else done(null, value)
  })
}

/** Whether a route takes a body. Fastify assembles the options at each access, which a publish should avoid. */
function takesBody({ config, schema }: Pick<FastifyRequest['routeOptions'], 'config' | 'schema'>): boolean {
  return config.publishes !== undefined || schema?.body !== undefined
}

/** Removes a byte order mark from the start of a JSON text (RFC 8259, 8.1). */
export function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === BYTE_ORDER_MARK[0] && bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)
    ? bytes.subarray(BYTE_ORDER_MARK.length)
    : bytes
}

/**
 * Checks the headers for the encoding of a body, before the body is read.
 * @throws Problem `unsupported-media-type`
 */
function requireUtf8({ headers }: FastifyRequest): void {
  const coding = headers['content-encoding']
  if (coding !== undefined && !/^\s*(?:identity)?\s*$/i.test(coding)) {
    throw new Problem(
      'unsupported-media-type',
      `The header "Content-Encoding" is ${quote(coding)}, which the hub does not support: send the body without encoding.`,
    )
  }
  const [, charset] = /;\s*charset="?([^\s";]+)/i.exec(headers['content-type'] ?? '') ?? []
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new Problem(
      'unsupported-media-type',
      `The header "Content-Type" has the charset ${charset}: send the body as UTF-8.`,
    )
  }
}

function bodyTooDeep(): Problem {
  return new Problem('invalid-request', `The body is nested deeper than ${MAX_DEPTH} levels of arrays and objects.`)
}

function notJson(): Problem {
  return new Problem('unsupported-media-type', 'The header "Content-Type" must be application/json.')
}

function unknownType(): Problem {
  return new Problem(
    'unsupported-media-type',
    'The header "Content-Type" must be application/json, text/plain (one event) or application/x-ndjson (many events).',
  )
}
