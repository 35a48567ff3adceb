/**
 * How bodies are read: only where a route takes one, and only as UTF-8, where Node would replace other bytes without a
 * word. What looks like an attack on prototypes is not: nothing here merges objects, and an event's data may be any
 * JSON value.
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
import { hasBody } from './slow-requests.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * What a route that publishes takes. `event`: one event, as a JSON value or a `PlainText`. `events`: many, as the
     * bytes of a JSON text or as the request itself, whose lines the route reads as they come. The route checks what it
     * is given.
     */
    publishes?: 'event' | 'events'
  }
}

/** A body of `text/plain`. */
export class PlainText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** What bodies other than events may have, in bytes: a hundred topics as long as they may be, twice. */
export const SMALL_BODY = 64 * 1024
/** A larger body is parsed in one turn of the event loop and used in the next, in bytes. */
const LARGE_BODY = 64 * 1024

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])

type Done = (err: Error | null, body?: unknown) => void
type Parse = (bytes: Buffer) => unknown

export default fp<{ bodyTimeout: number }>(
  async (app, { bodyTimeout }) => {
    app.removeAllContentTypeParsers()
    app.checkEach(checkHead)
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
      `The header "Expect" is ${quote(headers.expect ?? '')}, and may be 100-continue only: leave it out.`,
    )
  // Clients that name a type with every request do so also where there is no body to have it.
  if (headers['content-type'] !== undefined && !hasBody(request.raw) && !takesBody(request.routeOptions))
    delete headers['content-type']
}

function readJson(request: FastifyRequest, body: IncomingMessage, bodyTimeout: number, done: Done): void {
  const { routeOptions } = request
  if (!takesBody(routeOptions)) return done(null) // nobody reads it
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
    return done(new Problem('unsupported-media-type', 'A plain text is published with POST /topics/{topic}/events.'))
  const parse: Parse = (bytes) => new PlainText(bytes.toString())
  read(request, body, { limit: bodyLimit, bodyTimeout, parse }, done)
}

/** Gives the route the body itself, whose lines it reads as they come. */
function takeLines(request: FastifyRequest, body: IncomingMessage, done: Done): void {
  const { publishes } = request.routeOptions.config
  if (publishes === undefined) return done(notJson())
  if (publishes === 'event')
    return done(new Problem('unsupported-media-type', 'Many events, one a line, are published with POST /events.'))
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

/** How a body is read. */
interface Reading {
  /** The most bytes that it may have. */
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

/**
 * Asked only where it counts: Fastify puts the options together for each who asks, which on the way of a publish costs
 * something.
 */
function takesBody({ config, schema }: Pick<FastifyRequest['routeOptions'], 'config' | 'schema'>): boolean {
  return config.publishes !== undefined || schema?.body !== undefined
}

/** Returns JSON without the byte order mark that it may begin with (RFC 8259, 8.1). */
export function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === BYTE_ORDER_MARK[0] && bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)
    ? bytes.subarray(BYTE_ORDER_MARK.length)
    : bytes
}

/**
 * Checks what a request says of the coding of its body, before it is read.
 * @throws Problem `unsupported-media-type`
 */
function requireUtf8({ headers }: FastifyRequest): void {
  const coding = headers['content-encoding']
  if (coding !== undefined && !/^\s*(?:identity)?\s*$/i.test(coding)) {
    throw new Problem(
      'unsupported-media-type',
      `The body is said to be encoded as ${quote(coding)} (Content-Encoding); send it as it is.`,
    )
  }
  const [, charset] = /;\s*charset="?([^\s";]+)/i.exec(headers['content-type'] ?? '') ?? []
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new Problem('unsupported-media-type', `The body is said to be in ${charset}; send UTF-8.`)
  }
}

function bodyTooDeep(): Problem {
  return new Problem('invalid-request', `The body is nested deeper than ${MAX_DEPTH} levels of arrays and objects.`)
}

function notJson(): Problem {
  return new Problem('unsupported-media-type', 'The header "Content-Type" has to be application/json.')
}

function unknownType(): Problem {
  return new Problem(
    'unsupported-media-type',
    'The header "Content-Type" has to be application/json; for one event also text/plain, for many application/x-ndjson.',
  )
}
