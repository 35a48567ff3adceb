/** The settings of a hub: variables of the environment, and the same as options for those who embed it. */
export { describeSettings, loadSettings, type ProcessSettings } from './settings/environment.js'
export type { Settings } from './settings/list.js'
export { checkTrustProxy, resolveSettings } from './settings/options.js'
export type { TrustProxy } from './settings/trust-proxy.js'
