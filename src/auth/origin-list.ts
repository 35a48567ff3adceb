/** The origins that a setting lists: how each is written, and whether the origin of a request is one of them. */
import { quote } from '../model/quote.js'

/** A host's subdomains, at any depth; the host itself is not one of them. */
const SUBDOMAINS = /^(https?:\/\/)\*\.([a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?::\d{1,5})?)$/
/** A scheme, a host and a port, as browsers write them. */
const WEB_ORIGIN = /^https?:\/\/[a-z0-9._:[\]-]+$/
/** The origin of an app's web view or of a browser's extension, such as `capacitor://localhost`. */
const APP_ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[A-Za-z0-9._~-]+(?::\d{1,5})?$/
/**
 * The origin of a browser's extension. Its host is an id, which these browsers write in lower case; Safari does not.
 */
const EXTENSION_ORIGIN = /^(?:chrome|moz|ms-browser)-extension:/
/** Schemes whose pages have no origin, or that no page has. */
const SCHEMES_WITHOUT_ORIGIN = ['about:', 'blob:', 'data:', 'ftp:', 'javascript:', 'mailto:', 'ws:', 'wss:']

export class OriginList {
  /** Whether `*` is listed: every page of every origin is meant. */
  readonly all: boolean
  readonly size: number
  /** The origins as they are compared: in whole, or by a pattern for subdomains. */
  readonly matchers: readonly (string | RegExp)[]

  /** @param listed items of which `faultOfOrigin` finds none wrong */
  constructor(listed: readonly string[]) {
    this.all = listed.includes('*')
    this.size = listed.length
    this.matchers = listed.filter((item) => item !== '*').map(toMatcher)
  }

  /** Whether an origin is listed by itself or as a subdomain; `*` lists none. */
  names(origin: string): boolean {
    return this.matchers.some((matcher) => (typeof matcher === 'string' ? matcher === origin : matcher.test(origin)))
  }
}

function toMatcher(item: string): string | RegExp {
  const [, scheme, host] = SUBDOMAINS.exec(item) ?? []
  if (scheme === undefined || host === undefined) return item
  return new RegExp(`^${scheme}(?:[a-z0-9_-]+\\.)+${host.replaceAll('.', '\\.')}$`)
}

/** Says why a list of origins has two meanings; `undefined` when it has one. */
export function faultOfOrigins(items: readonly string[]): string | undefined {
  if (!items.includes('*') || items.length === 1) return undefined
  return '"*" stands alone, since it is all origins without cookies: leave it out, or leave the others out'
}

/** Says why an item of a list of origins can match no page; `undefined` when it can. */
export function faultOfOrigin(item: string): string | undefined {
  if (item === '*') return undefined
  if (item === 'null' || item.startsWith('file:')) {
    return `${quote(item)} cannot be listed, since files and the sandboxed frames of every site share the origin null`
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
    return `in ${quote(item)} the "*" matches nothing: it stands for subdomains, as in https://*.example.com`
  }
  const written = canonical(`${before}subdomain.${after}`)?.replace('subdomain.', '*.')
  if (written === undefined) return `${quote(item)} is no origin`
  if (written !== item) return browsersWrite(item, written)
  return SUBDOMAINS.test(item) ? undefined : `${quote(item)} is no origin`
}

function faultOfWebOrigin(item: string): string | undefined {
  const written = canonical(item)
  if (written === undefined) return `${quote(item)} is no origin`
  return written === item ? undefined : browsersWrite(item, written)
}

function faultOfAppOrigin(item: string): string | undefined {
  if (!APP_ORIGIN.test(item))
    return `${quote(item)} is no origin: that is a scheme in lower case, "://" and a host, without a path`
  const lowerCase = item.toLowerCase()
  return EXTENSION_ORIGIN.test(item) && item !== lowerCase ? browsersWrite(item, lowerCase) : undefined
}

/** An origin as browsers write it: with a lower-case host, and without a default port or a path. */
function canonical(item: string): string | undefined {
  const origin = URL.canParse(item) ? new URL(item).origin : ''
  return WEB_ORIGIN.test(origin) ? origin : undefined
}

function browsersWrite(item: string, written: string): string {
  return `${quote(item)} matches nothing, since browsers write it ${quote(written)}`
}
