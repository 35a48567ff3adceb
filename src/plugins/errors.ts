/** Answers every refusal as problem details, or, on a stream and where it may pass, so that a browser comes back. */
import accepts from 'accepts'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { codeForStatus, Problem, type ProblemCode, type ProblemDetail } from '../errors.js'
import { HubError } from '../hub/hub-error.js'
import { closeBlock, drawRetry } from '../hub/sse.js'
import { pathOf } from '../logger.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route answers with an event stream to whoever accepts one. */
    eventStream?: boolean
  }
}

/** What Fastify's own errors are called here. */
const CODES: Record<string, ProblemCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid-json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid-json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid-request',
}

export default fp<{ prefix: string }>(async (app, { prefix }) => {
  app.setErrorHandler((err: FastifyError, request, reply) => answer(toProblem(err), request, reply))
  app.setNotFoundHandler((request, reply) => {
    return answer(new Problem('not-found', `There is no ${request.method} ${pathOf(request)}.`), request, reply)
  })

  function answer(problem: Problem, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    log(problem, request)
    if (problem.isTemporary && request.routeOptions.config.eventStream && wantsStream(request)) {
      reply.endedEventStream(closeBlock('busy', drawRetry(true)))
      return reply
    }
    if (problem.retryAfter !== undefined) reply.header('retry-after', problem.retryAfter)
    if (problem.status === 401 || problem.code === 'not-granted') reply.header('www-authenticate', challenge(problem))
    return reply
      .code(problem.status)
      .type('application/problem+json')
      .serializer(JSON.stringify)
      .send(problem.toBody(prefix, request.id))
  }
}, { name: 'fanfare-errors', fastify: '5.x', dependencies: ['fanfare-event-stream'] })

/** Whether an event stream is what the client would be given. */
export function wantsStream(request: FastifyRequest): boolean {
  return accepts(request.raw).type(['text/event-stream', 'application/json']) === 'text/event-stream'
}

/** What any error is to the client. Words of an unexpected one stay in the log. */
export function toProblem(err: FastifyError): Problem {
  if (err instanceof Problem) return err
  if (err instanceof HubError) return fromHub(err)
  if (err.validation) {
    const where = err.validationContext ?? 'request'
    const errors = err.validation.map(({ instancePath, message }): ProblemDetail => ({ path: instancePath, message: message ?? 'is not valid' }))
    return new Problem('invalid-request', `The ${where === 'querystring' ? 'query' : where} is not as it should be: ${describe(errors)}`, { errors })
  }
  const status = err.statusCode ?? 500
  const code = CODES[err.code] ?? codeForStatus(status)
  if (status < 400 || status >= 500) return new Problem('internal-error', 'The request could not be carried out; the log of the hub says why.', {}, { cause: err })
  return new Problem(code, err.message)
}

function fromHub(err: HubError): Problem {
  if (err.code === 'hub-closed') return new Problem('draining', err.message)
  const errors = err.index === undefined ? {} : { errors: [{ path: `/events/${err.index}`, message: err.message }] }
  return new Problem(err.code, err.message, errors, { cause: err })
}

function describe(errors: ProblemDetail[]): string {
  const [first] = errors.filter(({ message }) => message !== 'schema is false') // what a member that is not known gives besides
  return first ? `${first.path === '' ? 'it' : first.path} ${first.message}.` : 'it has a member that is not known.'
}

/** RFC 6750, 3: what a client needs to be given access. */
function challenge(problem: Problem): string {
  if (problem.code === 'missing-token') return 'Bearer realm="fanfare"'
  const error = problem.status === 403 ? 'insufficient_scope' : 'invalid_token'
  return `Bearer realm="fanfare", error="${error}", error_description="${problem.title}"`
}

function log(problem: Problem, request: FastifyRequest): void {
  const { code, status } = problem
  const fields = { code, status, method: request.method, path: pathOf(request) }
  if (status >= 500 && !problem.isTemporary) request.log.error({ ...fields, err: problem.cause ?? problem }, 'request failed')
  else request.log.info({ ...fields, detail: problem.message }, 'request refused')
}
