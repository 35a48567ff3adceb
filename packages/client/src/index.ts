/** The exports of the package. */
export { connect, type Hub } from './connect.js'
export { HubError, type HubErrorOptions, type ProblemDetail } from './errors.js'
export type { EventsOptions } from './iterate.js'
export type {
  ConnectOptions,
  Gap,
  Handler,
  HubEvent,
  HubListeners,
  HubRequest,
  HubState,
  NewEvent,
  Present,
  Provided,
  PublishOptions,
  Receipt,
  SnapshotRequest,
  Stop,
  SubscribeOptions,
} from './types.js'
