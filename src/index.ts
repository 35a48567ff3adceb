/** What the package `fanfare` offers to Fastify applications. */
import { fanfare } from './app.js'
import './plugins/hub.js' // declares `app.hub`

export default fanfare
export { buildApp, type FanfareOptions } from './app.js'
export { Hub, type Receipt } from './hub/hub.js'
export { HubError, type HubErrorCode } from './model/hub-error.js'
export type { EventInput } from './model/event.js'
export { SettingsError } from './model/settings-error.js'
export { loadSettings, type ProcessSettings, type Settings } from './settings.js'
