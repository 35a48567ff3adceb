/**
 * Normalizes the addresses in `X-Forwarded-For` and removes ports. Some proxies (Azure's gateways, IIS) write
 * `192.0.2.1:5678`. Limits per address and the log need the address alone, and an address with a port would not match a
 * trusted proxy.
 */
import fp from 'fastify-plugin'
import { canonicalAddress } from '../model/client-address.js'
import { kPrepareEach } from './request-steps.js'

/** `192.0.2.1:5678`, `[2001:db8::1]:5678` or `[2001:db8::1]`. An IPv6 address without brackets has no port. */
const WITH_PORT =
  /^(?:(\d{1,3}(?:\.\d{1,3}){3})\s*:\s*\d{1,5}|\[([0-9a-f:.]{2,45}(?:%[^\]]{1,50})?)\]\s*(?::\s*\d{1,5})?)$/i
/** Some proxies quote an entry as in the header `Forwarded` (RFC 7239, 6). */
const QUOTED = /^"(.*)"$/

export default fp(
  async (app) => {
    app[kPrepareEach](({ headers }) => {
      const forwarded = headers['x-forwarded-for']
      if (typeof forwarded === 'string' && /[:"]/.test(forwarded))
        headers['x-forwarded-for'] = forwarded.split(',').map(addressIn).join(', ')
    })
  },
  { name: 'fanfare-forwarded-for', fastify: '5.x', dependencies: ['fanfare-preparation'] },
)

function addressIn(entry: string): string {
  const address = entry.trim().replace(QUOTED, '$1').trim()
  const [, v4, v6] = WITH_PORT.exec(address) ?? []
  return canonicalAddress(v4 ?? v6 ?? address)
}
