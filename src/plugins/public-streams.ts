/** Finite topics as an application writes them (`app.hub.streams`). The application's code needs no token. */
import type { Hub } from '../hub/hub.js'
import { Run, type RunSource, type RunStatus } from '../hub/finite/run.js'
import { HubError } from '../model/hub-error.js'
import { requireOptions } from '../model/options.js'
import { quote } from '../model/quote.js'
import type { Traces } from '../observe/traces.js'
import { parseDuration } from '../model/units.js'

/** A time in milliseconds, or as in the settings: `40`, `'250ms'`, `'1h'`. */
export type Time = number | string

export interface CreateStreamOptions {
  /**
   * The media type of the messages; default: `text/plain`. With `application/json` a message is any JSON value, with
   * other types a string or bytes.
   */
  contentType?: string | undefined
  /** The topic expires after this time without an append or a read. Default: after `FANFARE_STREAM_TTL`. */
  ttl?: Time | undefined
  /** The topic expires at this time. Not together with `ttl`. */
  expiresAt?: Date | undefined
  /** Messages that follow the first one within this time are sent to subscribers together. */
  coalesce?: Time | undefined
  /** The topic ends with `error` this time after the process has stopped; default: 30 s. `0`: never. */
  lease?: Time | undefined
  /** The subject that may cancel the topic with its own token. */
  createdBy?: string | undefined
}

/** A finite topic that this process writes. */
export interface StreamRun {
  readonly topic: string
  readonly contentType: string
  /** `open`, or how the topic has ended. */
  readonly status: RunStatus
  /** Is aborted when the topic has ended, but not by this run: it was cancelled or deleted, or has expired. */
  readonly signal: AbortSignal
  /**
   * Appends one message. Resolves when it is durable. Appends that do not wait for each other keep their order.
   * @param message with `application/json` any JSON value, with other content types a string or bytes
   * @throws HubError `cancelled`, `stream-closed`, `stream-not-found`, `stream-too-large`, `invalid-event`,
   *   `log-unavailable`
   */
  append(message: unknown): Promise<void>
  /**
   * Appends everything that a source yields, and ends the topic: with `done`, or with `error` if the source fails. If
   * the topic ends otherwise, the source is stopped.
   * @param source a `ReadableStream`, a `Readable` of Node, or an async iterable
   * @returns how the topic has ended
   * @throws the error of the source; HubError as `append`
   */
  pipe(source: ReadableStream | NodeJS.ReadableStream | AsyncIterable<unknown> | Iterable<unknown>): Promise<RunStatus>
  /**
   * Ends the topic, by default with `done`. A topic that has ended stays as it is.
   * @returns how the topic has ended
   */
  close(status?: 'done' | 'error'): Promise<RunStatus>
  /** Cancels the topic, as `POST /streams/{path}/cancel` does. */
  cancel(): Promise<void>
}

/** The finite topics of the hub. */
export interface FanfareStreams {
  /**
   * Creates a finite topic.
   * @throws HubError `stream-exists`, `invalid-topic`, `invalid-stream`, `streams-full`, `log-unavailable`
   */
  create(topic: string, options?: CreateStreamOptions): Promise<StreamRun>
  /**
   * Opens an existing finite topic, to continue or to cancel it. It has no lease of its own.
   * @throws HubError `stream-not-found`, `stream-gone`
   */
  open(topic: string): Promise<StreamRun>
}

const OPTIONS = ['contentType', 'ttl', 'expiresAt', 'coalesce', 'lease', 'createdBy'] as const
const DEFAULT_LEASE = 30_000

/** Creates `app.hub.streams`. */
export function createPublicStreams(
  hub: Hub,
  traces: Traces,
  onError: (err: unknown, message: string) => void,
): FanfareStreams {
  const { finite } = hub
  const source: RunSource = {
    finite,
    traces,
    onError: (err) => onError(err, 'the lease of a finite topic could not be renewed'),
  }
  return {
    async create(topic, options = {}) {
      requireOptions(options, 'The options of a stream', OPTIONS, 'invalid-stream')
      const { contentType = 'text/plain', expiresAt, createdBy } = options
      const lease = (timeOf('lease', options.lease) ?? DEFAULT_LEASE) || undefined
      const { topic: state, created } = await finite.create(
        topic,
        {
          contentType,
          ttl: timeOf('ttl', options.ttl),
          expiresAt: expiresAt === undefined ? undefined : dateOf(expiresAt),
          coalesce: timeOf('coalesce', options.coalesce),
        },
        { createdBy, lease },
      )
      if (!created) throw new HubError('stream-exists', `${quote(topic)} exists: open it, or use another name.`)
      return Run.open(source, state, lease)
    },
    async open(topic) {
      const state = await finite.get(topic)
      if (!state) throw new HubError('stream-not-found', `There is no finite topic ${quote(topic)}.`)
      return Run.open(source, state, undefined)
    },
  }
}

function timeOf(name: string, value: unknown): number | undefined {
  if (value === undefined) return undefined
  const time = typeof value === 'string' ? parseDuration(value) : value
  if (typeof time === 'number' && time >= 0 && Number.isFinite(time)) return time
  throw new HubError(
    'invalid-stream',
    `${name} is a number of milliseconds or a time such as '1h', not ${quote(value)}.`,
  )
}

function dateOf(value: unknown): number {
  if (value instanceof Date && Number.isFinite(value.getTime())) return value.getTime()
  throw new HubError('invalid-stream', `expiresAt is a Date, not ${quote(value)}.`)
}
