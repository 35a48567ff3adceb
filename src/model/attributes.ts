/**
 * The attributes of an event: small strings beside its payload, such as `traceparent`. They follow the rules for
 * extension attributes of CloudEvents 1.0, and are the extension attributes of an event that is sent as a CloudEvent.
 */
import { HubError } from './hub-error.js'
import type { PayloadKind } from './payload.js'
import { quote } from './quote.js'

/** The attributes of an event as a publisher gives them. A value of `undefined` counts as missing. */
export type Attributes = Readonly<Record<string, string | undefined>>

/** The limits of the attributes of one event. */
export const ATTRIBUTES = {
  /** The most attributes of an event. */
  count: 16,
  /** The most characters of a name. CloudEvents 1.0 ("Naming Conventions") recommends this limit. */
  name: 20,
  /** The most characters of a value. */
  value: 1_024,
  /** The most bytes of all names and values together, in UTF-8. */
  bytes: 4_096,
}

/** The one core attribute of CloudEvents that a publisher may set: the media type of the payload. */
const CONTENT_TYPE = 'datacontenttype'
/** The core attributes of CloudEvents 1.0 that no publisher may set, and `data`, which CloudEvents also reserves. */
const RESERVED: ReadonlySet<string> = new Set([
  'id',
  'source',
  'specversion',
  'type',
  'time',
  'subject',
  'dataschema',
  'data',
])

const nameSyntax = new RegExp(`^[a-z0-9]{1,${ATTRIBUTES.name}}$`)
/** CloudEvents 1.0, "Type System", String: no control characters, no noncharacters, no lone surrogates. */
const valueSyntax = new RegExp(`^[^\\p{Cc}\\p{Cs}\\p{Noncharacter_Code_Point}]{1,${ATTRIBUTES.value}}$`, 'u')
/** The syntax of a media type (RFC 9110, 8.3.1), without the empty parameters that the RFC allows. */
const mediaType =
  /^[\w!#$%&'*+.^`|~-]+\/([\w!#$%&'*+.^`|~-]+)(?:[ \t]*;[ \t]*[\w!#$%&'*+.^`|~-]+=(?:[\w!#$%&'*+.^`|~-]+|"(?:[^"\\]|\\.)*"))*$/

/**
 * Checks attributes and writes them as compact JSON of an object.
 * @param kind the kind of the event's payload, which a content type has to fit
 * @returns `undefined`: there are no attributes
 * @throws HubError `invalid-event`, naming the attribute
 */
export function encodeAttributes(attributes: unknown, kind: PayloadKind): string | undefined {
  // the members of arrays, maps and headers are not attributes
  if (Object.prototype.toString.call(attributes) !== '[object Object]')
    throw new HubError('invalid-event', `"attributes" is an object of strings, not ${nameOf(attributes)}.`)
  const checked: Record<string, string> = {}
  let count = 0
  let bytes = 0
  for (const name of Object.keys(attributes as object)) {
    const value = (attributes as Record<string, unknown>)[name]
    if (value === undefined) continue
    requireName(name)
    requireValue(name, value)
    if (name === CONTENT_TYPE) requireContentType(value, kind)
    if (++count > ATTRIBUTES.count)
      throw new HubError('invalid-event', `An event has at most ${ATTRIBUTES.count} attributes.`)
    bytes += name.length + Buffer.byteLength(value)
    checked[name] = value
  }
  if (bytes > ATTRIBUTES.bytes) {
    throw new HubError(
      'invalid-event',
      `The attributes of an event have at most ${ATTRIBUTES.bytes} bytes, names and values together, and these have ${bytes}.`,
    )
  }
  return count === 0 ? undefined : JSON.stringify(checked)
}

/**
 * Returns the attributes of an event that subscribers see; `undefined`: none. The hub keeps notes of its own about the
 * events of finite topics as attributes. Their names begin with `#`, which those of publishers cannot, and they come
 * last.
 * @param attributes as JSON
 */
export function visibleAttributes(attributes: string | undefined): string | undefined {
  if (attributes === undefined || attributes.startsWith('{"#')) return undefined
  const note = attributes.indexOf(',"#') // quotes in values are escaped
  return note < 0 ? attributes : `${attributes.slice(0, note)}}`
}

/**
 * Whether attributes name the content type of the payload.
 * @param attributes from `encodeAttributes`. Quotes in values are escaped, so only a name can match
 */
export function hasContentType(attributes: string): boolean {
  return attributes.includes(`"${CONTENT_TYPE}":`)
}

function requireName(name: string): void {
  if (!nameSyntax.test(name)) {
    throw new HubError(
      'invalid-event',
      `${quote(name)} is not an attribute name: 1 to ${ATTRIBUTES.name} characters of a-z and 0-9.`,
    )
  }
  if (RESERVED.has(name)) {
    throw new HubError(
      'invalid-event',
      `An event has no attribute ${quote(name)}: CloudEvents reserves this name, and the hub alone may write it.`,
    )
  }
}

function requireValue(name: string, value: unknown): asserts value is string {
  if (typeof value === 'string' && valueSyntax.test(value)) return
  throw new HubError(
    'invalid-event',
    `The attribute ${quote(name)} is a string of 1 to ${ATTRIBUTES.value} characters without control characters, noncharacters and lone surrogates, not ${quote(value)}.`,
  )
}

/**
 * A subscriber takes the `data` of a CloudEvent as JSON or as a string, depending on the content type (CloudEvents JSON
 * Event Format 1.0.2, 3.1.2), so the content type has to fit the payload.
 */
function requireContentType(value: string, kind: PayloadKind): void {
  const subtype = mediaType.exec(value)?.[1]?.toLowerCase()
  if (subtype === undefined)
    throw new HubError(
      'invalid-event',
      `The attribute "${CONTENT_TYPE}" is a media type such as "image/png", not ${quote(value)}.`,
    )
  const isJson = subtype === 'json' || subtype.endsWith('+json')
  if (kind === 'json' && !isJson) {
    throw new HubError(
      'invalid-event',
      `The attribute "${CONTENT_TYPE}" of "data" is a media type of JSON, not ${quote(value)}: publish other content as "text" or "bytes".`,
    )
  }
  if (kind === 'text' && isJson) {
    throw new HubError(
      'invalid-event',
      `The attribute "${CONTENT_TYPE}" of "text" is no media type of JSON, such as ${quote(value)}: publish JSON as "data" or "bytes".`,
    )
  }
}

/** Names a value that is not an object of strings. */
function nameOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' && value !== null ? 'an object of another kind' : quote(value)
}
