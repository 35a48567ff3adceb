/**
 * Answers refusals with problem details. A temporary refusal of a stream is an event stream that ends at once, so that
 * a browser reconnects.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { codeForStatus, Problem, reasonPhrase, type ProblemCode } from '../errors.js'
import { HubError } from '../model/hub-error.js'
import type { RequestSpan, Traces } from '../observe/traces.js'
import { closeBlock, drawRetry } from '../wire/sse.js'
import { pathOf, withoutTokens } from '../server/logger.js'
import { preferredType } from '../server/negotiation.js'
import { describeErrors, summarize } from '../schemas/validation.js'
import { kSendEndedStream } from './event-stream.js'
import { kToken } from './found-token.js'
import { kRefused } from './metrics.js'
import { kAllowedMethods, kPublicPath } from './mount.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route answers with an event stream if the client accepts one. */
    eventStream?: boolean
    /** Whether a request is for an event stream; default: `eventStream`, and the client accepts one. */
    opensStream?: (request: FastifyRequest) => boolean
    /** Returns the span of a request; `undefined`: it has none. The parameters of the request may be invalid. */
    span?: (request: FastifyRequest) => RequestSpan | undefined
    /** Whether a request may have a ticket; default: only a request for an event stream. */
    takesTicket?: (request: FastifyRequest) => boolean
  }
}

/** The refusals for Fastify's own errors, with a detail where Fastify's message is too short. */
const FRAMEWORK_ERRORS: Record<string, [ProblemCode, string?]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [
    'body-too-large',
    'The body is larger than this route accepts. FANFARE_MAX_EVENT_SIZE limits the size of an event.',
  ],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'unsupported-media-type',
    'The header "Content-Type" must be application/json, text/plain (one event) or application/x-ndjson (many events).',
  ],
  FST_ERR_BAD_URL: ['invalid-request', 'The path of the URL is not percent-encoded UTF-8.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['invalid-request'],
}

/** The details of errors whose message is only logged, since the message may contain a secret. */
const LOGGED: Partial<Record<ProblemCode, string>> = {
  unavailable: 'The application cannot answer now. Its log has the error.',
  'internal-error': 'The hub failed to handle the request. Its log has the error.',
}

export interface ErrorsOptions {
  /** Whether the hub answers requests without a route: below a prefix, and in its own application. */
  handleNotFound: boolean
  traces: Traces
}

export default fp<ErrorsOptions>(
  async (app, { handleNotFound, traces }) => {
    app.setErrorHandler((err: unknown, request, reply) => {
      const problem = withSearch(toProblem(err), request)
      if (!traces.hasTold(err)) traceRefusal(traces, problem, request, reply)
      return answer(problem, request, reply)
    })
    if (handleNotFound) {
      app.setNotFoundHandler((request, reply) => {
        const allowed = app[kAllowedMethods](request)
        if (allowed.length === 0)
          return answer(new Problem('not-found', `There is no ${pathOf(request)}.`), request, reply)
        reply.header('allow', allowed.join(', '))
        return answer(
          new Problem('method-not-allowed', `${pathOf(request)} takes ${allowed.join(', ')}, not ${request.method}.`),
          request,
          reply,
        )
      })
    }

    function answer(problem: Problem, request: FastifyRequest, reply: FastifyReply): FastifyReply {
      log(problem, request)
      app[kRefused][problem.code]++
      if (problem.isTemporary && opensStream(request)) {
        reply[kSendEndedStream]({}, request.method === 'HEAD' ? undefined : closeBlock('busy', drawRetry(true)))
        return reply
      }
      // Fastify closes the connection after every refused body, even if the body was read
      reply.removeHeader('connection')
      if (problem.code === 'unsupported-media-type' && request.headers['content-encoding'] !== undefined)
        reply.header('accept-encoding', 'identity') // RFC 9110, 15.5.16
      // a rate limiter of the application may have set its own header
      if (problem.retryAfter !== undefined && !reply.hasHeader('retry-after'))
        reply.header('retry-after', problem.retryAfter)
      if (problem.status === 401 || problem.code === 'not-granted') reply.header('www-authenticate', challenge(problem))
      return sendProblem(problem, app[kPublicPath](request), request, reply)
    }
  },
  {
    name: 'fanfare-errors',
    fastify: '5.x',
    dependencies: ['fanfare-event-stream', 'fanfare-mount', 'fanfare-metrics'],
  },
)

