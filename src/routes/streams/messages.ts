/** Turns bodies into messages, and messages into bodies. */
import { isUtf8 } from 'node:buffer'
import { Problem } from '../../errors.js'
import { bytesMessage } from '../../hub/finite/bytes-message.js'
import type { Message } from '../../hub/finite/finite-topic.js'
import { HubError } from '../../model/hub-error.js'
import { encodeData, tooDeep } from '../../model/json.js'
import { payloadBytes } from '../../model/payload.js'
import { withoutMark } from '../../plugins/bodies.js'
import { problemOf } from '../../plugins/errors.js'
import { parseJson } from '../../server/body-json.js'
import { isJson, isText } from '../../model/media-type.js'

/** The maximum number of values of an array. The transaction that stores all of them blocks the event loop. */
const MAX_VALUES = 10_000

/**
 * Returns the messages of a body: the values of JSON (Durable Streams, 9.1.2), or the bytes, in parts of at most
 * `maxSize` bytes.
 * @param contentType that of the finite topic
 * @throws Problem `invalid-json`, `invalid-encoding`, `body-too-large`; HubError `event-too-large`, `invalid-event`
 */
export function messagesOf(body: Buffer, contentType: string, maxSize: number): Message[] {
  if (isJson(contentType)) return valuesOf(body).map((value, index) => messageAt(index, value, maxSize))
  return wholeParts(body, contentType).flatMap((whole) => {
    const messages: Message[] = []
    for (let start = 0; start < whole.length;) {
      const end = endOfPart(whole, start, maxSize, isText(contentType))
      messages.push(bytesMessage(whole.subarray(start, end), contentType))
      start = end
    }
    return messages
  })
}

/**
 * Splits a text that begins or ends within a character, so that subscribers of its events get the rest as text.
 * @returns the bytes of the cut characters and the text between them; the whole body if it has no such text
 */
function wholeParts(body: Buffer, contentType: string): Buffer[] {
  if (!isText(contentType) || isUtf8(body)) return [body]
  let start = 0
  while (start < Math.min(3, body.length) && (body[start]! & 0xc0) === 0x80) start++ // later bytes of a character
  const text = body.subarray(start)
  const length = completeLength(text)
  if (!isUtf8(text.subarray(0, length))) return [body]
  return [body.subarray(0, start), text.subarray(0, length), text.subarray(length)]
}

/**
 * Returns the message of a JSON value.
 * @throws HubError `event-too-large`, `invalid-event`
 */
export function jsonMessage(value: unknown, maxSize: number): Message {
  const message: Message = { kind: 'json', payload: encodeData(value) }
  const size = payloadBytes(message)
  if (size <= maxSize) return message
  throw new HubError(
    'event-too-large',
    `A message of the body has ${size} bytes; at most ${maxSize} are allowed (FANFARE_MAX_EVENT_SIZE).`,
  )
}

/**
 * Stores the messages of a body. A refusal names the faulty message of an array.
 * @throws Problem, HubError
 */
export async function placing<T>(body: Buffer, store: () => Promise<T>): Promise<T> {
  try {
    return await store()
  } catch (err) {
    throw placed(err, body)
  }
}

/** Adds the index of a refused message to an error, first in each path, if the body is an array. */
function placed(err: unknown, body: Buffer): unknown {
  if (!(err instanceof HubError) || err.index === undefined) return err
  const { message, errors, index } = err
  err.index = undefined // the message may be the whole body
  if (!isArray(body)) return err
  const faults = errors ?? [{ path: '', message }]
  return new Problem(problemOf(err), `/${index}: ${message}`, {
    errors: faults.map((fault) => ({ ...fault, path: `/${index}${fault.path}` })),
  })
}

function messageAt(index: number, value: unknown, maxSize: number): Message {
  try {
    return jsonMessage(value, maxSize)
  } catch (err) {
    if (err instanceof HubError) err.index = index
    throw err
  }
}

/** Whether a valid text of JSON is an array. */
function isArray(body: Buffer): boolean {
  return (
    body
      .subarray(0, body.indexOf('[') + 1)
      .toString()
      .trim() === '['
  )
}

/** Returns the bytes of messages, one after the other, or the JSON array of their values. */
export function joinMessages(messages: readonly Message[], contentType: string): Buffer {
  if (isJson(contentType)) return Buffer.from(`[${messages.map(({ payload }) => payload).join(',')}]`)
  return Buffer.concat(messages.map(({ kind, payload }) => Buffer.from(payload, kind === 'bytes' ? 'base64' : 'utf8')))
}

/** Returns the length of the bytes before an incomplete character at the end (RFC 3629, 3). */
export function completeLength(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!
    if (byte < 0x80 || byte > 0xf4) return bytes.length // no byte of a longer character
    if (byte < 0xc0) continue // a later byte of a character
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
    return needed > back ? bytes.length - back : bytes.length
  }
  return bytes.length
}

function valuesOf(body: Buffer): unknown[] {
  if (!isUtf8(body)) throw new Problem('invalid-encoding', 'The body has bytes that are not UTF-8.')
  const value = parseJson(withoutMark(body), 'The body', tooDeep)
  if (!Array.isArray(value)) return [value]
  if (value.length <= MAX_VALUES) return value
  throw new Problem(
    'body-too-large',
    `The array has ${value.length} values; an append has at most ${MAX_VALUES}. Send several appends, or one live upload of NDJSON.`,
  )
}

function endOfPart(body: Buffer, start: number, maxSize: number, keepsCharacters: boolean): number {
  const end = Math.min(body.length, start + maxSize)
  if (end === body.length || !keepsCharacters) return end
  return start + (completeLength(body.subarray(start, end)) || maxSize)
}
