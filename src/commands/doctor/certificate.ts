/** Examines the certificate of a server: its dates, its names, and its authority. Each fault has a sentence. */
import { checkServerIdentity, type PeerCertificate, type TLSSocket } from 'node:tls'
import { printTime, type Report } from './finding.js'

/** The rest of a certificate's validity below which it is a note, in milliseconds. */
const EXPIRES_SOON = 14 * 86_400_000

/** What to do about a certificate whose authority is not trusted, by the code of OpenSSL. */
const UNTRUSTED: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT:
    'is self-signed: browsers refuse the hub. Install one of a known authority. On your own machines, trust it, and set NODE_EXTRA_CA_CERTS to its file for Node.js',
  SELF_SIGNED_CERT_IN_CHAIN:
    'comes from an authority that this machine does not know. If it is your own authority, install its certificate in browsers, and set NODE_EXTRA_CA_CERTS to its file for Node.js; otherwise use a known one',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'comes without its chain: give the server the file with the whole chain (fullchain.pem). For one of your own authority, set NODE_EXTRA_CA_CERTS to the certificate of the authority',
}

/**
 * Reports the faults of a certificate. All of them: the reason of OpenSSL is only one of several.
 * @param host the name in the URL, or an IP address
 * @returns whether there is none
 */
export function examineCertificate(socket: TLSSocket, host: string, report: Report): boolean {
  const certificate = socket.getPeerCertificate()
  const faults = [datesOf(certificate), nameOf(certificate, host), trustOf(socket)].filter((text) => text !== undefined)
  for (const fault of faults) report('fault', fault)
  return faults.length === 0
}

/** Reports how long a certificate without a fault is valid. */
export function reportValidity(socket: TLSSocket, took: number, report: Report): void {
  const left = Date.parse(socket.getPeerCertificate().valid_to) - Date.now()
  const isSoon = left < EXPIRES_SOON
  const advice = isSoon ? ': renew it, and see why that has not happened by itself' : ''
  report(
    isSoon ? 'note' : 'ok',
    `TLS works (${socket.getProtocol() ?? 'unknown version'}, ${printTime(took)}); the certificate is valid for ${printTime(left)}${advice}.`,
  )
}

function datesOf({ valid_from: from, valid_to: until }: PeerCertificate): string | undefined {
  const [begin, end, now] = [Date.parse(from), Date.parse(until), Date.now()]
  if (now > end)
    return `The certificate expired ${printTime(now - end)} ago: renew it, and let the server load the new one.`
  if (now < begin)
    return `The certificate is not valid yet, only in ${printTime(begin - now)}: check the clock of this machine, and the certificate.`
  return undefined
}

function nameOf(certificate: PeerCertificate, host: string): string | undefined {
  if (checkServerIdentity(host, certificate) === undefined) return undefined
  const names = (certificate.subjectaltname ?? '').split(', ').map((name) => name.replace(/^[^:]*:/, ''))
  const known = names.filter((name) => name !== '').join(', ') || 'no name'
  return `The certificate is for ${known}, and not for ${host}: use a name of the certificate in the URL, or get a certificate for this name.`
}

function trustOf({ authorized, authorizationError }: TLSSocket): string | undefined {
  const reason = String(authorizationError)
  // those have sentences of their own
  if (authorized || /EXPIRED|NOT_YET_VALID|ALTNAME/.test(reason)) return undefined
  const words = UNTRUSTED[reason]
  return words === undefined
    ? `The certificate is not trusted (${reason}): browsers refuse the hub. Install one of a known authority, with the whole chain. For one of your own authority, set NODE_EXTRA_CA_CERTS to its certificate.`
    : `The certificate ${words}.`
}
