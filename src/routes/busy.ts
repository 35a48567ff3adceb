/** How many streams there may be: in all, of one subject, and from one address. */
import { Problem } from '../errors.js'
import type { Hub } from '../hub/hub.js'
import type { StreamIdentity } from '../hub/stream.js'
import type { Settings } from '../settings.js'

export type StreamLimits = Pick<Settings, 'maxConnections' | 'maxConnectionsPerSubject' | 'maxConnectionsPerAddress'>

/**
 * Checks that another stream can be opened now. What is refused here may pass later.
 * @throws Problem `draining`, or `too-many-connections` naming the setting
 */
export function refuseWhileBusy(
  { draining, connections }: Hub,
  limits: StreamLimits,
  { address, principal: { subject } }: Pick<StreamIdentity, 'address' | 'principal'>,
): void {
  if (draining) throw new Problem('draining', 'The hub is about to stop: connect again, and another will answer.')
  const { maxConnections, maxConnectionsPerSubject, maxConnectionsPerAddress } = limits
  if (connections.size >= maxConnections)
    throw tooMany(`There are ${maxConnections} streams`, 'FANFARE_MAX_CONNECTIONS')
  if (subject !== undefined && connections.ofSubject(subject) >= maxConnectionsPerSubject) {
    throw tooMany(`The token's subject has ${maxConnectionsPerSubject} streams`, 'FANFARE_MAX_CONNECTIONS_PER_SUBJECT')
  }
  if (maxConnectionsPerAddress > 0 && connections.fromAddress(address) >= maxConnectionsPerAddress) {
    throw tooMany(
      `There are ${maxConnectionsPerAddress} streams from this address`,
      'FANFARE_MAX_CONNECTIONS_PER_ADDRESS',
    )
  }
}

function tooMany(there: string, setting: string): Problem {
  return new Problem('too-many-connections', `${there}, as many as there may be (${setting}).`)
}
