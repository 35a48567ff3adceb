/** Examines the way to a hub: its host name, its addresses, and TLS. */
import { lookup } from 'node:dns/promises'
import { connect, isIP } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { reasonOf } from '../http-client.js'
import { isLocal, printAddress, type HubAddress } from '../hub-address.js'
import { examineCertificate, reportValidity } from './certificate.js'
import { printTime, type Report } from './finding.js'

/** How long a connection may take, in milliseconds. */
const TIMEOUT = 5_000

/** Returns whether the hub accepts connections. */
export async function examineNetwork(address: HubAddress, report: Report): Promise<boolean> {
  const { url, socketPath } = address
  if (socketPath !== undefined) return examineAddress({ path: socketPath }, printAddress(address), report)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
  const addresses = isIP(host) === 0 ? await addressesOf(host, report) : [host]
  const accepted: boolean[] = []
  for (const each of addresses)
    accepted.push(
      await examineAddress({ host: each, port }, each.includes(':') ? `[${each}]:${port}` : `${each}:${port}`, report),
    )
  if (!accepted.includes(true)) return false
  if (url.protocol === 'https:') return examineTls(host, port, address, report)
  if (!isLocal(address))
    report(
      'fault',
      'Tokens and events travel without encryption (http:): put a proxy with TLS before the hub, or set FANFARE_TLS_CERT and FANFARE_TLS_KEY.',
    )
  else
    report(
      'note',
      'HTTP/1.1 without TLS: a browser opens six connections to a host at most, so let a page use one stream for all of its topics.',
    )
  return true
}

async function addressesOf(host: string, report: Report): Promise<string[]> {
  const startedAt = performance.now()
  try {
    const found = (await lookup(host, { all: true })).map(({ address }) => address)
    report(
      'ok',
      `${host} has ${found.length === 1 ? 'the address' : 'the addresses'} ${found.join(', ')} (${printTime(performance.now() - startedAt)}).`,
    )
    return found
  } catch (err) {
    report('fault', `${host} has no address (${reasonOf(err)}): check the name, and the DNS of this machine.`)
    return []
  }
}

async function examineAddress(
  target: { path: string } | { host: string; port: number },
  name: string,
  report: Report,
): Promise<boolean> {
  const startedAt = performance.now()
  try {
    await new Promise<void>((resolve, reject) => {
      const socket = connect(target, () => resolve(void socket.destroy()))
      socket.setTimeout(TIMEOUT, () =>
        socket.destroy(new Error(`no answer within ${TIMEOUT / 1_000} s; look at firewalls`)),
      )
      socket.once('error', reject)
    })
    report('ok', `${name} accepts connections (${printTime(performance.now() - startedAt)}).`)
    return true
  } catch (err) {
    report('fault', `${name} accepts no connection: ${reasonOf(err)}.`)
    return false
  }
}

/** Connects with TLS, whatever the certificate is: its faults are reported later. */
function shakeHands(host: string, port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls(
      {
        host,
        port,
        ...(isIP(host) === 0 ? { servername: host } : {}),
        ALPNProtocols: ['h2', 'http/1.1'],
        rejectUnauthorized: false,
      },
      () => resolve(socket),
    )
    socket.setTimeout(TIMEOUT, () => socket.destroy(new Error(`no handshake within ${TIMEOUT / 1_000} s`)))
    socket.once('error', reject)
  })
}

/** Examines the certificate, and which version of HTTP the server chooses (RFC 7301). */
async function examineTls(host: string, port: number, { isUnverified }: HubAddress, report: Report): Promise<boolean> {
  const startedAt = performance.now()
  let socket: TLSSocket | undefined
  try {
    socket = await shakeHands(host, port)
    if (isUnverified !== true && !examineCertificate(socket, host, report)) return false
    reportValidity(socket, performance.now() - startedAt, report)
    if (socket.alpnProtocol === 'h2') report('ok', 'HTTP/2: a browser can open many streams over one connection.')
    else
      report(
        'note',
        'HTTP/1.1: a browser opens six connections to a host at most. Turn on HTTP/2 in the proxy, or let a page use one stream for all of its topics.',
      )
    return true
  } catch (err) {
    report('fault', `The TLS handshake fails: ${reasonOf(err)}.`)
    return false
  } finally {
    socket?.destroy()
  }
}
