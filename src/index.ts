/** The exports of the package `fanfare`, for Fastify applications. */
import { fanfare } from './app.js'
import './plugins/public-hub.js' // declares `app.hub`

export default fanfare
export { buildApp, type FanfareOptions } from './app.js'
export type { Authenticate, AuthenticatedPrincipal, PrincipalInput } from './auth/principal-input.js'
export type { IssueOptions } from './auth/token-issuer.js'
export type { EventGap, EventsOptions, HubEvent } from './hub/event-reader.js'
export type { Receipt } from './hub/publisher.js'
export type { TopicInfo } from './hub/topics.js'
export type { StreamInfo } from './hub/stream-info.js'
export type { LogStats } from './log/log.js'
export { HubError, type EventFault, type HubErrorCode } from './model/hub-error.js'
export type { EventInput } from './model/event.js'
export { SettingsError } from './model/settings-error.js'
export { loadSettings, type ProcessSettings, type Settings } from './settings.js'
export type { ConnectionsOptions, ConnectionsPage, FanfareConnections } from './plugins/public-connections.js'
export type { FanfareHub, PresentSubject } from './plugins/public-hub.js'
