/** The settings of a hub, as environment variables and as options of the plugin. */
export { describeSettings, loadSettings, type ProcessSettings } from './settings/environment.js'
export { hubOptions } from './settings/hub-options.js'
export type { Settings } from './settings/list.js'
export { checkTrustProxy, resolveSettings } from './settings/options.js'
export type { TrustProxy } from './settings/trust-proxy.js'
