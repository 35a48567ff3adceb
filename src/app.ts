/** Composes the hub: as a plugin for Fastify applications, and as an application of its own. */
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyPluginCallback,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import fp from 'fastify-plugin'
import { acceptFirst } from './server/accept-burst.js'
import type { Authenticate } from './auth/principal-input.js'
import { OriginList } from './model/origin-list.js'
import { clientErrorHandler } from './server/client-error.js'
import { inviteLater } from './server/expect-continue.js'
import type { EventLog } from './log/log.js'
import { missingMembers } from './log/own-log.js'
import { quote } from './model/quote.js'
import { TOPIC_MAX_LENGTH } from './model/topic.js'
import { REQUEST_TIMEOUTS, type RequestTimeouts } from './server/body-timeout.js'
import auth from './plugins/auth.js'
import bodies from './plugins/bodies.js'
import webConsole from './plugins/console.js'
import cors, { corsHeaders, preflightHeaders } from './plugins/cors.js'
import draining from './plugins/draining.js'
import encapsulation from './plugins/encapsulation.js'
import errorHandling, { sendProblem, toProblem } from './plugins/errors.js'
import eventStream from './plugins/event-stream.js'
import forwardedFor from './plugins/forwarded-for.js'
import hostHeader from './plugins/host-header.js'
import hub from './plugins/hub.js'
import limits from './plugins/limits.js'
import mount, { routerOptionsOf } from './plugins/mount.js'
import noStore from './plugins/no-store.js'
import publicHub from './plugins/public-hub.js'
import { describeNative, nativeSockets } from './server/native.js'
import { NO_STORE } from './server/no-store.js'
import pipelining from './plugins/pipelining.js'
import query from './plugins/query.js'
import { checks, preparation } from './plugins/request-steps.js'
import slowRequests, { closeAfter, isBodyUnderWay } from './plugins/slow-requests.js'
import unreadAnswers from './plugins/unread-answers.js'
import connections from './routes/connections.js'
import cursors from './routes/cursors.js'
import errors from './routes/errors.js'
import presence from './routes/presence.js'
import publish from './routes/publish.js'
import revocations from './routes/revocations.js'
import sessions from './routes/sessions.js'
import status from './routes/status.js'
import subscribe from './routes/subscribe.js'
import tickets from './routes/tickets.js'
import topics from './routes/topics.js'
import { SettingsError } from './model/settings-error.js'
import { checkTrustProxy, resolveSettings, type Settings, type TrustProxy } from './settings.js'

/** The place of the events: an address as in the settings, or a log of the application's own, which the hub closes. */
interface LogOption {
  log?: Settings['log'] | EventLog | undefined
}

/** The settings as options. Each is optional. */
type SettingsOptions = Omit<Partial<Settings>, 'log'> & LogOption

/** The options of the plugin. One of the keys for tokens is required; every other option has a default. */
export type FanfareOptions = SettingsOptions & {
  /** The path below which the hub's routes are, such as `/realtime`. */
  prefix?: string
  /** The application's own login. It returns the principal of a request that has no token. */
  authenticate?: Authenticate | undefined
}

/** Options for the hub's own application. */
interface OwnOptions {
  /** Whether the application consists of the hub only. */
  ownsRoot?: boolean
  timeouts?: RequestTimeouts
}

/**
 * The hub as a plugin. It decorates the application with `hub`, and serves the hub's routes below `prefix`.
 * @throws SettingsError if an option is unknown or invalid, if there is no key, or if the scope already has a hub
 */
export const fanfare: FastifyPluginCallback<FanfareOptions> = fp<FanfareOptions & OwnOptions>(
  async (app, options) => {
    const {
      prefix: given = '',
      authenticate,
      ownsRoot = false,
      timeouts: { body: bodyTimeout } = REQUEST_TIMEOUTS,
      ...rest
    } = options
    const { settings, log } = resolveOptions(rest)
    if (typeof given !== 'string')
      throw new SettingsError(`The option prefix: ${quote(given)} must be a path such as "/realtime".`)
    if (authenticate !== undefined && typeof authenticate !== 'function') {
      throw new SettingsError(`The option authenticate: ${quote(authenticate)} must be a function of the request.`)
    }
    const prefix = given.replace(/\/+$/, '')
    const hasPlace = ownsRoot || prefix !== '' // otherwise `/` and requests without a route belong to the application
    if (Object.hasOwn(app, 'hub')) {
      throw new SettingsError(
        'The application already has a decorator "hub": register another hub in a scope of its own.',
      )
    }
    warnOfShortParams(app)
    const sockets = nativeSockets(settings.nativeSockets)
    const native = sockets.paths
    await app.register(hub, { ...settings, native, ownLog: log })
    app.log.info(...describeNative(sockets, ownsRoot)) // a start that fails logs only its reason
    await app.register(publicHub, settings)
    await app.register(
      async (scope) => {
        await scope.register(encapsulation, { embedded: !ownsRoot })
        await scope.register(mount)
        await scope.register(pipelining)
        await scope.register(preparation)
        await scope.register(noStore)
        await scope.register(forwardedFor)
        await scope.register(eventStream, { ...settings, native })
        await scope.register(errorHandling, { handleNotFound: hasPlace })
        await scope.register(cors, settings)
        await scope.register(checks)
        if (ownsRoot) await scope.register(hostHeader)
        await scope.register(draining)
        await scope.register(slowRequests, { bodyTimeout })
        await scope.register(unreadAnswers, { ...settings, native })
        await scope.register(bodies, { bodyTimeout })
        await scope.register(auth, { ...settings, authenticate })
        await scope.register(query, settings)
        await scope.register(limits, settings)
        await scope.register(publish, settings)
        await scope.register(subscribe, settings)
        await scope.register(connections)
        await scope.register(cursors)
        await scope.register(presence)
        await scope.register(sessions, settings)
        await scope.register(tickets)
        await scope.register(revocations)
        await scope.register(topics)
        await scope.register(status)
        await scope.register(errors)
        if (rest.console ?? hasPlace) await scope.register(webConsole)
      },
      { prefix },
    )
  },
  { name: 'fanfare', fastify: '5.x' },
)

