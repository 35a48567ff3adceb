import type { Principal } from '../../src/model/principal.js'

/** A principal that may read and publish everything. */
export const anybody: Principal = {
  anonymous: false,
  subject: undefined,
  tokenId: undefined,
  expiresAt: undefined,
  admin: false,
  info: undefined,
  grants: { subscribe: ['**'], publish: ['**'], presence: ['**'] },
  missingClaim: undefined,
  voidGrants: { subscribe: [], publish: [], presence: [] },
}
