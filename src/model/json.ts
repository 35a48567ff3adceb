/** Checks the nesting of JSON, and encodes the data of events. */
import { isNumberObject } from 'node:util/types'
import { HubError } from './hub-error.js'
import { quote } from './quote.js'

/**
 * The maximum nesting of arrays and objects in the data of an event (RFC 8259, 9, allows such a limit). Parsers of
 * other languages fail at about 1,000 levels (Python's `json`, Jackson).
 */
export const MAX_DEPTH = 600

const TOO_DEEP = `The data is nested deeper than ${MAX_DEPTH} levels of arrays and objects.`
const NOT_JSON = 'The data cannot be written as JSON.'

const QUOTE = 0x22
const BACKSLASH = 0x5c
/** `[` and `{` differ in this bit only, and so do `]` and `}`. */
const BRACE_BIT = 0x20
const OPENING = 0x7b
const CLOSING = 0x7d

/**
 * Whether a JSON text is nested deeper than `levels` arrays and objects. The result for invalid JSON is unspecified.
 */
export function isDeeper(json: string, levels: number): boolean {
  if (json.length < 2 * levels) return false // too short for so many brackets
  let depth = 0
  for (let at = 0; at < json.length; at++) {
    const character = json.charCodeAt(at)
    if (character === QUOTE) at = endOfString(json, at)
    else if ((character | BRACE_BIT) === OPENING && ++depth > levels) return true
    else if ((character | BRACE_BIT) === CLOSING) depth--
  }
  return false
}

/**
 * Returns the name of the member of a JSON object in which the text is nested deeper than `levels`; `undefined` if
 * there is none. The result for invalid JSON is unspecified.
 */
export function deepMember(json: string, levels: number): string | undefined {
  let depth = 0
  let name: string | undefined
  for (let at = 0; at < json.length; at++) {
    const character = json.charCodeAt(at)
    if (character === QUOTE) {
      const end = endOfString(json, at)
      if (depth === 1) name = json.slice(at, end + 1)
      at = end
    } else if ((character | BRACE_BIT) === OPENING && ++depth > levels) return name && readString(name)
    else if ((character | BRACE_BIT) === CLOSING) depth--
  }
  return undefined
}

function readString(json: string): string | undefined {
  try {
    return JSON.parse(json) as string
  } catch {
    return undefined
  }
}

/** Returns the index of the quote that ends the string at `start`; the length of the text if there is none. */
function endOfString(json: string, start: number): number {
  for (let at = start + 1; at < json.length; at++) {
    const character = json.charCodeAt(at)
    if (character === QUOTE) return at
    if (character === BACKSLASH) at++
  }
  return json.length
}

/** Whether a parsed JSON value is nested at most `levels` arrays and objects deep. */
export function isShallow(value: unknown, levels = MAX_DEPTH): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((member) => isShallow(member, levels - 1))
}

/**
 * Encodes the data of an event as compact JSON. The checks apply to the result of JSON.stringify: it calls `toJSON`,
 * and drops members that are `undefined`.
 * @throws HubError `invalid-event` for values that JSON cannot express (such as functions and BigInts), for numbers
 *   that are NaN or infinite, for more than `MAX_DEPTH` levels, and if a getter or `toJSON` throws
 */
export function encodeData(data: unknown): string {
  let json: string | undefined
  try {
    json = stringify(data)
    // JSON.stringify writes NaN and infinite numbers as null. A replacer finds them but is slow, so it runs only if the
    // result contains null.
    if (json?.includes('null')) json = stringify(data, refuseNonFinite)
  } catch (err) {
    if (err instanceof HubError) throw err
    throw new HubError('invalid-event', isStackOverflow(err) ? TOO_DEEP : NOT_JSON, { cause: err })
  }
  if (json === undefined) throw new HubError('invalid-event', NOT_JSON)
  if (isDeeper(json, MAX_DEPTH)) throw new HubError('invalid-event', TOO_DEEP)
  return json
}

/**
 * Returns the refusal of an event that is nested too deep.
 * @param json the event as JSON
 */
export function tooDeep(json: string): HubError {
  const member = deepMember(json, MAX_DEPTH)
  if (member === 'data') return new HubError('invalid-event', TOO_DEEP)
  const what = member === undefined ? 'The event' : `The member ${quote(member)} of the event`
  return new HubError('invalid-event', `${what} is nested deeper than ${MAX_DEPTH} levels of arrays and objects.`)
}

function refuseNonFinite(_name: string, value: unknown): unknown {
  const isNumber = typeof value === 'number' || (typeof value === 'object' && isNumberObject(value))
  if (isNumber && !Number.isFinite(Number(value))) {
    throw new HubError(
      'invalid-event',
      'The data has a number that JSON cannot express: NaN, or a number that is too large for JavaScript (RFC 8259, 6).',
    )
  }
  return value
}

/** Whether JSON.stringify, which is recursive, has exhausted the stack. */
function isStackOverflow(err: unknown): boolean {
  return err instanceof RangeError && err.message.includes('call stack')
}

/** Calls JSON.stringify, which returns `undefined` for a function. TypeScript's own declaration omits that. */
function stringify(data: unknown, replacer?: (name: string, value: unknown) => unknown): string | undefined {
  return JSON.stringify(data, replacer)
}
