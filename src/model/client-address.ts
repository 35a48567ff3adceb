/** IP addresses of clients: their canonical form, and their networks for limits per address. */
import { isIP, SocketAddress } from 'node:net'

/** An IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2). */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/

/**
 * Returns an address in the canonical form of RFC 5952, without a zone. An IPv4-mapped address becomes IPv4. Any other
 * text is returned unchanged.
 */
export function canonicalAddress(text: string): string {
  const [address = text] = text.split('%')
  const version = isIP(address)
  if (version !== 6) return version === 4 ? address : text
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address
  return MAPPED.exec(canonical)?.[1] ?? canonical
}

/**
 * Returns the key of a limit per address: an IPv4 address, or the /64 network of an IPv6 address. Every site has at
 * least a /64 network, so a single client can use all of its addresses (RFC 6177).
 * @param text `undefined` for a peer on a Unix socket; all such peers count as one
 */
export function networkOf(text: string | undefined): string {
  if (text === undefined) return ''
  const address = canonicalAddress(text)
  if (isIP(address) !== 6) return address
  const [before, after] = address.split('::').map((half) => half.split(':').filter((group) => group !== '')) as [
    string[],
    string[]?,
  ]
  const zeros = Array.from({ length: 8 - before.length - (after?.length ?? 0) }, () => '0')
  return `${[...before, ...zeros, ...(after ?? [])].slice(0, 4).join(':')}::/64`
}
