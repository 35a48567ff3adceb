/**
 * How bodies are read: bytes that are not UTF-8 are refused, where Node would replace them without a word. What looks like
 * an attack on prototypes is not: nothing here merges objects, and an event's data may be any JSON value.
 */
import { isUtf8 } from 'node:buffer'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../errors.js'

export default fp(async (app) => {
  app.removeAllContentTypeParsers()

  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    try {
      done(null, JSON.parse(decode(request, body)))
    } catch (err) {
      done(err instanceof Problem ? err : new Problem('invalid-json', `The body is not JSON: ${err instanceof Error ? err.message : String(err)}.`))
    }
  })

  app.addContentTypeParser('text/plain', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    try {
      done(null, decode(request, body))
    } catch (err) {
      done(err as Problem)
    }
  })

  // read by the route, as it comes
  app.addContentTypeParser('application/x-ndjson', (_request, body, done) => done(null, body))
}, { name: 'fanfare-bodies', fastify: '5.x' })

function decode(request: FastifyRequest, body: Buffer): string {
  const [, charset] = /;\s*charset="?([^\s";]+)/i.exec(request.headers['content-type'] ?? '') ?? []
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new Problem('unsupported-media-type', `The body is said to be in ${charset}; send UTF-8.`)
  }
  if (!isUtf8(body)) throw new Problem('invalid-encoding', 'The body has bytes that are not UTF-8.')
  return body.toString()
}
