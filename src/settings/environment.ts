/** Reads the settings from environment variables. */
import { SettingsError } from '../model/settings-error.js'
import type { TlsFiles } from '../server/certificate.js'
import { overlap, socketPathOf } from '../server/listen-address.js'
import { SETTINGS, type ProcessOption, type Settings, type Values } from './list.js'
import { isSecret, suggestion } from './names.js'
import type { Setting } from './setting.js'

/** The settings of a process: the settings of its hub, its address and its logging. */
export interface ProcessSettings extends Pick<Values, Exclude<ProcessOption, 'tlsCert' | 'tlsKey'>> {
  /** The certificate for TLS. `undefined`: the hub speaks plain HTTP. */
  tls: TlsFiles | undefined
  hub: Settings
}

/**
 * Reads the settings from an environment. An empty variable counts as unset.
 * @throws SettingsError naming every invalid variable, and for each unknown variable the closest known name
 */
export function loadSettings(env: Record<string, string | undefined>): ProcessSettings {
  const faults = unknownIn(env)
  const values: Record<string, unknown> = {}
  for (const [option, { variable, default: fallback, parse }] of Object.entries<Setting<unknown>>(SETTINGS)) {
    const written = env[variable] === undefined || env[variable] === '' ? fallback : env[variable]
    try {
      values[option] = written === undefined ? undefined : parse(written)
    } catch (err) {
      faults.push(
        `${variable}=${isSecret(variable, written) ? '…' : JSON.stringify(written)}: ${(err as Error).message}`,
      )
    }
  }
  const { host, port, tlsCert, tlsKey, workers, logLevel, metricsPort, metricsHost, trustProxy, ...hub } =
    values as Values
  if (faults.length === 0) faults.push(...faultsOfTls(host, tlsCert, tlsKey), ...faultsOfMetrics(values as Values))
  if (faults.length > 0) throw new SettingsError(faults.join('\n'))
  const tls = tlsOf(tlsCert, tlsKey)
  return { host, port, tls, workers, logLevel, metricsPort, metricsHost, trustProxy, hub }
}

/** Returns the faults of the settings for TLS, each of which is valid alone. */
function faultsOfTls(host: string, cert: string | undefined, key: string | undefined): string[] {
  if (cert === undefined && key === undefined) return []
  if (cert === undefined) return ['FANFARE_TLS_KEY is set without FANFARE_TLS_CERT: set both for TLS, or neither']
  if (key === undefined) return ['FANFARE_TLS_CERT is set without FANFARE_TLS_KEY: set both for TLS, or neither']
  if (socketPathOf(host) === undefined) return []
  return ['HOST is a Unix socket, which FANFARE_TLS_CERT does not apply to: set HOST to an address, or leave out TLS']
}

/** Returns the faults of the settings for the port of the metrics, each of which is valid alone. */
function faultsOfMetrics({ host, port, metricsHost, metricsPort }: Values): string[] {
  if (metricsPort === undefined) {
    if (metricsHost === undefined) return []
    return ['FANFARE_METRICS_HOST is set without FANFARE_METRICS_PORT: set both, or neither']
  }
  const isSame = port === metricsPort && port !== 0 && socketPathOf(host) === undefined
  if (!isSame || !overlap(host, metricsHost ?? host)) return []
  return [
    `FANFARE_METRICS_PORT and PORT are both ${port}, and two servers cannot share a port: set FANFARE_METRICS_PORT to another port, or leave it out if the port of the hub may serve the metrics`,
  ]
}

function tlsOf(certFile: string | undefined, keyFile: string | undefined): TlsFiles | undefined {
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile }
}

/** Returns the description of every variable, for the docs. */
export function describeSettings(): {
  name: string
  default: string | undefined
  description: string
  expects: string
}[] {
  return Object.values<Setting<unknown>>(SETTINGS).map(({ variable, default: fallback, description, expects }) => ({
    name: variable,
    default: fallback,
    description,
    expects,
  }))
}

/** Variables of the commands that talk to a hub (`src/commands/hub-address.ts`). A hub ignores them. */
const OF_COMMANDS = ['FANFARE_URL', 'FANFARE_TOKEN']

/** Returns a fault for each variable that begins with `FANFARE_` and is not a setting. */
function unknownIn(env: Record<string, string | undefined>): string[] {
  const known = [...Object.values(SETTINGS).map(({ variable }) => variable), ...OF_COMMANDS]
  return Object.keys(env)
    .filter((name) => name.startsWith('FANFARE_') && !known.includes(name) && !isInjected(name, env))
    .map((name) => `${name} is unknown${suggestion(name, known)}`)
}

/** Whether Kubernetes has set the variable: it describes a Service named fanfare to every container in `FANFARE_*`. */
function isInjected(name: string, env: Record<string, string | undefined>): boolean {
  return env.FANFARE_SERVICE_HOST !== undefined && /^FANFARE_(SERVICE|PORT)(_|$)/.test(name)
}
