/** The content types of finite topics. */

/** The maximum length of a content type, in characters. */
export const MAX_MEDIA_TYPE = 200
/** The content type of a finite topic that is created without one (RFC 9110, 8.3). */
export const DEFAULT_MEDIA_TYPE = 'application/octet-stream'

/** Whether a value can be a content type: it is sent as a header. */
export function isMediaType(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_MEDIA_TYPE && /^[\x20-\x7e]+$/.test(value)
}

/** Returns the type and subtype of a content type in lower case, without its parameters. */
export function essenceOf(contentType: string): string {
  return contentType.split(';', 1)[0]!.trim().toLowerCase()
}

/** Returns a content type with its type and subtype in lower case (RFC 9110, 8.3.1). */
export function normalize(contentType: string): string {
  const essence = essenceOf(contentType)
  const rest = contentType.indexOf(';')
  return rest === -1 ? essence : `${essence}${contentType.slice(rest).trimEnd()}`
}

/** Whether messages are JSON values (Durable Streams, 9.1). */
export function isJson(contentType: string): boolean {
  return essenceOf(contentType) === 'application/json'
}

/** Whether an event stream carries messages as they are, without base64 (Durable Streams, 5.8). */
export function isText(contentType: string): boolean {
  return isJson(contentType) || essenceOf(contentType).startsWith('text/')
}

/** Whether a body has one JSON value a line. */
export function isLines(contentType: string): boolean {
  return ['application/x-ndjson', 'application/ndjson'].includes(essenceOf(contentType))
}
