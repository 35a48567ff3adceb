/** Answers every refusal as problem details, or, on a stream and where it may pass, so that a browser comes back. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { codeForStatus, Problem, reasonPhrase, type ProblemCode } from '../errors.js'
import { HubError } from '../model/hub-error.js'
import { closeBlock, drawRetry } from '../wire/sse.js'
import { pathOf, withoutTokens } from '../server/logger.js'
import { preferredType } from '../server/negotiation.js'
import { describeErrors, summarize } from '../schemas/validation.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route answers with an event stream to whoever accepts one. */
    eventStream?: boolean
  }
}

/** What Fastify's own errors are called here, and their words where Fastify has few. */
const FRAMEWORK_ERRORS: Record<string, [ProblemCode, string?]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [
    'body-too-large',
    'The body is larger than this route takes; FANFARE_MAX_EVENT_SIZE says how large an event may be.',
  ],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'unsupported-media-type',
    'The header "Content-Type" has to be application/json; for one event also text/plain, for many application/x-ndjson.',
  ],
  FST_ERR_BAD_URL: ['invalid-request', 'The path of the URL is not percent-encoded UTF-8.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['invalid-request'],
}

export interface ErrorsOptions {
  /** Whether the hub answers requests that no route takes: below a prefix, or where there is nothing but the hub. */
  handleNotFound: boolean
}

export default fp<ErrorsOptions>(
  async (app, { handleNotFound }) => {
    app.setErrorHandler((err: unknown, request, reply) => answer(withSearch(toProblem(err), request), request, reply))
    if (handleNotFound) {
      app.setNotFoundHandler((request, reply) => {
        const allowed = app.allowedMethods(request)
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
      if (problem.isTemporary && request.routeOptions.config.eventStream && wantsStream(request)) {
        reply.endedFanfareStream({}, request.method === 'HEAD' ? undefined : closeBlock('busy', drawRetry(true)))
        return reply
      }
      // Fastify closes after every body that is refused; the connection is good where the body has been read
      reply.removeHeader('connection')
      if (problem.code === 'unsupported-media-type' && request.headers['content-encoding'] !== undefined)
        reply.header('accept-encoding', 'identity') // RFC 9110, 15.5.16
      // a plugin of the application that limits requests says itself when they may come again
      if (problem.retryAfter !== undefined && !reply.hasHeader('retry-after'))
        reply.header('retry-after', problem.retryAfter)
      if (problem.status === 401 || problem.code === 'not-granted') reply.header('www-authenticate', challenge(problem))
      return sendProblem(problem, app.mountPath(request), request, reply)
    }
  },
  { name: 'fanfare-errors', fastify: '5.x', dependencies: ['fanfare-event-stream', 'fanfare-mount'] },
)

/**
 * Answers with a problem. It is serialized here: what is a string goes past the hooks and serializers of the
 * application.
 * @param base what the URI of the problem's type starts with
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

/** Whether an event stream is what the client would be given. */
export function wantsStream(request: FastifyRequest): boolean {
  return preferredType(request) === 'text/event-stream'
}

/** Returns what any error is to the client. The words of an unexpected one stay in the log. */
export function toProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown
  if (thrown instanceof HubError) return fromHub(thrown)
  const err = (thrown ?? {}) as Partial<FastifyError> // hooks of an application may throw anything
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
  const [code, words] = FRAMEWORK_ERRORS[err.code ?? ''] ?? [codeForStatus(status)]
  if (status < 400 || status >= 500)
    return new Problem(
      'internal-error',
      'The request could not be carried out; the log of the hub says why.',
      {},
      { cause: thrown },
    )
  return new Problem(code, words ?? err.message ?? reasonPhrase(status))
}

/** Whoever is refused is told where their token was found, or where it was looked for. */
function withSearch(problem: Problem, { fanfareToken }: FastifyRequest): Problem {
  if (problem.code === 'missing-token' && fanfareToken?.refusal) problem = fanfareToken.refusal
  if (!fanfareToken || (problem.status !== 401 && problem.status !== 403)) return problem
  return new Problem(problem.code, `${problem.message} ${fanfareToken.words}`, problem.extensions, {
    cause: problem.cause,
  })
}

function fromHub(err: HubError): Problem {
  if (err.code === 'hub-closed') return new Problem('draining', err.message)
  const errors = err.index === undefined ? {} : { errors: [{ path: `/events/${err.index}`, message: err.message }] }
  return new Problem(err.code, err.message, errors, { cause: err })
}

/** RFC 6750, 3: what a client needs to be given access. */
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
