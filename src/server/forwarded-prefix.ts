/**
 * Finds the prefix that a proxy has removed from the path of a request. The hub cannot know it, unless the proxy tells
 * it in the header `X-Forwarded-Prefix`.
 */
import type { FastifyRequest } from 'fastify'

/** An absolute path without a slash at the end (RFC 3986, 3.3). Two slashes at the start would name a host. */
const PREFIX = /^(?:\/(?:[\w.~!$&'()*+;=:@-]|%[\dA-F]{2})+)*$/i

/** The headers that proxies add. */
const OF_PROXIES = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip']

/**
 * Returns the prefix without a slash at the end; an empty string if the proxy says that it removes none (`/`).
 * @returns `undefined` if no trusted proxy names a prefix
 */
export function forwardedPrefix(request: FastifyRequest): string | undefined {
  const header = request.headers['x-forwarded-prefix']
  if (header === undefined || !isFromTrustedProxy(request)) return undefined
  // each proxy of a chain may add its own
  const parts = String(header)
    .split(',')
    .map((part) => part.trim().replace(/\/$/, ''))
  return parts.every((part) => PREFIX.test(part)) ? parts.join('') : undefined
}

/** Whether a proxy has passed the request on, trusted or not. */
export function hasPassedProxy({ headers }: FastifyRequest): boolean {
  return OF_PROXIES.some((name) => headers[name] !== undefined)
}

/** Whether the setting for trusted proxies accepts the peer: then Fastify reads `X-Forwarded-For`. */
function isFromTrustedProxy({ ips = [] }: FastifyRequest): boolean {
  return ips.length > 1
}
