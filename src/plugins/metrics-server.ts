/** The server of a port that has the metrics only, for networks that keep Prometheus apart from subscribers. */
import Fastify, { LogController, type FastifyInstance } from 'fastify'
import { Problem } from '../errors.js'
import { NO_STORE } from '../server/no-store.js'
import { pathOf } from '../server/logger.js'
import { sendProblem, toProblem } from './errors.js'

/** The time for a request, in milliseconds: Prometheus sends short ones. */
const TIMEOUT = 15_000

/** Creates the server, without its route. */
export function createMetricsServer({ log }: Pick<FastifyInstance, 'log'>): FastifyInstance {
  const server = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    return503OnClosing: false,
    bodyLimit: 1, // requests have no body
    requestTimeout: TIMEOUT,
    http: { headersTimeout: TIMEOUT, connectionsCheckingInterval: TIMEOUT / 3 },
  })
  server.addHook('onRequest', async (_request, reply) => void reply.headers(NO_STORE))
  server.setNotFoundHandler((request, reply) =>
    sendProblem(new Problem('not-found', `This port has no ${pathOf(request)}: it has /metrics.`), '', request, reply),
  )
  server.setErrorHandler((err, request, reply) => {
    request.log.error({ err }, 'the metrics could not be read')
    return sendProblem(toProblem(err), '', request, reply)
  })
  return server
}
