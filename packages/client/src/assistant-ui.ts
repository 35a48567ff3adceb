/**
 * A store of assistant-ui's resumable streams (`assistant-stream/resumable`) in finite topics of the hub. It runs on a
 * server. The types are those of assistant-stream, which needs a newer Node.js than this package.
 */
import { readMessages } from './finite/read.js'
import { pathOfName } from './finite/path.js'
import { FiniteStreams, hasCode, isMissing, type HubAccess } from './finite/streams.js'
import { isLost, Writer } from './finite/writer.js'
import { randomId } from './publish.js'

export interface ResumableStreamAcquireOptions {
  /** How long the stream is kept without an append or a read, in milliseconds. */
  readonly ttlMs?: number
}

export interface ResumableStreamLease {
  readonly token: string
}

export type ResumableStreamAcquisition =
  { readonly role: 'producer'; readonly lease: ResumableStreamLease } | { readonly role: 'consumer' }

export interface ResumableStreamEntry {
  readonly cursor: string
  readonly chunk: Uint8Array
}

export interface ResumableStreamStore {
  /** Elects the producer: the first caller. */
  acquire(streamId: string, options?: ResumableStreamAcquireOptions): Promise<'producer' | 'consumer'>
  /** As `acquire`, with a lease for the producer. */
  acquireLease(streamId: string, options?: ResumableStreamAcquireOptions): Promise<ResumableStreamAcquisition>
  /** Stores a chunk. @throws ResumableStreamError, HubError */
  append(streamId: string, chunk: Uint8Array, lease?: ResumableStreamLease): Promise<void>
  /** Ends a stream. Resolves with `false` if it had ended, or the lease has been replaced. */
  finalize(streamId: string, status: 'done' | 'error', error?: string, lease?: ResumableStreamLease): Promise<boolean>
  /** Yields the entries after a cursor (`''`: the start) until the stream ends or the signal is aborted. */
  read(streamId: string, cursor: string, signal: AbortSignal): AsyncIterable<ResumableStreamEntry>
  status(streamId: string): Promise<'streaming' | 'done' | 'error' | 'missing'>
  delete(streamId: string): Promise<void>
  /** Ends a stream of any producer: the producer's next `append` fails, and readers end. For a stop button. */
  cancel(streamId: string): Promise<void>
}

export interface ResumableStreamStoreOptions extends HubAccess {
  /** The topic above those of the streams. Default: `answers`. */
  prefix?: string
  /** How long a stream is kept without an append or a read, in milliseconds. Default: that of the hub. */
  ttl?: number
  /** A stream ends with `error` this time after its producer has vanished, in milliseconds. Default: 30,000. */
  lease?: number
}

/** The errors that assistant-stream's own stores throw. */
export class ResumableStreamError extends Error {
  override name = 'ResumableStreamError'
  readonly code: 'missing' | 'finalized'

