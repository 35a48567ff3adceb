/**
 * How bodies are read: bytes that are not UTF-8 are refused, where Node would replace them without a word. What looks like
 * an attack on prototypes is not: nothing here merges objects, and an event's data may be any JSON value.
 */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../errors.js'
import { readBody, tooLarge } from '../patience.js'

export default fp<{ patience: number }>(async (app, { patience }) => {
  app.removeAllContentTypeParsers()

  app.addContentTypeParser('application/json', (request, body, done) => read(request, body, done, (text) => {
    try {
      return JSON.parse(text) as unknown
    } catch (err) {
      throw new Problem('invalid-json', `The body is not JSON: ${err instanceof Error ? err.message : String(err)}.`)
    }
  }))

  app.addContentTypeParser('text/plain', (request, body, done) => read(request, body, done, (text) => text))

  // read by the route, as it comes
  app.addContentTypeParser('application/x-ndjson', (_request, body, done) => done(null, body))

  function read(request: FastifyRequest, body: IncomingMessage, done: (err: Error | null, body?: unknown) => void, parse: (text: string) => unknown): void {
    const { bodyLimit } = request.routeOptions
    if (Number(request.headers['content-length']) > bodyLimit) return done(tooLarge(bodyLimit))
    readBody(body, bodyLimit, patience, (err, bytes) => {
      if (err) return done(err)
      let value: unknown
      try {
        value = parse(decode(request, bytes))
      } catch (err) {
        return done(err as Problem)
      }
      done(null, value)
    })
  }
}, { name: 'fanfare-bodies', fastify: '5.x' })

function decode(request: FastifyRequest, body: Buffer): string {
  const [, charset] = /;\s*charset="?([^\s";]+)/i.exec(request.headers['content-type'] ?? '') ?? []
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new Problem('unsupported-media-type', `The body is said to be in ${charset}; send UTF-8.`)
  }
  if (!isUtf8(body)) throw new Problem('invalid-encoding', 'The body has bytes that are not UTF-8.')
  return body.toString()
}