/**
 * Separates the settings from a log of the application's own.
 * @throws SettingsError if an option is unknown or invalid
 */
function resolveOptions({ log, ...rest }: SettingsOptions): { settings: Settings; log: EventLog | undefined } {
  if (!isObject(log)) return { settings: resolveSettings(log === undefined ? rest : { ...rest, log }), log: undefined }
  const missing = missingMembers(log)
  if (missing.length > 0)
    throw new SettingsError(
      `The option log: an object must be a log (EventLog of fanfare/log), and this one lacks ${missing.join(', ')}.`,
    )
  return { settings: resolveSettings(rest), log }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** The longest topic, each of its characters percent-encoded. */
const MAX_PARAM_LENGTH = 3 * TOPIC_MAX_LENGTH
/** Fastify's default for `maxParamLength`. */
const DEFAULT_MAX_PARAM_LENGTH = 100

/** The settings of the hub's own application. */
export type AppSettings = SettingsOptions & { trustProxy?: TrustProxy; /** For tests. */ timeouts?: RequestTimeouts }

/**
 * Builds the hub as an application of its own.
 * @throws SettingsError if an option is unknown or invalid, or if there is no key
 */
export async function buildApp(
  { trustProxy: trusted = false, timeouts = REQUEST_TIMEOUTS, ...settings }: AppSettings,
  logger: FastifyBaseLogger | false = false,
): Promise<FastifyInstance> {
  const { corsOrigins, nativeSockets: setting } = resolveOptions(settings).settings
  const listed = new OriginList(corsOrigins)
  const trustProxy = checkTrustProxy(trusted)
  const app = Fastify({
    ...(logger ? { loggerInstance: logger } : { logger }),
    // two log lines per request cost more than a publish; the hub logs refusals itself
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: typeof trustProxy === 'number' ? (_address: string, hop: number) => hop < trustProxy : trustProxy,
    return503OnClosing: false, // the hub's own refusals name the reason
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // Bodies have their own timeout, since an upload may last for days. plugins/host-header answers a missing Host with
    // problem details; Node's own refusal has no body.
    http: { headersTimeout: timeouts.head, connectionsCheckingInterval: timeouts.head / 3, requireHostHeader: false },
    frameworkErrors: frameworkErrorHandler(listed, timeouts.body),
    clientErrorHandler: clientErrorHandler((origin) => corsHeaders(listed, origin)),
  })
  if (nativeSockets(setting).paths.acceptBurst) acceptFirst(app.server)
  inviteLater(app.server)
  await app.register(fanfare as FastifyPluginCallback<FanfareOptions & OwnOptions>, {
    ...settings,
    ownsRoot: true,
    timeouts,
  })
  return app
}

/** Warns if the router of the application refuses long topics before they reach the hub. */
function warnOfShortParams(app: FastifyInstance): void {
  const { maxParamLength: longest = DEFAULT_MAX_PARAM_LENGTH } = routerOptionsOf(app)
  if (longest < TOPIC_MAX_LENGTH)
    app.log.warn(
      `the application's router refuses topics of more than ${longest} characters: set Fastify's routerOptions.maxParamLength to ${MAX_PARAM_LENGTH}`,
    )
}

/**
 * Returns the handler for URLs that the router cannot parse. Such requests reach neither hooks nor the error handler.
 */
function frameworkErrorHandler(listed: OriginList, bodyTimeout: number) {
  return (err: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    if (isBodyUnderWay(request)) closeAfter(request, reply, bodyTimeout)
    const preflight = preflightHeaders(listed, request)
    if (preflight)
      return void reply
        .code(204)
        .headers({ ...NO_STORE, ...preflight })
        .send()
    reply.headers({ ...NO_STORE, ...corsHeaders(listed, request.headers.origin) })
    void sendProblem(toProblem(err), '', request, reply)
  }
}