/**
 * Answers with a problem. The body is a string, since hooks and serializers of the application could change an object.
 * @param base the prefix of the URI in the problem's `type`
 */
export function sendProblem(
  problem: Problem,
  base: string,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .serializer((body: string) => body)
    .send(JSON.stringify(problem.toBody(base, request.id)))
}

/** Creates the span of a request that was refused before its handler began a span. */
function traceRefusal(traces: Traces, problem: Problem, request: FastifyRequest, { elapsedTime }: FastifyReply): void {
  const span = request.routeOptions.config.span?.(request)
  if (span) traces.refuse(span, request.headers, problem, elapsedTime)
}

function opensStream(request: FastifyRequest): boolean {
  const { eventStream, opensStream } = request.routeOptions.config
  return opensStream ? opensStream(request) : eventStream === true && wantsStream(request)
}

/** Whether the client prefers an event stream. */
export function wantsStream(request: FastifyRequest): boolean {
  return preferredType(request) === 'text/event-stream'
}

/** Converts any thrown value into a problem. The message of an unexpected error is only logged. */
export function toProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown
  if (thrown instanceof HubError) return fromHub(thrown)
  const err = (thrown ?? {}) as Partial<FastifyError> // a hook of the application may throw anything
  if (err.validation) {
    const where = err.validationContext ?? 'request'
    const errors = describeErrors(err.validation)
    return new Problem(
      'invalid-request',
      `The ${where === 'querystring' ? 'query' : where} is invalid: ${summarize(errors)}`,
      { errors },
    )
  }
  const status = err.statusCode ?? 500
  const code = codeForStatus(status)
  const logged = LOGGED[code]
  if (logged !== undefined) return new Problem(code, logged, {}, { cause: thrown })
  const [own, words] = FRAMEWORK_ERRORS[err.code ?? ''] ?? [code]
  return new Problem(own, words ?? err.message ?? reasonPhrase(status))
}

/** Completes the detail of a 401 or 403: where the token was found, or where the hub looked for it. */
function withSearch(problem: Problem, { [kToken]: search }: FastifyRequest): Problem {
  if (problem.code === 'missing-token' && search?.refusal) problem = search.refusal
  const isAboutToken = problem.status === 401 || (problem.status === 403 && problem.code !== 'producer-fenced')
  if (!search || !isAboutToken) return problem
  return new Problem(problem.code, `${problem.message} ${search.words}`, problem.extensions, {
    cause: problem.cause,
  })
}

function fromHub(err: HubError): Problem {
  const { message, index, errors } = err
  const at = index === undefined ? '' : `/events/${index}`
  const faults = errors?.map((error) => ({ ...error, path: at + error.path })) ?? (at && [{ path: at, message }])
  return new Problem(problemOf(err), at === '' ? message : `${at}: ${message}`, faults ? { errors: faults } : {}, {
    cause: err,
  })
}

/** Returns the code with which the API answers an error of the hub. */
export function problemOf({ code }: HubError): ProblemCode {
  if (code === 'hub-closed') return 'draining'
  return code === 'append-conflict' ? 'unavailable' : code // the hub itself repeats such an append
}

/** Returns the header `WWW-Authenticate` (RFC 6750, 3). */
function challenge(problem: Problem): string {
  if (problem.code === 'missing-token') return 'Bearer realm="fanfare"'
  const error = problem.status === 403 ? 'insufficient_scope' : 'invalid_token'
  return `Bearer realm="fanfare", error="${error}", error_description="${problem.title}"`
}

function log(problem: Problem, request: FastifyRequest): void {
  const { code, status } = problem
  const fields = {
    code,
    status,
    method: request.method,
    path: withoutTokens(pathOf(request)),
    remoteAddress: request.ip,
  }
  if (status >= 500 && !problem.isTemporary)
    request.log.error({ ...fields, err: problem.cause ?? problem }, 'request failed')
  else request.log.info({ ...fields, detail: withoutTokens(problem.message) }, 'request refused')
}
