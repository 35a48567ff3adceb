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

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What is published may also be a text, or many events, one a line. */
    publishes?: boolean
  }
}

export default fp<{ patience: number }>(async (app, { patience }) => {
  app.removeAllContentTypeParsers()

  // Clients that name a type with every request do so also where there is no body to have it.
  app.addHook('onRequest', (request, _reply, done) => {
    const { headers } = request
    const isEmpty = (headers['content-length'] ?? '0') === '0' && headers['transfer-encoding'] === undefined
    if (isEmpty && headers['content-type'] !== undefined && !takesBody(request)) delete headers['content-type']
    done()
  })

  app.addContentTypeParser('application/json', (request, body, done) => read(request, body, done, (text) => {
    try {
      return JSON.parse(text) as unknown
    } catch (err) {
      throw new Problem('invalid-json', `The body is not JSON: ${err instanceof Error ? err.message : String(err)}.`)
    }
  }))

  app.addContentTypeParser('text/plain', (request, body, done) => {
    if (!request.routeOptions.config.publishes) return done(notJson())
    read(request, body, done, (text) => text)
  })

  // read by the route, as it comes
  app.addContentTypeParser('application/x-ndjson', (request, body, done) => (request.routeOptions.config.publishes ? done(null, body) : done(notJson())))

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

/** Asked only where it counts: Fastify puts the options together for each who asks, which on the way of a publish costs something. */
function takesBody({ routeOptions: { config, schema } }: FastifyRequest): boolean {
  return config.publishes === true || schema?.body !== undefined
}

function notJson(): Problem {
  return new Problem('unsupported-media-type', 'The header "Content-Type" has to be application/json.')
}

function decode(request: FastifyRequest, body: Buffer): string {
  const [, charset] = /;\s*charset="?([^\s";]+)/i.exec(request.headers['content-type'] ?? '') ?? []
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new Problem('unsupported-media-type', `The body is said to be in ${charset}; send UTF-8.`)
  }
  if (!isUtf8(body)) throw new Problem('invalid-encoding', 'The body has bytes that are not UTF-8.')
  return body.toString()
}
