/** The operations of all routes. A test fails if a route is missing here. */
import type { Operations } from './operation.js'
import { access } from './operations/access.js'
import { connections } from './operations/connections.js'
import { cursors } from './operations/cursors.js'
import { hub } from './operations/hub.js'
import { publish } from './operations/publish.js'
import { subscribe } from './operations/subscribe.js'
import { topics } from './operations/topics.js'

export const OPERATIONS: Operations = {
  ...publish,
  ...subscribe,
  ...connections,
  ...cursors,
  ...topics,
  ...access,
  ...hub,
}
