/** The server of a port that serves only the metrics, for networks that keep Prometheus apart from subscribers. */
import Fastify, {
  LogController,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import { Problem } from '../errors.js'
import { clientErrorHandler } from '../server/client-error.js'
import { NO_STORE } from '../server/no-store.js'
import { pathOf } from '../server/logger.js'
import { sendProblem, toProblem } from './errors.js'

/** The time limit for receiving a request, in milliseconds. The requests of Prometheus are short. */
const TIMEOUT = 15_000

/** The only route, and its methods. */
const PATH = '/metrics'
const METHODS = 'GET, HEAD'

/** Creates the server, without its route. */
export function createMetricsServer({ log }: Pick<FastifyInstance, 'log'>): FastifyInstance {
  const server = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    return503OnClosing: false,
    bodyLimit: 1, // requests have no body
    requestTimeout: TIMEOUT,
    frameworkErrors: refuse,
    clientErrorHandler: clientErrorHandler(
      () => ({}),
      () => undefined, // the metrics count only the refusals of the hub
    ),
    http: { headersTimeout: TIMEOUT, connectionsCheckingInterval: TIMEOUT / 3 },
  })
  // before Fastify reads the body: a refused body would hide that the method is not allowed
  server.addHook('onRequest', async (request, reply) => {
    reply.headers(NO_STORE)
    requireRoute(request, reply)
  })
  server.setNotFoundHandler(() => undefined) // `requireRoute` has refused the request
  server.setErrorHandler((err, request, reply) => {
    const problem = toProblem(err)
    if (problem.status >= 500) request.log.error({ err }, 'the metrics could not be read')
    return sendProblem(problem, '', request, reply)
  })
  return server
}

/** Refuses a URL that the router cannot parse. */
function refuse(err: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  void sendProblem(toProblem(err), '', request, reply.headers(NO_STORE))
}

/** @throws Problem `not-found`, `method-not-allowed` */
function requireRoute(request: FastifyRequest, reply: FastifyReply): void {
  if (!request.is404) return
  const path = pathOf(request)
  if (path !== PATH) throw new Problem('not-found', `This port has no ${path}: it has ${PATH}.`)
  reply.header('allow', METHODS)
  throw new Problem('method-not-allowed', `${PATH} takes ${METHODS}, not ${request.method}.`)
}
