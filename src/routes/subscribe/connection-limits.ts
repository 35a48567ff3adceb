/** Limits the number of open streams: in total, per subject, and per address. */
import { Problem } from '../../errors.js'
import type { Hub } from '../../hub/hub.js'
import type { StreamIdentity } from '../../hub/stream.js'
import type { Settings } from '../../settings.js'

export type StreamLimits = Pick<Settings, 'maxConnections' | 'maxConnectionsPerSubject' | 'maxConnectionsPerAddress'>

/**
 * Checks that another stream may open now. Both refusals are temporary.
 * @throws Problem `draining`, or `too-many-connections` naming the setting
 */
export function requireFreeStream(
  { draining, connections }: Hub,
  limits: StreamLimits,
  { address, principal: { subject } }: Pick<StreamIdentity, 'address' | 'principal'>,
): void {
  if (draining) throw new Problem('draining', 'The hub is stopping: connect again, and another hub may answer.')
  const { maxConnections, maxConnectionsPerSubject, maxConnectionsPerAddress } = limits
  if (connections.size >= maxConnections)
    throw tooMany(`The hub has ${maxConnections} open streams`, 'FANFARE_MAX_CONNECTIONS')
  if (subject !== undefined && connections.ofSubject(subject) >= maxConnectionsPerSubject) {
    throw tooMany(
      `The subject of the token has ${maxConnectionsPerSubject} open streams`,
      'FANFARE_MAX_CONNECTIONS_PER_SUBJECT',
    )
  }
  if (maxConnectionsPerAddress > 0 && connections.fromAddress(address) >= maxConnectionsPerAddress) {
    throw tooMany(`This address has ${maxConnectionsPerAddress} open streams`, 'FANFARE_MAX_CONNECTIONS_PER_ADDRESS')
  }
}

function tooMany(current: string, setting: string): Problem {
  return new Problem('too-many-connections', `${current}, which is the limit (${setting}).`)
}
