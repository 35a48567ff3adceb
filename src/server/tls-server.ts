/** The options of the hub's own server with TLS, which speaks HTTP/2 and HTTP/1.1 on one port (RFC 7301). */
import type { Http2SecureServer, SecureServerOptions } from 'node:http2'
import type { RequestTimeouts } from './body-timeout.js'
import type { CertificatePair } from './certificate.js'
import { WIDE_LIMITS } from './header-limits.js'

/**
 * The maximum number of open requests of an HTTP/2 connection, event streams included. Chrome opens 256 at most.
 * RFC 9113, 6.5.2, advises 100 or more: a page with 100 streams has to publish too.
 */
export const MAX_CONCURRENT_STREAMS = 256

/** How long an HTTP/1.1 connection may be idle between two requests, in milliseconds. It is Fastify's default. */
const KEEP_ALIVE_TIMEOUT = 72_000

export function tlsOptions(
  { cert, key }: CertificatePair,
  timeouts: RequestTimeouts,
): SecureServerOptions & { requireHostHeader: boolean } {
  return {
    allowHTTP1: true,
    cert,
    key,
    minVersion: 'TLSv1.2',
    handshakeTimeout: timeouts.head,
    settings: { maxConcurrentStreams: MAX_CONCURRENT_STREAMS, maxHeaderListSize: WIDE_LIMITS.bytes },
    maxHeaderListPairs: WIDE_LIMITS.fields,
    // for HTTP/1.1, see `createServer`
    requireHostHeader: false,
  }
}

/**
 * Limits the requests of HTTP/1.1 as the server without TLS does. Node 20 and 22 do not take these options for a server
 * of HTTP/2: without limits of the hub, an upload would end after five minutes.
 */
export function limitHttp1(server: Http2SecureServer, timeouts: RequestTimeouts): void {
  Object.assign(server, {
    headersTimeout: timeouts.head,
    requestTimeout: 0,
    connectionsCheckingInterval: timeouts.head / 3,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
  })
}
