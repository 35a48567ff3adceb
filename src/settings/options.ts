/** Reads the settings from the options of an application that embeds the hub. */
import { quote } from '../model/quote.js'
import { SettingsError } from '../model/settings-error.js'
import { loadSettings } from './environment.js'
import { HUB_OPTIONS, SETTINGS, type Settings } from './list.js'
import { isSecret, suggestion } from './names.js'
import { KINDS, type Setting } from './setting.js'
import type { TrustProxy } from './trust-proxy.js'

/**
 * Returns the settings of an embedded hub: the given options, and the defaults for the rest.
 * @param given each option as a value, or as a string in the form of the environment variable
 * @throws SettingsError naming the option that is invalid or unknown
 */
export function resolveSettings(given: Partial<Settings>): Settings {
  const settings: Record<string, unknown> = { ...loadSettings({}).hub }
  for (const [option, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (!isOption(option)) throw new SettingsError(`The option ${option} is unknown${suggestion(option, HUB_OPTIONS)}`)
    settings[option] = checkOption(option, value)
  }
  const resolved = settings as unknown as Settings
  if ([resolved.jwtSecret, resolved.jwtPublicKey, resolved.jwksUrl].filter((key) => key !== undefined).length > 1) {
    throw new SettingsError(
      'More than one key to verify tokens is set: set one of FANFARE_JWT_SECRET, FANFARE_JWT_PUBLIC_KEY and FANFARE_JWKS_URL (as a plugin: jwtSecret, jwtPublicKey and jwksUrl).',
    )
  }
  return resolved
}

/**
 * Checks the option `trustProxy` of an application that is built with `buildApp`.
 * @throws SettingsError naming the fault
 */
export function checkTrustProxy(given: TrustProxy): TrustProxy {
  try {
    return SETTINGS.trustProxy.parse(String(given))
  } catch (err) {
    throw new SettingsError(`The option trustProxy: ${quote(given)} ${(err as Error).message}`)
  }
}

function isOption(name: string): name is keyof Settings {
  return (HUB_OPTIONS as readonly string[]).includes(name)
}

function checkOption(option: keyof Settings, value: unknown): unknown {
  const setting: Setting<unknown> = SETTINGS[option]
  const { variable, kind, expects } = setting
  const what = isSecret(variable, value) ? 'it' : quote(value)
  if (typeof value !== 'string' && !(kind && KINDS[kind][1](value))) {
    const expected = kind ? `${KINDS[kind][0]}, or a string as in the environment: ${expects}` : `a string: ${expects}`
    throw new SettingsError(`The option ${option}: ${what} must be ${expected}`)
  }
  try {
    return setting.parse(typeof value === 'string' ? value : setting.print(value))
  } catch (err) {
    throw new SettingsError(`The option ${option}: ${what} ${(err as Error).message}`)
  }
}
