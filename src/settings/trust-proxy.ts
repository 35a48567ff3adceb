/** The setting for trusted proxies. */
import { isIP } from 'node:net'
import { quote } from '../model/quote.js'
import { requireNoFault } from './setting.js'

/**
 * The proxies whose X-Forwarded-* headers the hub trusts: all (`true`), none (`false`), a number of proxies in front of
 * the hub, or a list of addresses and networks.
 */
export type TrustProxy = boolean | number | string

/** The form of the setting in messages. */
export const TRUST = 'false, true, a number of proxies, or addresses and networks separated by commas'

/** @throws Error whose message names the fault and starts with "must be" */
export function parseTrust(text: string): TrustProxy {
  if (text === 'true' || text === 'false') return text === 'true'
  if (/^[1-9]\d?$/.test(text)) return Number(text)
  const networks = text.split(',').map((network) => network.trim())
  requireNoFault(TRUST, networks.map(faultOfNetwork))
  return networks.join(',')
}

/** Returns why a text is neither an address nor a network in CIDR notation; `undefined` if it is one. */
function faultOfNetwork(network: string): string | undefined {
  const [address, prefix, ...rest] = network.split('/') as [string, ...string[]]
  const version = address.includes('%') ? 0 : isIP(address) // a zone has a meaning on one machine only
  if (version === 0) return `${quote(network)} is not an IP address (host names are not resolved)`
  const longest = version === 4 ? 32 : 128
  if (prefix === '0' && rest.length === 0)
    return `${quote(network)} is every IPv${version} address: write true to trust every proxy`
  const isPrefix = prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= longest)
  return isPrefix && rest.length === 0
    ? undefined
    : `${quote(network)} is not a network: an IPv${version} prefix length is 1 to ${longest}`
}
