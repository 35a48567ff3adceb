/** Limits the number of open streams: in this process, and per subject and per address in all processes. */
import { Problem } from '../../errors.js'
import type { StreamCounts } from '../../hub/cluster/all-connections.js'
import type { Hub } from '../../hub/hub.js'
import type { StreamIdentity } from '../../hub/stream.js'
import type { Settings } from '../../settings.js'

export type StreamLimits = Pick<Settings, 'maxConnections' | 'maxConnectionsPerSubject' | 'maxConnectionsPerAddress'>

type Identity = Pick<StreamIdentity, 'address' | 'principal'>

/** Counts the streams that other processes have of a subject, and from an address if that is limited. */
export function countElsewhere(
  hub: Hub,
  { maxConnectionsPerAddress }: StreamLimits,
  { address, principal: { subject } }: Identity,
): Promise<StreamCounts> {
  return hub.neighbours.connections.countElsewhere(subject, maxConnectionsPerAddress > 0 ? address : undefined)
}

/**
 * Checks that another stream may open now. Both refusals are temporary.
 * @param elsewhere the streams of the other processes
 * @throws Problem `draining`, or `too-many-connections` naming the setting
 */
export function requireFreeStream(
  { draining, connections }: Hub,
  limits: StreamLimits,
  { address, principal: { subject } }: Identity,
  elsewhere: StreamCounts,
): void {
  if (draining) throw new Problem('draining', 'The hub is stopping: connect again, and another hub may answer.')
  const { maxConnections, maxConnectionsPerSubject, maxConnectionsPerAddress } = limits
  if (connections.size >= maxConnections)
    throw tooMany(`This process has ${maxConnections} open streams`, 'FANFARE_MAX_CONNECTIONS')
  if (subject !== undefined && connections.ofSubject(subject) + elsewhere.ofSubject >= maxConnectionsPerSubject) {
    throw tooMany(
      `The subject of the token has ${maxConnectionsPerSubject} open streams`,
      'FANFARE_MAX_CONNECTIONS_PER_SUBJECT',
    )
  }
  const fromAddress = connections.fromAddress(address) + elsewhere.fromAddress
  if (maxConnectionsPerAddress > 0 && fromAddress >= maxConnectionsPerAddress)
    throw tooMany(`This address has ${maxConnectionsPerAddress} open streams`, 'FANFARE_MAX_CONNECTIONS_PER_ADDRESS')
}

function tooMany(current: string, setting: string): Problem {
  return new Problem('too-many-connections', `${current}, which is the limit (${setting}).`)
}
