/** JSON as it is published: how deep it may be nested, and how values of JavaScript are written. */
import { isNumberObject } from 'node:util/types'
import { HubError } from './hub-error.js'
import { quote } from './quote.js'

/**
 * How many arrays and objects the data of an event may have within each other (RFC 8259, 9, allows such a limit).
 * Readers of other languages give up at about 1,000 (Python's `json`, Jackson).
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
 * Whether JSON text has more than `levels` arrays and objects within each other. Text that is no JSON may have either
 * answer.
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
 * Returns the name of the member that has JSON text of an object nested deeper than `levels`; `undefined` when no
 * member has. Text that is no JSON may have any answer.
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

/**
 * Returns the index of the quote that ends the string which begins at `start`; the end of the text if there is none.
 */
function endOfString(json: string, start: number): number {
  for (let at = start + 1; at < json.length; at++) {
    const character = json.charCodeAt(at)
    if (character === QUOTE) return at
    if (character === BACKSLASH) at++
  }
  return json.length
}

/** Whether a value that was parsed from JSON has at most `levels` arrays and objects within each other. */
export function isShallow(value: unknown, levels = MAX_DEPTH): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((member) => isShallow(member, levels - 1))
}

/**
 * Writes the data of an event as compact JSON. What is written is judged, not the value: `toJSON` may have its say,
 * members that are `undefined` are left out.
 * @throws HubError `invalid-event` for what JSON has no word for (such as a function or a BigInt), for a number that is
 * NaN or infinite, for more than `MAX_DEPTH` levels, and when a getter or `toJSON` throws
 */
export function encodeData(data: unknown): string {
  let json: string | undefined
  try {
    json = stringify(data)
    // JSON.stringify writes NaN and infinite numbers as null. A replacer makes it slow, so only text with null is
    // written again.
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
 * The refusal of an event that is nested too deep for its data to be within `MAX_DEPTH`.
 * @param json the event
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
      'The data has a number that JSON has no word for: NaN, or one too large for JavaScript (RFC 8259, 6). It would become null.',
    )
  }
  return value
}

/** `JSON.stringify` recurses, so the stack limits how deep it gets. */
function isStackOverflow(err: unknown): boolean {
  return err instanceof RangeError && err.message.includes('call stack')
}

/** `undefined` for what JSON has no word for, such as a function; TypeScript's own declaration does not say so. */
function stringify(data: unknown, replacer?: (name: string, value: unknown) => unknown): string | undefined {
  return JSON.stringify(data, replacer)
}
