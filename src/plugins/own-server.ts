/** The Fastify server of a hub that is an application of its own. */
import type { Http2SecureServer } from 'node:http2'
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyHttp2SecureOptions,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify'
import { OriginList } from '../model/origin-list.js'
import { acceptFirst } from '../server/accept-burst.js'
import type { RequestTimeouts } from '../server/body-timeout.js'
import { CertificateWatch, type TlsServer } from '../server/certificate-watch.js'
import type { Certificate, TlsFiles } from '../server/certificate.js'
import { clientErrorHandler } from '../server/client-error.js'
import { inviteLater } from '../server/expect-continue.js'
import { limitHttp1, tlsOptions } from '../server/tls-server.js'
import { nativeSockets } from '../server/native.js'
import { NO_STORE } from '../server/no-store.js'
import { RequestLogger } from '../server/request-logger.js'
import { checkTrustProxy, type Settings, type TrustProxy } from '../settings.js'
import { corsHeaders, preflightHeaders } from './cors.js'
import { sendProblem, toProblem } from './errors.js'
import { kRefused, noRefusals, type Refused } from './metrics.js'
import { MAX_PARAM_LENGTH } from './mount.js'
import { closeAfter, isBodyUnderWay } from './slow-requests.js'

interface Options {
  settings: Settings
  trustProxy: TrustProxy
  timeouts: RequestTimeouts
  logger: FastifyBaseLogger | false
  /** `undefined`: the server speaks plain HTTP/1.1. */
  certificate?: Certificate | undefined
}

/**
 * Creates the server, without the hub.
 * @throws SettingsError if `trustProxy` is invalid
 */
export function createServer({
  settings,
  trustProxy: trusted,
  timeouts,
  logger,
  certificate,
}: Options): FastifyInstance {
  const listed = new OriginList(settings.corsOrigins)
  const trustProxy = checkTrustProxy(trusted)
  const refused = noRefusals()
  const options: FastifyServerOptions = {
    ...(logger ? { loggerInstance: logger } : { logger }),
    childLoggerFactory: (parent, bindings, options) => new RequestLogger(parent, bindings, options),
    // two log lines per request cost more than a publish; the hub logs refusals itself
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: typeof trustProxy === 'number' ? (_address: string, hop: number) => hop < trustProxy : trustProxy,
    pluginTimeout: 0, // opening a log reads its history, or waits for NATS
    return503OnClosing: false, // the hub's own refusals name the reason
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: frameworkErrorHandler(listed, timeouts.body, refused),
    clientErrorHandler: clientErrorHandler(
      (origin) => corsHeaders(listed, origin),
      (code) => refused[code]++,
    ),
  }
  const app = certificate
    ? createTlsServer(options, certificate, timeouts)
    : createPlainServer(options, settings, timeouts)
  app.decorate(kRefused, refused)
  return app
}

function createPlainServer(
  options: FastifyServerOptions,
  settings: Settings,
  timeouts: RequestTimeouts,
): FastifyInstance {
  const app = Fastify({
    ...options,
    // Bodies have their own timeout, since an upload may last for days. plugins/host-header answers a missing Host with
    // problem details; Node's own refusal has no body.
    http: { headersTimeout: timeouts.head, connectionsCheckingInterval: timeouts.head / 3, requireHostHeader: false },
  })
  if (nativeSockets(settings.nativeSockets).paths.acceptBurst) acceptFirst(app.server)
  inviteLater(app.server)
  return app
}

/** Reads the certificate again when its files change, until the application closes. */
export function watchCertificate(app: FastifyInstance, files: TlsFiles, certificate: Certificate): void {
  const server = app.server as unknown as TlsServer
  const watch = new CertificateWatch({ server, files, certificate, log: app.log })
  app.addHook('onClose', async () => watch.stop())
}

/** Creates a server for HTTP/2 and HTTP/1.1 over TLS. The rest of the hub uses it as a server of HTTP/1.1. */
function createTlsServer(
  options: FastifyServerOptions,
  certificate: Certificate,
  timeouts: RequestTimeouts,
): FastifyInstance {
  const secure = { ...options, http2: true, https: tlsOptions(certificate, timeouts) } as unknown
  const app = Fastify(secure as FastifyHttp2SecureOptions<Http2SecureServer>)
  limitHttp1(app.server, timeouts)
  const own = app as unknown as FastifyInstance
  inviteLater(own.server)
  return own
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