  constructor(code: 'missing' | 'finalized', message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** A message of a stream: a text, other bytes as base64, or why the stream has failed. */
type Message = string | { bytes: string } | { error: string }

/** The size at which a chunk is divided, in bytes: the hub limits the size of a message. */
const PIECE = 32_768

/** Creates a store for `createResumableStreamContext`. */
export function createResumableStreamStore(options: ResumableStreamStoreOptions): ResumableStreamStore {
  return new Store(options)
}

class Store implements ResumableStreamStore {
  readonly #streams: FiniteStreams
  readonly #options: ResumableStreamStoreOptions
  /** The writers of this process, by the tokens of their leases. */
  readonly #writers = new Map<string, Writer>()
  /** The tokens of the newest writers, by stream. */
  readonly #tokens = new Map<string, string>()

  constructor(options: ResumableStreamStoreOptions) {
    this.#streams = new FiniteStreams(options)
    this.#options = options
  }

  async acquire(streamId: string, options?: ResumableStreamAcquireOptions): Promise<'producer' | 'consumer'> {
    return (await this.acquireLease(streamId, options)).role
  }

  async acquireLease(
    streamId: string,
    { ttlMs = this.#options.ttl }: ResumableStreamAcquireOptions = {},
  ): Promise<ResumableStreamAcquisition> {
    const token = randomId()
    const writer = await Writer.open(this.#streams, this.#pathOf(streamId), {
      id: token,
      isFirst: true,
      ttl: seconds(ttlMs),
      lease: seconds(this.#options.lease),
      onLeave: () => {
        this.#writers.delete(token)
        if (this.#tokens.get(streamId) === token) this.#tokens.delete(streamId)
      },
    })
    if (!writer) return { role: 'consumer' }
    this.#writers.set(token, writer)
    this.#tokens.set(streamId, token)
    return { role: 'producer', lease: { token } }
  }

  async append(streamId: string, chunk: Uint8Array, lease?: ResumableStreamLease): Promise<void> {
    const path = this.#pathOf(streamId)
    const writer = this.#writerOf(streamId, lease)
    if (lease && !writer) throw await this.#refusal(streamId)
    try {
      for (let at = 0; at < chunk.length; at += PIECE) {
        const messages = [encode(chunk.subarray(at, at + PIECE))]
        await (writer ? writer.append(messages) : this.#streams.append(path, { messages }))
      }
    } catch (error) {
      throw isLost(error) ? await this.#refusal(streamId, error) : error
    }
  }

  async finalize(
    streamId: string,
    status: 'done' | 'error',
    error?: string,
    lease?: ResumableStreamLease,
  ): Promise<boolean> {
    const path = this.#pathOf(streamId)
    const writer = this.#writerOf(streamId, lease)
    const messages: Message[] = status === 'error' && error !== undefined ? [{ error }] : []
    try {
      if (writer) await writer.append(messages, status)
      else if (!lease) await this.#streams.append(path, { messages, end: status })
    } catch (cause) {
      if (!isLost(cause)) throw cause
      await this.#requireStream(streamId)
      return false
    }
    if (!writer && lease) await this.#requireStream(streamId)
    return writer !== undefined || lease === undefined
  }

  async *read(
    streamId: string,
    cursor: string,
    signal: AbortSignal,
  ): AsyncGenerator<ResumableStreamEntry, void, undefined> {
    let failure = 'The stream has failed.'
    const entries = readMessages(this.#streams, this.#pathOf(streamId), cursor, signal)
    try {
      for (;;) {
        const { done, value } = await entries.next()
        if (done) {
          if (value === 'error' || value === 'expired') throw new Error(failure)
          return
        }
        const message = value.message as Message
        if (typeof message === 'object' && 'error' in message) failure = message.error
        else yield { cursor: value.cursor, chunk: decode(message) }
      }
    } catch (error) {
      throw isMissing(error) ? notFound(streamId, error) : error
    } finally {
      await entries.return(undefined)
    }
  }

  async status(streamId: string): Promise<'streaming' | 'done' | 'error' | 'missing'> {
    const status = await this.#streams.status(this.#pathOf(streamId))
    if (status === undefined) return 'missing'
    if (status === 'open') return 'streaming'
    return status === 'error' || status === 'expired' ? 'error' : 'done'
  }

  async delete(streamId: string): Promise<void> {
    await this.#streams.delete(this.#pathOf(streamId))
  }

  async cancel(streamId: string): Promise<void> {
    try {
      await this.#streams.cancel(this.#pathOf(streamId))
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }

  #pathOf(streamId: string): string {
    return pathOfName(this.#options.prefix ?? 'answers', streamId)
  }

  #writerOf(streamId: string, lease: ResumableStreamLease | undefined): Writer | undefined {
    return this.#writers.get(lease?.token ?? this.#tokens.get(streamId) ?? '')
  }

  /** Returns why a producer cannot append. */
  async #refusal(streamId: string, cause?: unknown): Promise<Error> {
    const status = await this.#streams.status(this.#pathOf(streamId))
    if (status === undefined) return notFound(streamId, cause)
    if (status === 'open')
      return new ResumableStreamError('missing', `The stream "${streamId}" has another producer.`, { cause })
    const how = hasCode(cause, 'cancelled') ? 'cancelled' : status
    return new ResumableStreamError('finalized', `The stream "${streamId}" has ended: ${how}.`, { cause })
  }

  /** @throws Error if there is no such stream */
  async #requireStream(streamId: string): Promise<void> {
    if ((await this.#streams.status(this.#pathOf(streamId))) === undefined) throw notFound(streamId)
  }
}

function notFound(streamId: string, cause?: unknown): Error {
  return new ResumableStreamError('missing', `There is no stream "${streamId}".`, { cause })
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.ceil(ms / 1_000)
}

/** Returns bytes as a message: as a text if they are UTF-8, so that other subscribers can read it. */
function encode(bytes: Uint8Array): Message {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return { bytes: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')) }
  }
}

function decode(message: string | { bytes: string }): Uint8Array {
  if (typeof message === 'string') return new TextEncoder().encode(message)
  return Uint8Array.from(atob(message.bytes), (character) => character.charCodeAt(0))
}
