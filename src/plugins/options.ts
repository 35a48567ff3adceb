/** The options of the plugin `fanfare`: the settings, and the values that only an application can pass. */
import type { FastifyInstance } from 'fastify'
import type { Authenticate } from '../auth/principal-input.js'
import type { Cluster } from '../cluster/cluster.js'
import type { EventLog } from '../log/log.js'
import { missingMembers } from '../log/own-log.js'
import { quote } from '../model/quote.js'
import { SettingsError } from '../model/settings-error.js'
import { REQUEST_TIMEOUTS, type RequestTimeouts } from '../server/body-timeout.js'
import { resolveSettings, type Settings } from '../settings.js'
import type { WorkerIdentity } from './metrics.js'

/**
 * Where the hub keeps its events: an address as in the settings, or a log of the application's own, which the hub
 * closes.
 */
interface LogOption {
  log?: Settings['log'] | EventLog | undefined
}

/** The settings as options. Each is optional. */
export type SettingsOptions = Omit<Partial<Settings>, 'log'> & LogOption

/** The options of the plugin. One of the keys for tokens is required; every other option has a default. */
export type FanfareOptions = SettingsOptions & {
  /** The path below which the hub's routes are, such as `/realtime`. */
  prefix?: string
  /** The application's own login. It returns the principal of a request that has no token. */
  authenticate?: Authenticate | undefined
}

/** Options for the hub's own application. */
export interface OwnOptions {
  /** Whether the application consists of the hub only. */
  ownsRoot?: boolean
  timeouts?: RequestTimeouts
  /** The processes that serve an own `log`. */
  cluster?: Cluster | undefined
  /** The process of a hub with `FANFARE_WORKERS`. */
  worker?: WorkerIdentity | undefined
}

/** The checked options of the plugin. */
export interface CheckedOptions extends Pick<FanfareOptions, 'authenticate'> {
  settings: Settings
  /** A log of the application's own, instead of the one that the settings name. */
  ownLog: EventLog | undefined
  /** The processes that serve `ownLog`; `undefined`: this process alone. */
  ownCluster: Cluster | undefined
  /** The path below which the hub's routes are, without a slash at the end. */
  prefix: string
  ownsRoot: boolean
  /** Whether `/` and requests without a route belong to the hub. Otherwise they belong to the application. */
  ownsFallback: boolean
  hasConsole: boolean
  hasMetrics: boolean
  /** Whether the OpenAPI document and its page are served. */
  hasDocs: boolean
  worker: WorkerIdentity | undefined
  /** In milliseconds. */
  bodyTimeout: number
}

/**
 * Checks the options of the plugin.
 * @throws SettingsError if an option is unknown or invalid, or if the scope already has a hub
 */
export function readOptions(app: FastifyInstance, options: FanfareOptions & OwnOptions): CheckedOptions {
  const {
    prefix: given = '',
    authenticate,
    ownsRoot = false,
    timeouts = REQUEST_TIMEOUTS,
    cluster,
    worker,
    ...rest
  } = options
  const { settings, ownLog } = resolveOptions(rest)
  if (typeof given !== 'string')
    throw new SettingsError(`The option prefix: ${quote(given)} must be a path such as "/realtime".`)
  if (authenticate !== undefined && typeof authenticate !== 'function')
    throw new SettingsError(`The option authenticate: ${quote(authenticate)} must be a function of the request.`)
  if (Object.hasOwn(app, 'hub'))
    throw new SettingsError(
      'The application already has a decorator "hub": register another hub in a scope of its own.',
    )
  const prefix = given.replace(/\/+$/, '')
  const ownsFallback = ownsRoot || prefix !== ''
  const hasConsole = rest.console === undefined ? ownsFallback : settings.console
  const hasMetrics = rest.metrics === undefined ? ownsFallback : settings.metrics
  const hasDocs = rest.docs === undefined ? ownsFallback : settings.docs
  return {
    settings,
    ownLog,
    ownCluster: cluster,
    prefix,
    authenticate,
    ownsRoot,
    ownsFallback,
    hasConsole,
    hasMetrics,
    hasDocs,
    worker,
    bodyTimeout: timeouts.body,
  }
}

/**
 * Separates the settings from a log of the application's own.
 * @throws SettingsError if an option is unknown or invalid
 */
export function resolveOptions({ log, ...rest }: SettingsOptions): Pick<CheckedOptions, 'settings' | 'ownLog'> {
  if (!isObject(log))
    return { settings: resolveSettings(log === undefined ? rest : { ...rest, log }), ownLog: undefined }
  const missing = missingMembers(log)
  if (missing.length > 0)
    throw new SettingsError(
      `The option log: an object must be a log (EventLog of fanfare/log), and this one lacks ${missing.join(', ')}.`,
    )
  return { settings: resolveSettings(rest), ownLog: log }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
