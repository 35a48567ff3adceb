/**
 * Appends the messages of one long request as they come: lines of JSON to a stream of JSON, or bytes. What has been
 * stored stays stored when the upload is refused or cut off.
 */
import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../../errors.js'
import { FiniteTopicError, type AppendRequest, type FiniteTopic, type Message } from '../../hub/finite/finite-topic.js'
import { monotonicNow } from '../../model/clock.js'
import { HubError } from '../../model/hub-error.js'
import { tooDeep } from '../../model/json.js'
import { quote } from '../../model/quote.js'
import { toProblem } from '../../plugins/errors.js'
import { withoutMark } from '../../plugins/bodies.js'
import { parseJson } from '../../server/body-json.js'
import { BodyPieces } from '../../server/body-pieces.js'
import { Waiting } from '../../server/body-timeout.js'
import { sentLimit } from '../upload/incoming-events.js'
import { isBlank, readLines, type Line } from '../upload/lines.js'
import { requireGrant } from './access.js'
import { refusalHeaders, stateHeaders } from './answer-headers.js'
import { endedRefusal, requireMediaType, type StreamsContext } from './context.js'
import { isJson, isLines, isText } from '../../model/media-type.js'
import { completeLength, jsonMessage, messagesOf } from './messages.js'

/** How many times within its time a lease is renewed at most. */
const RENEWALS = 4

interface UploadRequest extends Omit<AppendRequest, 'messages' | 'contentType'> {
  body: Readable
}

/** Answers an upload after its end, or as soon as it is refused. */
export async function answerUpload(
  context: StreamsContext,
  state: FiniteTopic,
  request: FastifyRequest,
  reply: FastifyReply,
  asked: UploadRequest,
): Promise<FastifyReply> {
  if (asked.producer !== undefined || asked.order !== undefined)
    throw new Problem('invalid-request', 'A live upload is many appends: leave "Producer-…" and "Stream-Seq" out.')
  requireContentType(state, request.headers['content-type'])
  const upload = new Upload(context, state, request, asked)
  try {
    await upload.run()
  } catch (err) {
    reply.headers(refusalHeaders(err, request))
    throw upload.locate(err)
  }
  return reply.code(204).headers(stateHeaders(upload.state)).send()
}

/** @throws Problem, HubError */
function requireContentType(state: FiniteTopic, contentType: string | undefined): void {
  const { contentType: type } = state
  if (contentType === undefined)
    throw new Problem('invalid-request', `The header "Content-Type" is missing: the stream has ${type}.`)
  if (isJson(type) && isLines(contentType)) return
  requireMediaType(state, contentType)
  if (isJson(type))
    throw new Problem('invalid-request', 'A live upload to a stream of JSON is application/x-ndjson: one value a line.')
}

/** The message of a line, which counts from 1. */
interface LineMessage extends Message {
  line: number
}

class Upload {
  /** The state after the last append. */
  state: FiniteTopic
  readonly #context: StreamsContext
  readonly #request: FastifyRequest
  readonly #asked: UploadRequest
  readonly #waiting: Waiting
  /** The number of stored messages of JSON, or of bytes. */
  #accepted = 0
  /** The number of the first line that is not stored. */
  #line = 1
  #isLineAtFault = false
  /** When the lease was last renewed, on the monotonic clock. */
  #renewedAt = -Infinity

