/** The Fastify server of a hub that is an application of its own. */
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import { OriginList } from '../model/origin-list.js'
import { acceptFirst } from '../server/accept-burst.js'
import type { RequestTimeouts } from '../server/body-timeout.js'
import { clientErrorHandler } from '../server/client-error.js'
import { inviteLater } from '../server/expect-continue.js'
import { nativeSockets } from '../server/native.js'
import { NO_STORE } from '../server/no-store.js'
import { checkTrustProxy, type Settings, type TrustProxy } from '../settings.js'
import { corsHeaders, preflightHeaders } from './cors.js'
import { sendProblem, toProblem } from './errors.js'
import { noRefusals, type Refused } from './metrics.js'
import { MAX_PARAM_LENGTH } from './mount.js'
import { closeAfter, isBodyUnderWay } from './slow-requests.js'

interface Options {
  settings: Settings
  trustProxy: TrustProxy
  timeouts: RequestTimeouts
  logger: FastifyBaseLogger | false
}

/**
 * Creates the server, without the hub.
 * @throws SettingsError if `trustProxy` is invalid
 */
export function createServer({ settings, trustProxy: trusted, timeouts, logger }: Options): FastifyInstance {
  const listed = new OriginList(settings.corsOrigins)
  const trustProxy = checkTrustProxy(trusted)
  const refused = noRefusals()
  const app = Fastify({
    ...(logger ? { loggerInstance: logger } : { logger }),
    // two log lines per request cost more than a publish; the hub logs refusals itself
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: typeof trustProxy === 'number' ? (_address: string, hop: number) => hop < trustProxy : trustProxy,
    pluginTimeout: 0, // opening a log reads its history, or waits for NATS
    return503OnClosing: false, // the hub's own refusals name the reason
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // Bodies have their own timeout, since an upload may last for days. plugins/host-header answers a missing Host with
    // problem details; Node's own refusal has no body.
    http: { headersTimeout: timeouts.head, connectionsCheckingInterval: timeouts.head / 3, requireHostHeader: false },
    frameworkErrors: frameworkErrorHandler(listed, timeouts.body, refused),
    clientErrorHandler: clientErrorHandler(
      (origin) => corsHeaders(listed, origin),
      (code) => refused[code]++,
    ),
  })
  if (nativeSockets(settings.nativeSockets).paths.acceptBurst) acceptFirst(app.server)
  inviteLater(app.server)
  app.decorate('fanfareRefused', refused)
  return app
}

/**
 * Returns the handler for URLs that the router cannot parse. Such requests reach neither hooks nor the error handler.
 */
function frameworkErrorHandler(listed: OriginList, bodyTimeout: number, refused: Refused) {
  return (err: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    if (isBodyUnderWay(request)) closeAfter(request, reply, bodyTimeout)
    const preflight = preflightHeaders(listed, request)
    if (preflight)
      return void reply
        .code(204)
        .headers({ ...NO_STORE, ...preflight })
        .send()
    reply.headers({ ...NO_STORE, ...corsHeaders(listed, request.headers.origin) })
    const problem = toProblem(err)
    refused[problem.code]++
    void sendProblem(problem, '', request, reply)
  }
}
