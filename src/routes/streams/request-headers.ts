/** Reads the headers of requests to finite topics. */
import type { FastifyRequest } from 'fastify'
import { Problem } from '../../errors.js'
import type { Producer } from '../../hub/finite/finite-topic.js'
import { quote } from '../../model/quote.js'
import { parseDuration } from '../../model/units.js'
import { Compile, Type } from '../../schemas/typebox.js'
import { DEFAULT_MEDIA_TYPE, isMediaType, MAX_MEDIA_TYPE } from '../../model/media-type.js'

/** The maximum length of `Producer-Id` and `Stream-Seq`, in characters. */
const MAX_NAME = 256
/** The limits of `Fanfare-Lease`, in milliseconds. */
const LEASE = { min: 1_000, max: 86_400_000 }
/** The maximum of `Fanfare-Coalesce`, in milliseconds. */
const MAX_COALESCE = 10_000

/** A whole number without sign and leading zeros (Durable Streams, 5.1). */
const WHOLE = /^(?:0|[1-9]\d{0,15})$/

const dateTime = Compile(Type.String({ format: 'date-time' }))

type Headers = FastifyRequest['headers']

/** Returns a header; `undefined` if the request has none. */
export function header(headers: Headers, name: string): string | undefined {
  return [headers[name]].flat()[0]
}

/** Whether the request closes the stream (Durable Streams, 4.1). */
export function isClosing(headers: Headers): boolean {
  return header(headers, 'stream-closed')?.toLowerCase() === 'true'
}

/**
 * Reads how the request ends the stream; `undefined`: it does not.
 * @throws Problem `invalid-request`
 */
export function readEnd(headers: Headers): 'done' | 'error' | undefined {
  const status = header(headers, 'fanfare-status')
  if (status !== undefined && status !== 'done' && status !== 'error')
    throw invalid('Fanfare-Status', status, 'must be "done" or "error"')
  if (isClosing(headers)) return status ?? 'done'
  if (status !== undefined)
    throw new Problem('invalid-request', 'The header "Fanfare-Status" needs "Stream-Closed: true".')
  return undefined
}

/**
 * Reads the content type of a stream that is created; `undefined`: a fork has that of its source.
 * @throws Problem `invalid-stream`
 */
export function readMediaType(headers: Headers, isFork: boolean): string | undefined {
  const type = headers['content-type']
  if (type === undefined) return isFork ? undefined : DEFAULT_MEDIA_TYPE
  if (isMediaType(type)) return type
  throw new Problem(
    'invalid-stream',
    `The header "Content-Type" must have at most ${MAX_MEDIA_TYPE} printable ASCII characters.`,
  )
}

/**
 * Reads when a stream expires (Durable Streams, 5.1), in milliseconds.
 * @throws Problem `invalid-stream`
 */
export function readExpiry(headers: Headers): { ttl: number | undefined; expiresAt: number | undefined } {
  const [ttl, time] = [header(headers, 'stream-ttl'), header(headers, 'stream-expires-at')]
  if (ttl !== undefined && time !== undefined)
    throw new Problem('invalid-stream', 'Send either "Stream-TTL" or "Stream-Expires-At", not both.')
  if (ttl !== undefined && !(WHOLE.test(ttl) && Number.isSafeInteger(Number(ttl) * 1_000)))
    throw invalid('Stream-TTL', ttl, 'must be a whole number of seconds, without leading zeros', 'invalid-stream')
  if (time !== undefined && !dateTime.Check(time))
    throw invalid('Stream-Expires-At', time, 'must be an RFC 3339 time such as 2026-12-31T23:59:59Z', 'invalid-stream')
  return {
    ttl: ttl === undefined ? undefined : Number(ttl) * 1_000,
    expiresAt: time === undefined ? undefined : Date.parse(time.toUpperCase().replace(/:60(?=[.Z+-])/, ':59')),
  }
}

/**
 * Reads how far a fork refines its offset (Durable Streams, 4.2).
 * @throws Problem `invalid-stream`
 */
export function readSubOffset(headers: Headers): number | undefined {
  const text = header(headers, 'stream-fork-sub-offset')
  if (text === undefined) return undefined
  if (WHOLE.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  throw invalid('Stream-Fork-Sub-Offset', text, 'must be a whole number', 'invalid-stream')
}

/**
 * Reads the producer of an append (Durable Streams, 5.2.1).
 * @throws Problem `invalid-producer`
 */
export function readProducer(headers: Headers): Producer | undefined {
  const [id, epoch, seq] = ['producer-id', 'producer-epoch', 'producer-seq'].map((name) => header(headers, name))
  if (id === undefined && epoch === undefined && seq === undefined) return undefined
  if (id === undefined || epoch === undefined || seq === undefined)
    throw new Problem('invalid-producer', 'Send "Producer-Id", "Producer-Epoch" and "Producer-Seq" together.')
  if (id === '' || id.length > MAX_NAME)
    throw new Problem('invalid-producer', `The header "Producer-Id" must have 1 to ${MAX_NAME} characters.`)
  return { id, epoch: readNumber('Producer-Epoch', epoch), seq: readNumber('Producer-Seq', seq) }
}

/** @throws Problem `invalid-producer` */
function readNumber(name: string, text: string): number {
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  throw invalid(name, text, 'must be a whole number up to 9007199254740991', 'invalid-producer')
}

/**
 * Reads the order of an append (Durable Streams, 5.2, Stream-Seq).
 * @throws Problem `invalid-request`
 */
export function readOrder(headers: Headers): string | undefined {
  const order = header(headers, 'stream-seq')
  if (order === undefined || (order !== '' && order.length <= MAX_NAME)) return order
  throw new Problem('invalid-request', `The header "Stream-Seq" must have 1 to ${MAX_NAME} characters.`)
}

/**
 * Reads the time without an append after which the stream ends, in milliseconds.
 * @throws Problem `invalid-request`
 */
export function readLease(headers: Headers): number | undefined {
  return readTime(headers, 'Fanfare-Lease', LEASE.min, LEASE.max, 'from 1s to 24h, such as 30s')
}

/**
 * Reads for how long messages are gathered, in milliseconds.
 * @throws Problem `invalid-request`
 */
export function readCoalesce(headers: Headers): number | undefined {
  return readTime(headers, 'Fanfare-Coalesce', 0, MAX_COALESCE, 'up to 10s, such as 40ms') || undefined
}

function readTime(headers: Headers, name: string, min: number, max: number, words: string): number | undefined {
  const text = header(headers, name.toLowerCase())
  if (text === undefined) return undefined
  const time = parseDuration(text)
  if (time !== undefined && time >= min && time <= max) return time
  throw invalid(name, text, `must be a duration ${words}`)
}

function invalid(
  name: string,
  value: string,
  words: string,
  code: 'invalid-request' | 'invalid-stream' | 'invalid-producer' = 'invalid-request',
): Problem {
  return new Problem(code, `The header "${name}" ${words}, not ${quote(value)}.`)
}
