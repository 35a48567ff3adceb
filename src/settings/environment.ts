/** The settings as variables of the environment. */
import { SettingsError } from '../model/settings-error.js'
import { SETTINGS, type ProcessOption, type Settings, type Values } from './list.js'
import { isSecret, suggestion } from './names.js'
import type { Setting } from './setting.js'

/** The settings of a process: those of its hub, and what it needs besides. */
export interface ProcessSettings extends Pick<Values, ProcessOption> {
  hub: Settings
}

/**
 * Reads the settings from an environment. An empty variable is as if it were not set.
 * @throws SettingsError naming every variable that is wrong, and the nearest name of one that is unknown
 */
export function loadSettings(env: Record<string, string | undefined>): ProcessSettings {
  const faults = unknownIn(env)
  const values: Record<string, unknown> = {}
  for (const [option, { variable, default: fallback, parse }] of Object.entries<Setting<unknown>>(SETTINGS)) {
    const written = env[variable] === undefined || env[variable] === '' ? fallback : env[variable]
    try {
      values[option] = written === undefined ? undefined : parse(written)
    } catch (err) {
      faults.push(`${variable}=${isSecret(variable) ? '…' : JSON.stringify(written)}: ${(err as Error).message}`)
    }
  }
  if (faults.length > 0) throw new SettingsError(faults.join('\n'))
  const { host, port, logLevel, trustProxy, ...hub } = values as Values
  return { host, port, logLevel, trustProxy, hub }
}

/** Describes every variable, for the docs. */
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

/** Names each variable that looks like a setting and is none. */
function unknownIn(env: Record<string, string | undefined>): string[] {
  const known = Object.values(SETTINGS).map(({ variable }) => variable)
  return Object.keys(env)
    .filter((name) => name.startsWith('FANFARE_') && !known.includes(name) && !isInjected(name, env))
    .map((name) => `${name} is unknown${suggestion(name, known)}`)
}

/** Kubernetes tells every container of a Service named fanfare by variables of its own. */
function isInjected(name: string, env: Record<string, string | undefined>): boolean {
  return env.FANFARE_SERVICE_HOST !== undefined && /^FANFARE_(SERVICE|PORT)(_|$)/.test(name)
}