  constructor(context: StreamsContext, state: FiniteTopic, request: FastifyRequest, asked: UploadRequest) {
    this.state = state
    this.#context = context
    this.#request = request
    this.#asked = asked
    this.#waiting = new Waiting(context.settings.uploadIdle, this.#isJson ? 'A line' : 'More of the body', () =>
      this.#check(),
    )
  }

  get #isJson(): boolean {
    return isJson(this.state.contentType)
  }

  async run(): Promise<void> {
    const done = new AbortController()
    void this.#watchEnd(done.signal)
    try {
      await this.#renew()
      await (this.#isJson ? this.#takeLines() : this.#takeBytes())
      if (this.#asked.end !== undefined) await this.#append([], this.#asked.end)
    } finally {
      done.abort()
    }
  }

  /** Adds what has been stored to an error. */
  locate(err: unknown): Problem {
    const { code, message, extensions, retryAfter, cause } = toProblem(err)
    const words = this.#isLineAtFault ? `Line ${this.#line}: ${message}` : message
    const where = { accepted: this.#accepted, ...(this.#isJson && { line: this.#line }) }
    return new Problem(
      code,
      words,
      { ...extensions, ...where },
      { cause, ...(retryAfter !== undefined && { retryAfter }) },
    )
  }

  /** Refuses the rest of the upload as soon as the topic has ended, for example if a subscriber cancels it. */
  async #watchEnd(signal: AbortSignal): Promise<void> {
    const { finite } = this.#context
    const { topic, incarnation } = this.state
    try {
      await finite.wait(topic, Number.MAX_SAFE_INTEGER, signal)
      if (signal.aborted) return
      const state = await finite.get(topic)
      const current = state?.incarnation === incarnation && !state.isDeleted ? state : undefined
      if (!current) throw new FiniteTopicError('stream-not-found', `The finite topic ${quote(topic)} is gone.`)
      if (current.status !== 'open') throw endedRefusal(current)
    } catch (err) {
      this.#waiting.interrupt(err instanceof Error ? err : new Error(String(err)))
    }
  }

  async #takeLines(): Promise<void> {
    for await (const lines of readLines(this.#asked.body, sentLimit(this.#maxSize), this.#waiting)) {
      this.#check()
      const messages: LineMessage[] = []
      let next = this.#line
      let refusal: unknown
      try {
        for (const line of lines) {
          const message = this.#read(line)
          if (message) messages.push({ ...message, line: next })
          next++
        }
      } catch (err) {
        refusal = err // the lines before it are stored first
      }
      await this.#storeLines(messages)
      this.#line = next
      if (refusal === undefined) continue
      this.#isLineAtFault = true
      throw refusal as Error
    }
  }

  /** Stores the messages of lines. If one is refused, the ones before it are stored. */
  async #storeLines(messages: readonly LineMessage[]): Promise<void> {
    try {
      await this.#store(messages.map(({ kind, payload }) => ({ kind, payload })))
      this.#accepted += messages.length
    } catch (err) {
      if (!(err instanceof HubError) || err.index === undefined) throw err
      const { index } = err
      err.index = undefined
      if (index > 0) await this.#storeLines(messages.slice(0, index))
      this.#line = messages[index]!.line
      this.#isLineAtFault = true
      throw err
    }
  }

  async #takeBytes(): Promise<void> {
    const pieces = new BodyPieces(this.#asked.body)
    let rest = Buffer.alloc(0)
    try {
      for (let piece = await this.#next(pieces); piece; piece = await this.#next(pieces)) {
        const bytes = Buffer.concat([rest, piece])
        const length = isText(this.state.contentType) ? completeLength(bytes) : bytes.length
        rest = bytes.subarray(length)
        await this.#storeBytes(bytes.subarray(0, length))
      }
      await this.#storeBytes(rest)
    } finally {
      pieces.stop()
    }
  }

  #next(pieces: BodyPieces): Promise<Buffer | undefined> {
    return this.#waiting.for(pieces.next())
  }

  async #storeBytes(bytes: Buffer): Promise<void> {
    this.#check()
    await this.#store(messagesOf(bytes, this.state.contentType, this.#maxSize))
    this.#accepted += bytes.length
  }

  /** Returns the message of a line; `undefined` for a blank line, which keeps the upload open. */
  #read(line: Line): Message | undefined {
    if (line.length > sentLimit(this.#maxSize))
      throw new Problem('event-too-large', `The line has more than ${sentLimit(this.#maxSize)} bytes.`)
    const text = typeof line === 'string' ? line : withoutMark(line)
    if (isBlank(text)) return undefined
    return jsonMessage(parseJson(text, 'The line', tooDeep), this.#maxSize)
  }

  get #maxSize(): number {
    return this.#context.settings.maxEventSize
  }

  async #store(messages: Message[]): Promise<void> {
    if (messages.length > 0) await this.#append(messages)
    else await this.#renew()
    this.#waiting.renew()
  }

  /** Renews the lease, unless that was done a moment ago. */
  async #renew(): Promise<void> {
    const { lease } = this.#asked
    if (lease !== undefined && monotonicNow() - this.#renewedAt >= lease / RENEWALS) await this.#append([])
  }

  async #append(messages: Message[], end?: AppendRequest['end']): Promise<void> {
    const { lease, trace } = this.#asked
    this.#renewedAt = monotonicNow()
    const { topic } = await this.#context.finite.append(this.state.topic, { messages, end, lease, trace })
    this.state = topic
  }

  /** @throws Problem if the token is no longer in force; HubError `hub-closed` if the hub is about to stop */
  #check(): void {
    requireGrant(this.#request, 'publish', this.state.topic)
    this.#context.hub.requireTime()
  }
}
