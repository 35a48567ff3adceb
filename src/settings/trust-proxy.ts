/** Whose X-Forwarded-* headers are believed. */
import { isIP } from 'node:net'
import { quote } from '../model/quote.js'
import { requireNoFault } from './setting.js'

/** Whose X-Forwarded-* headers are believed: everybody's or nobody's, those of so many proxies, or of addresses. */
export type TrustProxy = boolean | number | string

/** How the setting is written. */
export const TRUST = 'false, true, a number of proxies, or addresses and networks separated by commas'

/** @throws Error that says what is wrong and starts with "must be" */
export function parseTrust(text: string): TrustProxy {
  if (text === 'true' || text === 'false') return text === 'true'
  if (/^[1-9]\d?$/.test(text)) return Number(text)
  const networks = text.split(',').map((network) => network.trim())
  requireNoFault(TRUST, networks.map(faultOfNetwork))
  return networks.join(',')
}

/** Says why something is no address and no network in CIDR notation; `undefined` when it is one. */
function faultOfNetwork(network: string): string | undefined {
  const [address, prefix, ...rest] = network.split('/') as [string, ...string[]]
  const version = address.includes('%') ? 0 : isIP(address) // a zone belongs to this machine
  if (version === 0) return `${quote(network)} is no address (names are not looked up)`
  const longest = version === 4 ? 32 : 128
  if (prefix === '0' && rest.length === 0)
    return `${quote(network)} is every IPv${version} address: write true to believe everybody`
  const isPrefix = prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= longest)
  return isPrefix && rest.length === 0
    ? undefined
    : `${quote(network)} is no network: behind "/" an IPv${version} address has 1 to ${longest}`
}
