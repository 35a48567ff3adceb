/** Reads the bodies of requests to finite topics: any content type, and bytes as they are. */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Problem } from '../../errors.js'
import { quote } from '../../model/quote.js'
import { inviteBody } from '../../server/expect-continue.js'
import { readBody, tooLarge } from '../../server/body-timeout.js'
import { header } from './request-headers.js'
import { isJson, isLines } from '../../model/media-type.js'

/** The maximum size of bodies, as multiples of the maximum size of a message. Larger ones are uploaded as they come. */
const JSON_BODY = 4
const BYTES_BODY = 64

/** Replaces the parsers of an application's scope. The body is a `Buffer`, or the request if it is a live upload. */
export function takeBodies(scope: FastifyInstance, { maxEventSize, bodyTimeout }: BodyLimits): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (request, body: IncomingMessage, done) => {
    try {
      requireIdentity(request)
      if (mayBeLiveUpload(request)) {
        inviteBody(body)
        return done(null, body)
      }
      const limit = bodyLimit(maxEventSize, isJson(request.headers['content-type'] ?? ''))
      if (Number(request.headers['content-length']) > limit) throw tooLarge(limit)
      inviteBody(body)
      readBody(body, limit, bodyTimeout, done)
    } catch (err) {
      done(err as Problem)
    }
  })
}

interface BodyLimits {
  /** The maximum size of a message, in bytes. */
  maxEventSize: number
  /** In milliseconds. */
  bodyTimeout: number
}

/**
 * Returns the maximum size of a body, in bytes.
 * @param maxEventSize the maximum size of a message, in bytes
 */
export function bodyLimit(maxEventSize: number, isJsonBody: boolean): number {
  return maxEventSize * (isJsonBody ? JSON_BODY : BYTES_BODY)
}

/** Whether the messages of a body are stored as they come: on request, and lines of JSON for a stream of JSON. */
export function isLiveUpload({ headers }: FastifyRequest, contentType: string): boolean {
  return header(headers, 'fanfare-upload') === 'live' || !isLines(contentType)
}

/**
 * Whether the route reads the body. It depends on the content type of the stream whether it stores lines as they come.
 * @throws Problem `invalid-request`
 */
function mayBeLiveUpload({ headers, method }: FastifyRequest): boolean {
  if (method !== 'POST') return false
  const upload = header(headers, 'fanfare-upload')
  if (upload !== undefined && upload !== 'live')
    throw new Problem('invalid-request', `The header "Fanfare-Upload" must be "live", not ${quote(upload)}.`)
  return upload === 'live' || isLines(headers['content-type'] ?? '')
}

/** @throws Problem `unsupported-media-type` for a body with a content encoding, which would be stored encoded */
function requireIdentity({ headers }: FastifyRequest): void {
  const coding = headers['content-encoding']
  if (coding === undefined || /^\s*(?:identity)?\s*$/i.test(coding)) return
  throw new Problem(
    'unsupported-media-type',
    `The header "Content-Encoding" is ${quote(coding)}, which the hub does not support: send the body without encoding.`,
  )
}
