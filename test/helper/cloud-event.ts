/**
 * The rules of CloudEvents 1.0.2 ("Context Attributes", "Type System") and of its JSON Event Format (2 and 3.1),
 * independent of the hub's own code.
 */
import { strictEqual as same, match, ok } from 'node:assert'

/** The members that are not attributes: the payload (JSON Event Format, 3.1.1). */
const PAYLOAD = ['data', 'data_base64']
const REQUIRED = ['id', 'source', 'specversion', 'type']
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const URI_REFERENCE = /^[\w\-.~:/?#[\]@!$&'()*+,;=%]+$/
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/

/**
 * Checks that a text is a CloudEvent in the JSON format, on one line.
 * @returns the event
 * @throws AssertionError
 */
export function readCloudEvent(line: string): Record<string, unknown> {
  ok(!/[\r\n]/.test(line), 'it is one line')
  const event = JSON.parse(line) as Record<string, unknown>
  same(JSON.stringify(event).length, line.length, 'each member occurs once')
  for (const name of REQUIRED) ok(typeof event[name] === 'string' && event[name] !== '', `${name} is required`)
  same(event['specversion'], '1.0')
  match(event['source'] as string, URI_REFERENCE)
  match(event['time'] as string, RFC_3339)
  ok(!Number.isNaN(Date.parse(event['time'] as string)))
  for (const [name, value] of Object.entries(event)) {
    if (PAYLOAD.includes(name)) continue
    match(name, /^[a-z0-9]{1,20}$/)
    ok(isString(value), `${name} is a String: ${JSON.stringify(value)}`)
  }
  checkPayload(event)
  return event
}

function checkPayload(event: Record<string, unknown>): void {
  same(PAYLOAD.filter((name) => name in event).length, 1, 'there is one payload')
  const contentType = event['datacontenttype'] as string
  match(contentType, /^[^/\s]+\/[^/\s;]+(?:\s*;.*)?$/)
  if ('data_base64' in event) {
    match(event['data_base64'] as string, BASE64)
    return
  }
  const isJson = /^[^/]+\/(?:[^;]+\+)?json\s*(?:;|$)/i.test(contentType)
  if (!isJson) same(typeof event['data'], 'string', `the data of ${contentType} are a string`)
}

/** A String of the type system: no control characters, no noncharacters, surrogates in pairs only. */
function isString(value: unknown): boolean {
  if (typeof value !== 'string') return false
  return Array.from(value).every((character) => {
    const code = character.codePointAt(0)!
    const isControl = code <= 0x1f || (code >= 0x7f && code <= 0x9f)
    const isNoncharacter = (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) === 0xfffe
    const isSurrogate = code >= 0xd800 && code <= 0xdfff
    return !isControl && !isNoncharacter && !isSurrogate
  })
}
