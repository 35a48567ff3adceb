/** Addresses of the Internet Protocol: one way to write each, and what is counted together. */
import { isIP, SocketAddress } from 'node:net'

/** An IPv4 address that is written as IPv6 (RFC 4291, 2.5.5.2). */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/

/**
 * Returns an address as RFC 5952 writes it: in lower case, with the zeros of IPv6 left out, without a zone, and as IPv4
 * where it is one. Returns anything else as it is.
 */
export function canonicalAddress(text: string): string {
  const [address = text] = text.split('%')
  const version = isIP(address)
  if (version !== 6) return version === 4 ? address : text
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address
  return MAPPED.exec(canonical)?.[1] ?? canonical
}

/**
 * Returns what a limit per address counts: an IPv4 address, or the /64 network of an IPv6 address, since every site has
 * at least that many addresses to choose from (RFC 6177).
 * @param text `undefined`: there is none, as on a Unix socket. All of these count as one
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
  return `${[...before, ...zeros].slice(0, 4).join(':')}::/64`
}
