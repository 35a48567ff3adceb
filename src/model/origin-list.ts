/** The list of allowed origins in a setting: checks its items and matches the origins of requests. */
import { quote } from './quote.js'

/** The subdomains of a host, at any depth, without the host itself. */
const SUBDOMAINS = /^(https?:\/\/)\*\.([a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?::\d{1,5})?)$/
/** A scheme, a host and a port, as browsers write them. */
const WEB_ORIGIN = /^https?:\/\/[a-z0-9._:[\]-]+$/
/** The origin of an app's web view or of a browser extension, such as `capacitor://localhost`. */
const APP_ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[A-Za-z0-9._~-]+(?::\d{1,5})?$/
/** The origin of a browser extension. Its host is an id in lower case, except in Safari. */
const EXTENSION_ORIGIN = /^(?:chrome|moz|ms-browser)-extension:/
/** Schemes of pages without an origin, and schemes that no page has. */
const SCHEMES_WITHOUT_ORIGIN = ['about:', 'blob:', 'data:', 'ftp:', 'javascript:', 'mailto:', 'ws:', 'wss:']

export class OriginList {
  /** Whether the list is `*`: all origins are allowed. */
  readonly all: boolean
  readonly size: number
  /** A string matches one origin, a regular expression the subdomains of a host. */
  readonly matchers: readonly (string | RegExp)[]

  /** @param listed items for which `faultOfOrigin` returns no fault */
  constructor(listed: readonly string[]) {
    this.all = listed.includes('*')
    this.size = listed.length
    this.matchers = listed.filter((item) => item !== '*').map(toMatcher)
  }

  /** Whether the list names an origin, by itself or as a subdomain. `*` names no origin. */
  names(origin: string): boolean {
    return this.matchers.some((matcher) => (typeof matcher === 'string' ? matcher === origin : matcher.test(origin)))
  }
}

function toMatcher(item: string): string | RegExp {
  const [, scheme, host] = SUBDOMAINS.exec(item) ?? []
  if (scheme === undefined || host === undefined) return item
  return new RegExp(`^${scheme}(?:[a-z0-9_-]+\\.)+${host.replaceAll('.', '\\.')}$`)
}

/** Returns the fault of a list of origins as a whole; `undefined` if there is none. */
export function faultOfOrigins(items: readonly string[]): string | undefined {
  if (!items.includes('*') || items.length === 1) return undefined
  return '"*" cannot be combined with other origins, since it means all origins without cookies: list either "*" or origins'
}

/** Returns why an item of the list cannot match any page; `undefined` if it can. */
export function faultOfOrigin(item: string): string | undefined {
  if (item === '*') return undefined
  if (item === 'null' || item.startsWith('file:')) {
    return `${quote(item)} cannot be listed, since files and the sandboxed frames of all sites share the origin null`
  }
  const [, scheme] = /^([a-z][a-z0-9+.-]*:)\/\//i.exec(item) ?? []
  if (scheme === undefined) return `${quote(item)} has no scheme: write "https://${item}"`
  if (SCHEMES_WITHOUT_ORIGIN.includes(scheme.toLowerCase()))
    return `${quote(item)} matches nothing, since no page has an origin with ${scheme}`
  if (item.includes('*')) return faultOfSubdomains(item)
  return /^https?:$/i.test(scheme) ? faultOfWebOrigin(item) : faultOfAppOrigin(item)
}

function faultOfSubdomains(item: string): string | undefined {
  const [, before, after] = /^(https?:\/\/)\*\.([^*]*)$/i.exec(item) ?? []
  if (before === undefined || after === undefined) {
    return `${quote(item)} has a "*" in the wrong place: "*" stands for subdomains, as in https://*.example.com`
  }
  const written = canonical(`${before}subdomain.${after}`)?.replace('subdomain.', '*.')
  if (written === undefined) return `${quote(item)} is not an origin`
  if (written !== item) return browsersWrite(item, written)
  return SUBDOMAINS.test(item) ? undefined : `${quote(item)} is not an origin`
}

function faultOfWebOrigin(item: string): string | undefined {
  const written = canonical(item)
  if (written === undefined) return `${quote(item)} is not an origin`
  return written === item ? undefined : browsersWrite(item, written)
}

function faultOfAppOrigin(item: string): string | undefined {
  if (!APP_ORIGIN.test(item))
    return `${quote(item)} is not an origin: an origin is a scheme in lower case, "://" and a host, without a path`
  const lowerCase = item.toLowerCase()
  return EXTENSION_ORIGIN.test(item) && item !== lowerCase ? browsersWrite(item, lowerCase) : undefined
}

/** Returns an origin as browsers write it: the host in lower case, without a path and without a default port. */
function canonical(item: string): string | undefined {
  const origin = URL.canParse(item) ? new URL(item).origin : ''
  return WEB_ORIGIN.test(origin) ? origin : undefined
}

function browsersWrite(item: string, written: string): string {
  return `${quote(item)} matches nothing, since browsers write this origin as ${quote(written)}`
}
